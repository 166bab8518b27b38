"""The API server: whether it takes the objects, in the versions that they name, each from one owner."""

import dataclasses
import re
from collections.abc import Iterable, Iterator, Sequence

from checks.kinds import FLUX, is_custom, unproved
from checks.model import Model, Outcome, as_note, failed, passed, unknown
from tasks.core.errors import UnavailableError
from tasks.flux.apis import api_age, newest_apis
from tasks.kube.custom import Definitions
from tasks.kube.keys import Key, key_of
from tasks.kube.resources import Resource
from tasks.kube.rules import Fault, faults
from tasks.kube.schemas import schema_faults
from tasks.model import cause_of, rendered_by
from tasks.yaml.documents import dig, items, mapping

_REFUSED = "the API server would refuse it, and nothing that is applied with it would arrive"
_DROPPED = "the field would be refused, or dropped without a word"
# Helm installs CRDs only where there are none yet: https://helm.sh/docs/chart_best_practices/custom_resource_definitions/
_SHARED = {"CustomResourceDefinition"}
# An annotation with which Flux does not take an object for its own alone:
# https://fluxcd.io/flux/components/kustomize/kustomizations/#controlling-the-apply-behavior-of-resources.
_SHARING = "kustomize.toolkit.fluxcd.io/ssa"
_NOT_OWNED = ("Merge", "IfNotPresent", "Ignore")


def objects_are_accepted(model: Model) -> Iterator[Outcome]:
    """What the schemas and the rules beside them refuse; other people's objects give notes."""
    own = {item.key for _, item in model.kustomizations_of(*model.apps)}
    looked, unanswered = 0, None
    definitions = Definitions(one.data for one in model.resources.of_kind("CustomResourceDefinition"))
    for item in model.judged:
        looked += 1
        refused = [*item.faults, *faults(item.data)]
        if is_custom(item.key) or item.key.group.endswith(FLUX):
            refused += definitions.faults(item.data)
        if unanswered is None:
            try:
                refused += schema_faults(item.data)
            except UnavailableError as error:
                unanswered = error
        for fault in _without_doubles(refused):
            outcome = _refused(model, item, fault)
            is_ours = item.path in model.ours or item.kustomization in own or _is_by_us(model, item, fault)
            yield outcome if is_ours else as_note(model, outcome)
    if unanswered is not None:
        yield unknown(
            f"the schemas of {looked} objects: {unanswered.summary}", unanswered.cause, unanswered.hint
        )
    yield from model.pods_and_gaps(*model.apps)[1]
    yield passed(f"{looked} objects agree with their schemas")


def _is_by_us(model: Model, item: Resource, fault: Fault) -> bool:
    """Whether a fault in Grafana's release comes from what the playbook adds to its values."""
    release = model.grafana_release
    if release is None or item.path != release.path or item.release != release.identity:
        return False
    before = model.grafana_without_ours
    return before is not None and (item.key, _words(fault)) not in {
        (key_of(one.data, release.namespace), _words(other))
        for one in before
        for other in (*one.faults, *faults(one.data))
    }


def _words(fault: Fault) -> str:
    """A fault without the numbers of items, which change with what stands before them."""
    return re.sub(r"\d+", "", f"{[part for part in fault.path if isinstance(part, str)]} {fault.text}")


def _without_doubles(found: list[Fault]) -> list[Fault]:
    """One fault for a place: the rules' own words come first."""
    return list({fault.path: fault for fault in reversed(found)}.values())[::-1]


def _refused(model: Model, item: Resource, fault: Fault) -> Outcome:
    made = f" (release {item.release.name})" if item.helm_release else ""
    path = ".".join(map(str, fault.path))
    return failed(
        f"{item.key}{made}: {path + ': ' if path else ''}{fault.text}",
        _DROPPED if "there is no field" in fault.text else _REFUSED,
        "change the values of the release" if item.helm_release else "correct the manifest",
        model.place_of(item, *fault.path),
    )


def versions_are_served(model: Model) -> Iterator[Outcome]:
    """Flux objects use API versions that the repository shows the cluster to have; ours are judged always."""
    # By whoever they were written: what is to be judged is no evidence.
    used = newest_apis(text for path, text in model.tree.texts.items() if path not in model.ours)
    for item in model.judged:
        kind, api = item.key.kind, str(item.data.get("apiVersion"))
        is_judged = item.path in model.ours or model.whole_repository
        if not is_judged or kind not in used or item.helm_release is not None:
            continue
        served = _served(model, item)
        newest = used[kind]
        if api in served or (not served and api_age(api) <= api_age(newest)):
            yield passed(f"{item.path}: {api}")
            continue
        evidence = (
            f"its CRD serves {' and '.join(sorted(served))} only"
            if served
            else f"no other manifest uses one newer than {newest}"
        )
        yield failed(
            f"{item.key} has API version {api}; {evidence}",
            "an older Flux would not know it: the API server would answer 'no matches for kind'",
            f"write {max(served, key=api_age) if served else newest}, or upgrade Flux first",
            model.place_of(item, "apiVersion"),
        )
    own = {item.key for _, item in model.kustomizations_of(*model.apps)}
    custom = {
        (item.key.group, item.key.kind): item
        for item in reversed(model.judged)
        if is_custom(item.key) and (item.path in model.ours or item.kustomization in own)
    }
    for item in custom.values():
        doubt = unproved(model, item.key)
        yield (
            passed(f"{item.key.kind} of {item.key.group} is brought by this repository")
            if doubt is None
            else dataclasses.replace(doubt, place=model.place_of(item))
        )
    yield passed("no other object of ours is Flux's or of a custom kind")


