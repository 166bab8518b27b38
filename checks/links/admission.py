"""Admission: whether the API server would take the objects, rendered and plain, of the versions they name."""

from collections.abc import Iterator

from checks.links.inventory import Inventory, Placed, inventory, place_of
from checks.model import Outcome, failed, noted, passed, unknown
from checks.objects import dig, items
from tasks.core.errors import RefusedError
from tasks.flux.layout import api_age, newest_apis
from tasks.kube.rules import Fault, faults
from tasks.kube.schemas import schema_faults
from tasks.subjects.flux import applied_files
from tasks.workspace import Workspace
from tasks.yaml.marks import line_of

_REFUSED = "the API server would refuse it, and nothing that is applied with it would arrive"
_DROPPED = "the field would be refused, or dropped without a word"


def objects_are_accepted(workspace: Workspace) -> Iterator[Outcome]:
    """What the schemas and the rules beside them refuse; other people's objects give notes."""
    found, ours = inventory(workspace), applied_files(workspace)
    looked, unanswered = 0, None
    for item in found.objects:
        looked += 1
        refused = faults(item.data)
        if unanswered is None:
            try:
                refused = _without_doubles([*refused, *schema_faults(item.data)])
            except RefusedError as error:
                unanswered = error
        for fault in refused:
            outcome = _refused(workspace, item, fault)
            yield outcome if item.path in ours or item.is_with_ours else noted(workspace, outcome)
    if unanswered is not None:
        yield unknown(f"the schemas of {looked} objects: {unanswered.summary}", unanswered.hint)
    elif looked:
        yield passed(f"{looked} objects agree with their schemas")


def _without_doubles(found: list[Fault]) -> list[Fault]:
    """One fault for a place: the rules' own words come first."""
    return list({fault.path: fault for fault in reversed(found)}.values())[::-1]


def _refused(workspace: Workspace, item: Placed, fault: Fault) -> Outcome:
    made = f" (release {item.release.name})" if item.release else ""
    text = workspace.repository.text(item.path)
    where = (
        f"{item.path}:{line_of(text, item.key.kind, item.key.name, *fault.path)}"
        if item.release is None
        else place_of(workspace, item)
    )
    path = ".".join(map(str, fault.path))
    return failed(
        f"{item.key}{made}: {path + ': ' if path else ''}{fault.text}",
        _DROPPED if "there is no field" in fault.text else _REFUSED,
        "change the values of the release" if item.release else "correct the manifest",
        where,
    )


def versions_are_served(workspace: Workspace) -> Iterator[Outcome]:
    """Our Flux objects use API versions that the repository shows the cluster to have."""
    found, ours = inventory(workspace), applied_files(workspace)
    # By whoever they were written: what is to be judged is no evidence.
    used = newest_apis(text for path, text in found.cluster.tree.texts.items() if path not in ours)
    for item in found.objects:
        kind, api = item.key.kind, str(item.data.get("apiVersion"))
        if item.path not in ours or kind not in used:
            continue
        served = _served(found, item)
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
            f"{item.path}:{line_of(workspace.repository.text(item.path), kind, item.key.name, 'apiVersion')}",
        )


def _served(found: Inventory, item: Placed) -> set[str]:
    """The API versions that a CRD of the repository has for the kind of ``item``; empty without a CRD."""
    return {
        f"{item.key.group}/{dig(version, 'name')}"
        for one in found.of_kind("CustomResourceDefinition")
        if dig(one.data, "spec", "group") == item.key.group
        and dig(one.data, "spec", "names", "kind") == item.key.kind
        for version in items(dig(one.data, "spec", "versions"))
        if dig(version, "served") is True
    }
