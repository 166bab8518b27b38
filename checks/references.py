"""References of pods: the Secrets, ConfigMaps, keys, ServiceAccounts and StorageClasses that they name."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from checks.model import Cause, Model, Outcome, as_note, failed, passed, unknown
from tasks.flux.listing import holding
from tasks.kube import makers
from tasks.kube.pods import Pod
from tasks.kube.resources import Gap, Resource
from tasks.subjects import given_secret
from tasks.subjects.parseable import CA_KEY
from tasks.yaml.documents import dig, items, mapping

_WAITS = "the pod would wait in CreateContainerConfigError or ContainerCreating, and never run"


@dataclass(frozen=True)
class _Reference:
    """What a pod needs: ``key`` is None where it takes the whole object."""

    kind: str
    name: str
    key: str | None
    used_for: str


def references_exist(model: Model) -> Iterator[Outcome]:
    """Every Secret and ConfigMap, with its key, and every ServiceAccount that a pod needs will exist."""
    pods, hidden = model.pods_and_gaps(*model.apps)
    yield from hidden
    ours = {pod.owner.key for pod in pods}
    for pod in (*pods, *model.other_pods()):
        named: dict[tuple[str, str], list[_Reference]] = {}
        for reference in dict.fromkeys(_needed(pod)):
            named.setdefault((reference.kind, reference.name), []).append(reference)
        is_ours = pod.owner.key in ours
        for references in named.values():
            for outcome in _resolved(model, pod, references, is_ours=is_ours):
                yield outcome if is_ours else as_note(model, outcome)
        yield _account(model, pod, is_ours=is_ours)
    yield passed("every other reference of a pod is one that it can do without")


def _needed(pod: Pod) -> Iterator[_Reference]:
    for container in pod.containers():
        for variable in items(container, "env"):
            for field, kind in (("secretKeyRef", "Secret"), ("configMapKeyRef", "ConfigMap")):
                reference = mapping(variable, "valueFrom", field)
                yield from _one(kind, reference, "name", f"variable {dig(variable, 'name')}", "key")
        for source in items(container, "envFrom"):
            for field, kind in (("secretRef", "Secret"), ("configMapRef", "ConfigMap")):
                yield from _one(kind, mapping(source, field), "name", "the variables of envFrom")
    for volume in items(pod.spec, "volumes"):
        parts = [volume, *items(volume, "projected", "sources")]
        for part in parts:
            is_projected = part is not volume
            for field, kind in (("secret", "Secret"), ("configMap", "ConfigMap")):
                source = mapping(part, field)
                name = "name" if is_projected or kind == "ConfigMap" else "secretName"
                used_for = f"volume {dig(volume, 'name')}"
                yield from _one(kind, source, name, used_for)
                for item in items(source, "items"):
                    if source.get("optional") is not True:
                        yield _Reference(kind, str(source.get(name)), str(dig(item, "key")), used_for)


def needed_by(pod: Pod) -> Iterator[tuple[str, str]]:
    """Kind and name of every Secret and ConfigMap that a pod needs before it runs."""
    yield from dict.fromkeys((one.kind, one.name) for one in _needed(pod))


def _one(
    kind: str, reference: Mapping[str, Any], name: str, used_for: str, key: str | None = None
) -> Iterator[_Reference]:
    if reference and reference.get("optional") is not True:
        wanted = None if key is None else str(reference.get(key))
        yield _Reference(kind, str(reference.get(name)), wanted, used_for)


def _resolved(
    model: Model, pod: Pod, references: Sequence[_Reference], *, is_ours: bool
) -> Iterator[Outcome]:
    """Whether the one object that all of ``references`` name exists, with their keys."""
    kind, name, namespace = references[0].kind, references[0].name, pod.owner.key.namespace
    if (kind, name) == ("ConfigMap", "kube-root-ca.crt"):
        # Kubernetes puts it into every namespace.
        return
    holder = model.resources.find(kind, namespace, name)
    maker = None if holder is not None else maker_of(model, namespace, name)
    keys = keys_of(holder) if holder is not None else keys_made(maker)
    if keys is None:
        uses = " and ".join(dict.fromkeys(reference.used_for for reference in references))
        yield _absent(model, pod, kind, name, uses, is_ours=is_ours)
        return
    path = next(item.path for item in (holder, maker) if item is not None)
    for reference in references:
        if reference.key is None or reference.key in keys:
            yield passed(f"{kind} {namespace}/{name} has what {pod.owner.key} needs")
            continue
        has = f"it has {', '.join(keys)}" if keys else "it has none"
        yield failed(
            f"{kind} {namespace}/{name} has no key {reference.key} for {reference.used_for} of "
            f"{pod.owner.key} ({has})",
            _WAITS,
            f"name one of those, or add the key in {path}",
            model.place_with(pod.owner, reference.key),
        )


def keys_of(holder: Resource) -> list[str]:
    """The keys of a Secret or ConfigMap."""
    return list(
        dict.fromkeys(
            str(key) for field in ("data", "stringData", "binaryData") for key in mapping(holder.data, field)
        )
    )


def key_problem(model: Model, namespace: str, name: str, key: str) -> str:
    """What is missing of ``key`` of the Secret ``namespace/name``; empty if it will be there."""
    holder = model.resources.find("Secret", namespace, name)
    maker = None if holder is not None else maker_of(model, namespace, name)
    keys = keys_of(holder) if holder is not None else keys_made(maker)
    if keys is not None:
        has = ", ".join(keys) or "none"
        made = f" (made from {maker.key})" if maker is not None else ""
        return "" if key in keys else f"key {key} of Secret {name}{made}, which has {has}"
    # The keys of one that is not seen are not known here.
    is_open = maker is not None or is_given(model, name) or unseen(model, "Secret", namespace, name)
    return "" if is_open else f"Secret {namespace}/{name}, which does not exist"


def is_given(model: Model, name: str) -> bool:
    """Whether the settings say that somebody else gives the Secret ``name``, perhaps by hand."""
    return given_secret.is_given(model.workspace) and name == model.settings.parseable.secret


def unseen(model: Model, kind: str, namespace: str, name: str) -> Gap | None:
    """The part that is not seen here and may hold an object that our pods need.

    Nobody else makes what they need: but it may lie in what is known to be put into their namespace, in a
    folder that is not built whose texts name it, or in a file that is looked at in a later stage only.
    """
    for gap in model.resources.gaps:
        is_later = gap.cause is Cause.STAGE and model.mentioned(kind, name) is not None
        if gap.may_hold(kind, namespace, name) and (gap.namespaces or gap.texts is not None or is_later):
            return gap
    return None


def maker_of(model: Model, namespace: str, name: str) -> Resource | None:
    """What a controller makes the Secret or ConfigMap ``namespace/name`` from; None if nothing."""
    for item in model.resources.of_kind(*makers.KINDS, namespace=namespace):
        made = makers.made_from(item.data)
        if made is not None and made.name == name:
            return item
    return None


def keys_made(maker: Resource | None) -> list[str] | None:
    """The keys of what is made from ``maker``; None where only the cluster knows them."""
    made = None if maker is None else makers.made_from(maker.data)
    return None if made is None or made.keys is None else sorted(made.keys)


def _absent(model: Model, pod: Pod, kind: str, name: str, used_for: str, *, is_ours: bool) -> Outcome:
    """What to say of an object that no build and no rendered release has."""
    namespace = pod.owner.key.namespace
    what, where = f"{kind} {namespace}/{name}", model.place_with(pod.owner, name)
    maker = maker_of(model, namespace, name)
    if maker is not None:
        return passed(f"{what} is made from {maker.key}")
    setting, remedy = _named_in_settings(model, kind, namespace, name)
    if setting:
        return unknown(
            f"{what} for {used_for} of {pod.owner.key}: somebody else gives it ({setting}), and the "
            "repository does not show who",
            Cause.CLUSTER,
            remedy,
            where,
        )
    path = model.mentioned(kind, name)
    if path is not None:
        return unknown(
            f"{what} for {used_for} of {pod.owner.key}: {path} has one, which nothing applies",
            Cause.REPOSITORY,
            "let a Kustomization of that namespace apply it",
            where,
        )
    gap = unseen(model, kind, namespace, name)
    if is_ours and gap is not None:
        return unknown(
            f"{what} for {used_for} of {pod.owner.key}: {gap.reason}", gap.cause, gap.remedy, where
        )
    if is_ours:
        others = sorted(item.key.name for item in model.resources.of_kind(kind, namespace=namespace))
        there = f"there are {', '.join(others)}" if others else "there is none at all"
        return failed(
            f"{what} for {used_for} of {pod.owner.key} is nowhere in the repository ({there})",
            _WAITS,
            "correct the name, or commit the object",
            where,
        )
    return unknown(
        f"{what} for {used_for} of {pod.owner.key} is not in the repository",
        Cause.CLUSTER,
        f"kubectl get {kind.lower()} -n {namespace} {name}",
        where,
    )


def _named_in_settings(model: Model, kind: str, namespace: str, name: str) -> tuple[str, str]:
    """The setting that says that somebody else gives an object, and how to see and make it; else empty."""
    if kind == "Secret" and is_given(model, name):
        return "secret.manage is existing", given_secret.make_hint(model.workspace)
    if kind == "ConfigMap" and name == model.settings.s3.ca_config_map:
        make = f"kubectl create configmap -n {namespace} {name} --from-file={CA_KEY}=FILE"
        return "s3.ca_config_map", f"kubectl get configmap -n {namespace} {name}; if there is none: {make}"
    return "", ""


def _account(model: Model, pod: Pod, *, is_ours: bool) -> Outcome:
    namespace, name = pod.owner.key.namespace, pod.account
    # Every namespace has this one.
    if name == "default" or model.resources.find("ServiceAccount", namespace, name) is not None:
        return passed(f"{pod.owner.key} runs as ServiceAccount {namespace}/{name}")
    if is_ours:
        return failed(
            f"ServiceAccount {namespace}/{name} of {pod.owner.key} is nowhere in the repository",
            "no pod would be created: the API server refuses pods without their account",
            "correct the name, or commit the account",
            _account_place(model, pod),
        )
    return unknown(
        f"ServiceAccount {namespace}/{name} of {pod.owner.key} is not in the repository",
        Cause.CLUSTER,
        f"kubectl get serviceaccount -n {namespace} {name}",
        _account_place(model, pod),
    )


def _account_place(model: Model, pod: Pod) -> str:
    release = pod.owner.helm_release
    if release is None:
        return model.place_of(pod.owner)
    data = {"kind": release.kind, "metadata": {"name": release.name}}
    return model.place(pod.owner.path, data, "spec", "values", "serviceAccount", "name")


def storage_classes_exist(model: Model) -> Iterator[Outcome]:
    """Every StorageClass that a claim of ours names is defined, or a release's values make it."""
    # What is not rendered may claim a class too.
    _, hidden = model.pods_and_gaps(*model.apps)
    yield from hidden
    found = (
        model.judged
        if model.whole_repository
        else [item for app in model.apps for item in model.objects_of(app)]
    )
    named = [(item, name) for item in found for name in _storage_classes(item)]
    for item, name in named:
        path = model.mentioned("StorageClass", name) or _provisioner(model, name)
        if path is not None:
            yield passed(f"StorageClass {name} is in {path}")
        else:
            yield unknown(
                f"StorageClass {name} of {item.key}: the repository shows none of that name",
                Cause.CLUSTER,
                f"kubectl get storageclass {name}",
                model.place_with(item, name),
            )
    by_hand = [item for item in found if _needs_a_volume_by_hand(item)]
    for item in by_hand:
        yield unknown(
            f"{item.key} claims a volume of no StorageClass (storageClassName is empty), which nobody makes",
            Cause.CLUSTER,
            "name a StorageClass, or see that there is a PersistentVolume without one: kubectl get pv",
            model.place_of(item),
        )
    if not named and not by_hand:
        yield passed("no volume claim names a StorageClass")


def _claims(item: Resource) -> Iterator[Mapping[str, Any]]:
    if item.key.kind == "PersistentVolumeClaim":
        yield item.data
    yield from items(item.data, "spec", "volumeClaimTemplates")


def _storage_classes(item: Resource) -> Iterator[str]:
    for claim in _claims(item):
        name = dig(claim, "spec", "storageClassName")
        if isinstance(name, str) and name:
            yield name


def _needs_a_volume_by_hand(item: Resource) -> bool:
    """Whether a claim asks for a volume of no class, and for none by its name.

    https://kubernetes.io/docs/concepts/storage/persistent-volumes/#class-1
    """
    return any(
        dig(claim, "spec", "storageClassName") == "" and not dig(claim, "spec", "volumeName")
        for claim in _claims(item)
    )


def _provisioner(model: Model, name: str) -> str | None:
    """A file whose HelmRelease names the class among the values of a chart that makes classes."""
    for path in holding(model.tree, "HelmRelease", name, "storageClass"):
        lines = [line.strip().removeprefix("- ") for line in model.tree.texts[path].splitlines()]
        # `storageClass: NAME` uses a class; a chart that makes one has its name below such a key.
        if f"name: {name}" in lines:
            return path
    return None