def _served(model: Model, item: Resource) -> set[str]:
    """The API versions that a CRD of the repository has for the kind of ``item``; empty without a CRD."""
    return {
        f"{item.key.group}/{dig(version, 'name')}"
        for one in model.resources.of_kind("CustomResourceDefinition")
        if dig(one.data, "spec", "group") == item.key.group
        and dig(one.data, "spec", "names", "kind") == item.key.kind
        for version in items(one.data, "spec", "versions")
        if dig(version, "served") is True
    }


def objects_have_one_owner(model: Model) -> Iterator[Outcome]:
    """Nothing is applied by two Kustomizations, two releases, or one of each."""
    own = {item.key for _, item in model.kustomizations_of(*model.apps)}
    # What nothing connects with our files may be applied by nobody.
    stray = {item.key for found in model.clusters for item in found.kustomizations if item.is_stray}
    objects = [item for item in model.resources.objects if item.kustomization not in stray]
    for key, owners in _conflicts(objects):
        outcome = _owned_twice(model, key, owners)
        is_ours = any(item.path in model.ours or item.kustomization in own for item in owners)
        # Whatever is rendered here is of a release that was asked for.
        is_ours = is_ours or any(item.helm_release for item in owners)
        yield outcome if is_ours else as_note(model, outcome)
    yield from _rivals(model)
    yield from model.pods_and_gaps(*model.apps)[1]
    yield passed("no object is applied by two Kustomizations or releases")


def _owned_twice(model: Model, key: Key, owners: Sequence[Resource]) -> Outcome:
    rendered = next((item for item in owners if item.helm_release), None)
    if rendered is not None:
        named = " and ".join(
            f"HelmRelease {item.release.name}" if item.helm_release else item.path for item in owners
        )
        return failed(
            f"{key} is created twice: by {named}",
            "the two would overwrite each other for ever, or Helm would refuse to take it over",
            "switch it off in the values (create: false), or take the manifest out",
            model.place_of(rendered),
        )
    named = " and ".join(f"{'/'.join(item.kustomization)} ({item.path})" for item in owners)
    return failed(
        f"{key} is applied twice: by Kustomization {named}",
        "each would overwrite what the other applies, and prune it when it leaves its own list",
        "let one of them list it",
        model.place_of(owners[-1]),
    )


def _conflicts(objects: Iterable[Resource]) -> Iterator[tuple[Key, list[Resource]]]:
    """Each object that more than one owner creates, with what each of them makes of it."""
    by_key: dict[Key, dict[tuple[str, str, str, str], Resource]] = {}
    for item in objects:
        annotations = mapping(item.data, "metadata", "annotations")
        # Hooks come and go: https://helm.sh/docs/topics/charts_hooks/
        is_owned = "helm.sh/hook" not in annotations and annotations.get(_SHARING) not in _NOT_OWNED
        # What is not found in a build, or built as by hand, is of nobody.
        is_applied = bool(item.helm_release or item.kustomization[0])
        if item.key.kind not in _SHARED and is_owned and is_applied:
            owner = (*item.release, *(("", "") if item.helm_release else item.kustomization))
            by_key.setdefault(item.key, {}).setdefault(owner, item)
    for key, owners in by_key.items():
        if len(owners) > 1:
            yield key, [item for _, item in sorted(owners.items(), key=lambda pair: pair[0])]


def _rivals(model: Model) -> Iterator[Outcome]:
    """Other people's releases of our charts, whose objects may have the names of ours."""
    for release in model.rivals:
        key = key_of(release.data)
        if release.objects is None:
            if not release.is_refused and release.error is not None:
                yield unknown(
                    f"HelmRelease {key.namespace}/{key.name} has a chart of ours too, and may create objects "
                    f"of the same names: {release.error.summary}",
                    cause_of(release.error),
                    release.error.hint,
                    model.place(release.path, release.data),
                )
            continue
        theirs = list(rendered_by(release))
        for app in model.apps:
            for item, other in _same(model.objects_of(app), theirs):
                by = f"HelmRelease {item.release.name}" if item.helm_release else item.path
                name = app.settings(model.settings).name
                yield failed(
                    f"{item.key} is created twice: by {by} and HelmRelease {key.namespace}/{key.name} "
                    f"({other.path})",
                    "the two would overwrite each other for ever, or Helm would refuse to take it over",
                    f"give ours another name ({app.name}.name: {name}-logs), or theirs",
                    model.place_of(item),
                )


def _same(ours: Sequence[Resource], theirs: Sequence[Resource]) -> Iterator[tuple[Resource, Resource]]:
    """The objects that both have, as each has them."""
    found = {id(item) for item in theirs}
    for _, owners in _conflicts([*ours, *theirs]):
        mine = [item for item in owners if id(item) not in found]
        other = [item for item in owners if id(item) in found]
        if mine and other:
            yield mine[0], other[0]
