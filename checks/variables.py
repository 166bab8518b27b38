"""Variables of Flux: whether their sources are where Flux looks for them, and all that is used is set."""

from collections.abc import Iterator, Mapping
from typing import Any

from checks.flux import applied
from checks.model import Cause, Model, Outcome, as_note, failed, passed, unknown
from checks.references import maker_of
from tasks.flux.cluster import Cluster
from tasks.flux.kustomizations import FluxKustomization, is_flux_kustomization
from tasks.flux.substitution import has_variable
from tasks.kube.keys import key_of
from tasks.yaml.documents import dig, items


def variables_are_set(model: Model) -> Iterator[Outcome]:
    """Every source of variables exists, and no variable in what is ours, or leads to it, is left unset."""
    ours = applied(model)
    for found in model.clusters:
        own = [item for cluster, item in ours if cluster is found]
        keys = {item.key for item in own}
        grafana = [item for item in found.kustomizations if model.grafana_file in item.files]
        way = found.holders(*own, *grafana)
        for item in way:
            for position, source in enumerate(items(item.spec, "postBuild", "substituteFrom")):
                if dig(source, "optional") is not True:
                    where = model.place(item.path, item.data, "spec", "postBuild", "substituteFrom", position)
                    yield _source(model, found, item, source, where)
        leading = {(item.key, item.path) for item in way}
        for item, one in found.built():
            path = one.path or item.path
            is_way = is_flux_kustomization(one.data) and (key_of(one.data)[2:], path) in leading
            if one.unset and (item.key in keys or is_way or path == model.grafana_file):
                outcome = _unset(model, one.data, path, one.unset)
                yield as_note(model, outcome) if path == model.grafana_file else outcome
    yield passed("every source of variables exists, and nothing of ours uses one that nobody sets")


def _unset(model: Model, data: Mapping[str, Any], path: str, names: tuple[str, ...]) -> Outcome:
    shown = ", ".join(f"${{{name}}}" for name in names)
    return failed(
        f"{key_of(data)}: {shown} {'is' if len(names) == 1 else 'are'} set by no source of variables",
        "Flux would replace it by an empty text and report nothing",
        "set it, or give it a default (${NAME:=…}); if Flux is not to replace it, write $${NAME} or annotate "
        "the object with kustomize.toolkit.fluxcd.io/substitute: disabled",
        model.place_in(path, f"${{{names[0]}"),
    )


def _source(
    model: Model, found: Cluster, item: FluxKustomization, source: Mapping[str, Any], where: str
) -> Outcome:
    """Whether one source of variables is in the namespace of the Kustomization, as the build gives it."""
    kind, name, namespace = str(dig(source, "kind")), str(dig(source, "name")), item.key[0]
    wanted = f"{kind} {namespace}/{name}"
    if has_variable(name) or kind not in ("ConfigMap", "Secret"):
        return unknown(f"{wanted} of substituteFrom cannot be looked up", Cause.CLUSTER, place=where)
    shown = found.shown(kind, name)
    if namespace in shown:
        return passed(f"{item.path}: {wanted} is in {shown[namespace]}")
    maker = maker_of(model, namespace, name)
    if maker is not None:
        return passed(f"{item.path}: {wanted} is made from {maker.key}")
    own = {other.key for _, other in applied(model)}
    users = [
        other
        for other in found.kustomizations
        if other.key[0] == namespace
        and other.key not in own
        and any(
            (dig(one, "kind"), dig(one, "name")) == (kind, name)
            for one in items(other.spec, "postBuild", "substituteFrom")
        )
    ]
    gap = next((gap for gap in found.gaps if gap.may_hold(kind, namespace, name)), None)
    if gap is None and shown and not users:
        near = ", ".join(
            f"{path} (namespace {place or 'of whoever lists it'})" for place, path in shown.items()
        )
        return failed(
            f"Kustomization {item.key[1]} gets variables from {wanted}, which is not there: it is in {near}",
            "Flux would not build the Kustomization, and apply nothing of it",
            f"put it into {namespace} too, or take it out of substituteFrom (or: optional: true)",
            where,
        )
    reason = "" if gap is None else f"; {gap.what}, which may hold it, is not known: {gap.reason}"
    return unknown(
        f"Kustomization {item.key[1]} gets variables from {wanted}, which the repository does not show"
        f"{reason}",
        Cause.CLUSTER if gap is None else gap.cause,
        f"kubectl get {kind.lower()} -n {namespace} {name}",
        where,
    )
