"""Encrypted objects: whether Flux is told to decrypt them, and finds the key where it looks for it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from checks.flux import applied, applied_by_others, is_by_hand
from checks.generated import holds_ciphertext
from checks.model import Cause, Model, Outcome, failed, passed, unknown
from tasks.effects.kustomize import Built
from tasks.flux.cluster import Cluster
from tasks.flux.kustomizations import FluxKustomization, decryption_of
from tasks.kube.keys import key_of
from tasks.yaml.documents import dig, load_documents, mapping
from tasks.yaml.marks import line_with

_NOT_FOUND = "Flux would answer 'secrets not found' and apply nothing of this Kustomization, now and later"
# Flags and variables that give the controller a key of its own, for all Kustomizations without a secretRef:
# https://fluxcd.io/flux/components/kustomize/kustomizations/#controller-global-decryption.
_OF_THE_CONTROLLER = ("--sops-age-secret", "SOPS_AGE_KEY")
# What sops calls the keys that a service holds, to which the controller logs in with an identity of its own.
_OF_SERVICES = ("kms", "gcp_kms", "azure_kv", "hc_vault")
# Annotations by which controllers copy a Secret into other namespaces.
_COPIERS = ("reflector.v1.k8s.emberstack.com/", "replicator.v1.mittwald.de/")


@dataclass(frozen=True)
class _Place:
    """One cluster, and the keys of our Kustomizations: what is to be judged with others is no evidence."""

    model: Model = field(repr=False)
    found: Cluster = field(repr=False)
    own: frozenset[tuple[str, str]]

    @cached_property
    def secrets(self) -> Mapping[tuple[str, str], tuple[FluxKustomization, Built]]:
        """The Secrets in builds by namespace and name, each with the Kustomization that applies it."""
        return {
            (key.namespace, key.name): (item, one)
            for item, one in reversed(list(self.found.built()))
            if one.data.get("kind") == "Secret"
            for key in [key_of(one.data, item.key[0])]
        }

    def beside(self, item: FluxKustomization) -> Iterator[FluxKustomization]:
        """The Kustomizations that are evidence for ``item``."""
        return (one for one in self.found.kustomizations if one.key != item.key and one.key not in self.own)


def secrets_are_decrypted(model: Model) -> Iterator[Outcome]:
    """Kustomizations whose build holds objects encrypted with SOPS say how they are decrypted."""
    ours = applied(model)
    others = [pair for pair in applied_by_others(model) if not is_by_hand(model, pair[1])]
    own = frozenset(item.key for _, item in ours)
    for found in model.clusters:
        place = _Place(model, found, own)
        for item in (item for cluster, item in (*ours, *others) if cluster is found):
            encrypted = [one.data for one in item.objects or () if _is_encrypted(one.data)]
            if not encrypted:
                yield passed(f"Kustomization {item.key[1]} applies nothing that is encrypted")
            elif decryption_of(item)[0] == "sops":
                yield _key(place, item, encrypted)
            else:
                yield _left_encrypted(model, item, encrypted)
    yield passed("no other Kustomization that is looked at applies anything that is encrypted")


def _left_encrypted(model: Model, item: FluxKustomization, encrypted: list[Mapping[str, Any]]) -> Outcome:
    provider, _ = decryption_of(item)
    names = ", ".join(str(dig(one, "metadata", "name")) for one in encrypted)
    has = f"has the decryption provider {provider}, not sops," if provider else (
        "has no spec.decryption, its own or from a parent,"
    )  # fmt: skip
    # Seen with Flux 2.7: what lies below stringData is applied as it is, and Ready; below data the API
    # server refuses it, for it is not base64; what kustomize makes of whole files is.
    is_applied = all(not mapping(one, "data") or holds_ciphertext(one) for one in encrypted)
    return failed(
        f"Kustomization {item.key[1]} {has} and applies {names}, which is encrypted",
        "Flux would apply the ciphertext as it is and say that all is well: the pods would get ENC[…] as "
        "their credentials"
        if is_applied
        else "Flux would be refused, and apply nothing else of this Kustomization",
        "add spec.decryption: {provider: sops, secretRef: {name: …}}",
        model.place(item.path, item.data, "spec"),
    )


def _is_encrypted(data: Mapping[str, Any]) -> bool:
    """Whether Flux takes an object for encrypted, and is not told to leave it so."""
    annotation = mapping(data, "metadata", "annotations").get("kustomize.toolkit.fluxcd.io/decrypt")
    is_cipher = isinstance(dig(data, "sops"), dict) or (
        data.get("kind") == "Secret" and holds_ciphertext(data)
    )
    return is_cipher and str(annotation).lower() != "disabled"


def _key(place: _Place, item: FluxKustomization, encrypted: list[Mapping[str, Any]]) -> Outcome:
    """Whether the Secret with the private key is where the Kustomization looks for it.

    That is the namespace which it has after the build.
    """
    name, namespace = decryption_of(item)[1], item.key[0]
    if not name:
        return _key_of_controller(place, item, encrypted)
    wanted = f"Secret {namespace}/{name}"
    if (namespace, name) in place.secrets:
        return _applied_key(place, item, *place.secrets[namespace, name])
    named = [
        other
        for other in place.beside(item)
        if (other.key[0], decryption_of(other)) == (namespace, ("sops", name))
    ]
    user = next((other for other in named if _decrypts(place.model, other)), None)
    if user is not None:
        return passed(f"{item.path}: Kustomization {user.key[1]} decrypts with {wanted} too")
    shown = place.found.shown("Secret", name)
    if namespace in shown:
        return passed(f"{item.path}: {wanted} is in {shown[namespace]}")
    return _unseen_key(place, item, shown, is_by_hand=bool(named) or item.key not in place.own)


def _unseen_key(
    place: _Place, item: FluxKustomization, shown: Mapping[str, str], *, is_by_hand: bool
) -> Outcome:
    """What to say of a key that the repository shows in other namespaces only (``shown``), or nowhere.

    ``is_by_hand`` says that it may have been put there by hand: others in the namespace name it too, and
    would fail as well, or the Kustomization is somebody else's, who has it run.
    """
    model, found = place.model, place.found
    name, namespace = decryption_of(item)[1], item.key[0]
    where = model.place(item.path, item.data, "spec", "decryption")
    wanted, remedy = f"Secret {namespace}/{name}", f"kubectl get secret -n {namespace} {name}"
    gap = next((gap for gap in found.gaps if gap.may_hold("Secret", namespace, name)), None)
    if gap is not None:
        evidence = f"{wanted} is not seen; {gap.what}, which may hold it, is not known: {gap.reason}"
        return unknown(evidence, gap.cause, gap.remedy or remedy, where)
    near = ", ".join(f"{path} (namespace {other or 'of whoever lists it'})" for other, path in shown.items())
    if not near or is_by_hand or _is_copied(model, name):
        there = f" (there is: {near})" if near else ""
        return unknown(
            f"{wanted} with the private key: the repository shows none, and nothing else that is decrypted "
            f"with it{there}",
            Cause.CLUSTER,
            remedy,
            where,
        )
    return failed(
        f"Kustomization {item.key[1]} is in namespace {namespace} after the build, and {wanted} with the "
        f"private key is not: it is in {near}",
        _NOT_FOUND,
        f"put the Secret into {namespace} too (a component that its kustomization lists does), or leave the "
        "Flux Kustomizations in the namespace of the key",
        where,
    )


def _applied_key(place: _Place, item: FluxKustomization, by: FluxKustomization, one: Built) -> Outcome:
    """What to say of a key that Kustomization ``by`` applies: it may be encrypted itself."""
    model, data, path = place.model, one.data, one.path or by.path
    key = f"Secret {item.key[0]}/{dig(data, 'metadata', 'name')}"
    if _is_encrypted(data) and decryption_of(by)[0] != "sops":
        return failed(
            f"{key} with the private key is encrypted, and Kustomization {by.key[1]}, which applies it, has "
            "no spec.decryption",
            "the key would arrive as ciphertext, and nothing could be decrypted with it",
            f"add spec.decryption to Kustomization {by.key[1]}",
            model.place(by.path, by.data, "spec"),
        )
    if by.key == item.key and _is_encrypted(data) and item.key not in place.own:
        # The first key of a cluster is put there by hand, before the first Kustomization can decrypt it.
        return unknown(
            f"Kustomization {item.key[1]} needs {key} with the private key, and applies it itself, encrypted",
            Cause.CLUSTER,
            f"kubectl get secret -n {item.key[0]} {dig(data, 'metadata', 'name')}",
            model.place(path, data),
        )
    if by.key == item.key and _is_encrypted(data):
        return failed(
            f"{key} with the private key is encrypted, and applied by the Kustomization that needs it",
            _NOT_FOUND,
            "let the parent apply it: list a component with it in the kustomization of the namespace",
            model.place(path, data),
        )
    return passed(f"{item.path}: decrypted with {key} of {path}")


def _decrypts(model: Model, item: FluxKustomization) -> bool:
    """Whether a Kustomization has something to decrypt, built or not."""
    if item.objects is not None:
        return any(_is_encrypted(one.data) for one in item.objects)
    return any(
        _is_encrypted(document)
        for path in item.files
        if "sops:" in model.text(path)
        for document in load_documents(model.text(path))
        if isinstance(document, dict)
    )


def _is_copied(model: Model, name: str) -> bool:
    """Whether a controller may put the Secret into other namespaces."""
    return any(
        name in text and any(word in text for word in (*_COPIERS, "ClusterExternalSecret", "ClusterPolicy"))
        for text in model.tree.texts.values()
    )


def _key_of_controller(place: _Place, item: FluxKustomization, encrypted: list[Mapping[str, Any]]) -> Outcome:
    """Without a secretRef the controller's own key is taken: whether something shows that it has one."""
    if all(any(dig(one, "sops", service) for service in _OF_SERVICES) for one in encrypted):
        return passed(f"{item.path}: decrypted with a key service, by the identity of the controller")
    model = place.model
    for path, text in model.tree.texts.items():
        for word in _OF_THE_CONTROLLER:
            if word in text and "kustomize-controller" in text:
                return passed(
                    f"{item.path}: decrypted with the controller's own key ({path}:{line_with(text, word)})"
                )
    for other in place.beside(item):
        if decryption_of(other) == ("sops", "") and _decrypts(model, other):
            return passed(f"{item.path}: Kustomization {other.key[1]} decrypts without a secretRef too")
    return unknown(
        f"Kustomization {item.key[1]} decrypts without a secretRef: with keys that its controller has",
        Cause.CLUSTER,
        "kubectl get deploy -n flux-system kustomize-controller -o yaml shows whether it has one",
        model.place(item.path, item.data, "spec", "decryption"),
    )
