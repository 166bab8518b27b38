"""The API server: whether it takes the objects, in the versions that they name, each from one owner."""

import dataclasses
from collections.abc import Iterator

from checks.kinds import FLUX, is_custom, unproved
from checks.model import Model, Outcome, as_note, failed, passed, unknown
from tasks.core.errors import UnavailableError
from tasks.flux.layout import api_age, newest_apis
from tasks.kube.custom import Definitions
from tasks.kube.keys import Key
from tasks.kube.resources import ReleaseName, Resource
from tasks.kube.rules import Fault, faults
from tasks.kube.schemas import schema_faults
from tasks.yaml.documents import dig, items, mapping

_REFUSED = "the API server would refuse it, and nothing that is applied with it would arrive"
_DROPPED = "the field would be refused, or dropped without a word"
# Helm installs CRDs only where there are none yet: https://helm.sh/docs/chart_best_practices/custom_resource_definitions/
_SHARED = {"CustomResourceDefinition"}


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
            yield outcome if item.path in model.ours or item.kustomization in own else as_note(model, outcome)
    if unanswered is not None:
        yield unknown(
            f"the schemas of {looked} objects: {unanswered.summary}", unanswered.cause, unanswered.hint
        )
    yield from model.pods_and_gaps(*model.apps)[1]
    yield passed(f"{looked} objects agree with their schemas")


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
    """Nothing is both a plain manifest and part of a release, or part of two releases."""
    for key, owners in _conflicts(model.judged):
        named = " and ".join(
            f"HelmRelease {owner.name}" if owner.name else item.path for owner, item in owners
        )
        rendered = next(item for owner, item in owners if owner.name)
        yield failed(
            f"{key} is created twice: by {named}",
            "the two would overwrite each other for ever, or Helm would refuse to take it over",
            "switch it off in the values (create: false), or take the manifest out",
            model.place_of(rendered),
        )
    yield from model.pods_and_gaps(*model.apps)[1]
    yield passed("no object is both rendered and written down, or rendered twice")


def _conflicts(objects: tuple[Resource, ...]) -> Iterator[tuple[Key, list[tuple[ReleaseName, Resource]]]]:
    by_key: dict[Key, dict[ReleaseName, Resource]] = {}
    for item in objects:
        # Hooks come and go: https://helm.sh/docs/topics/charts_hooks/
        is_hook = "helm.sh/hook" in mapping(item.data, "metadata", "annotations")
        if item.key.kind not in _SHARED and not is_hook:
            by_key.setdefault(item.key, {}).setdefault(item.release, item)
    for key, owners in by_key.items():
        if len(owners) > 1:
            yield key, sorted(owners.items(), key=lambda pair: pair[0])
