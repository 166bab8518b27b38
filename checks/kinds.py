"""Kinds that Kubernetes does not have of itself: what in the repository shows that the cluster has them."""

from collections.abc import Iterator, Mapping
from typing import Any

from checks.model import AnsweredError, Cause, Model, Outcome, unknown
from tasks.kube.keys import Key
from tasks.yaml.documents import dig, items, load_documents, mapping

# The groups of Kubernetes' own API server; those of Flux are served where Flux applies anything.
_OWN = {
    "", "apps", "autoscaling", "batch", "extensions", "policy", "admissionregistration.k8s.io",
    "apiextensions.k8s.io", "apiregistration.k8s.io", "authentication.k8s.io", "authorization.k8s.io",
    "certificates.k8s.io", "coordination.k8s.io", "discovery.k8s.io", "events.k8s.io",
    "flowcontrol.apiserver.k8s.io", "networking.k8s.io", "node.k8s.io", "rbac.authorization.k8s.io",
    "resource.k8s.io", "scheduling.k8s.io", "storage.k8s.io",
}  # fmt: skip
FLUX = ".toolkit.fluxcd.io"
# Charts that bring the kinds of a group, and what stands in the URLs of others that do:
# https://github.com/prometheus-community/helm-charts, https://github.com/prometheus-operator,
# https://grafana.github.io/grafana-operator/docs/installation/
_CHARTS = {
    "monitoring.coreos.com": (
        "kube-prometheus", "kube-prometheus-stack", "prometheus-operator", "prometheus-operator-crds",
    ),
    "grafana.integreatly.org": ("grafana-operator",),
    "external-secrets.io": ("external-secrets",),
}  # fmt: skip
_ELSEWHERE = {
    "monitoring.coreos.com": ("prometheus-operator/",),
    "grafana.integreatly.org": ("grafana/grafana-operator", "grafana-operator/grafana-operator"),
    "external-secrets.io": ("external-secrets/external-secrets",),
}


def is_custom(key: Key) -> bool:
    """Whether a kind is one that somebody must have brought into the cluster."""
    return key.group not in _OWN and not key.group.endswith(FLUX)


def unproved(model: Model, key: Key) -> Outcome | None:
    """What follows where nothing shows that the cluster knows the kind of ``key``; None if something does."""
    if any(True for _ in _evidence(model, key)):
        return None
    crd = f"{_plural(key.kind)}.{key.group}"
    charts = f", no chart known to bring it ({', '.join(names)})" if (names := _CHARTS.get(key.group)) else ""
    return unknown(
        f"{key}: whether the cluster knows {key.kind} of {key.group}; no CustomResourceDefinition {crd}"
        f"{charts} and nothing else of that group is applied by this repository. Without it Flux would "
        "refuse all that is applied with it",
        Cause.CLUSTER,
        f"kubectl get crd {crd}",
    )


def _plural(kind: str) -> str:
    return f"{kind.lower()[:-1]}ies" if kind.endswith("y") else f"{kind.lower()}s"


def _evidence(model: Model, key: Key) -> Iterator[str]:
    """What shows that the kinds of the group of ``key`` are known: they come together."""
    applied = _applied(model)
    for item in model.resources.objects:
        if item.path in applied and _shows(item.data, key, is_ours=item.path in model.ours):
            yield item.path
    for path, text in applied.items():
        # Most of the repository is not built, and tells by its texts.
        if path not in model.ours and key.group in text:
            if any(_shows(document, key, is_ours=False) for document in load_documents(text)):
                yield path
        elif any(word in text for word in _ELSEWHERE.get(key.group, ())):
            yield from _fetched(path, text, key.group)
    yield from _charts(applied, key)


def _shows(document: Any, key: Key, *, is_ours: bool) -> bool:
    """Whether an object defines the kind of ``key``, or is one of its group that somebody else has."""
    if dig(document, "kind") == "CustomResourceDefinition":
        names = dig(document, "spec", "group"), dig(document, "spec", "names", "kind")
        return names == (key.group, key.kind)
    return not is_ours and str(dig(document, "apiVersion")).rpartition("/")[0] == key.group


def _fetched(path: str, text: str, group: str) -> Iterator[str]:
    """``path`` if what it lists or takes its files from is the project that defines the kinds."""
    for document in load_documents(text):
        named = [dig(document, "spec", "url"), *items(document, "resources")]
        if any(word in str(one) for one in named for word in _ELSEWHERE[group]):
            yield path


def _applied(model: Model) -> Mapping[str, str]:
    """The texts that some Kustomization applies; all of them where it is not known which."""
    try:
        found = {
            path
            for cluster in model.clusters
            for item in cluster.kustomizations
            if not item.is_stray
            for path in (item.path, *item.files)
        }
    except AnsweredError:
        return model.tree.texts
    return {path: model.tree.texts[path] for path in sorted(found) if path in model.tree.texts}


def _charts(applied: Mapping[str, str], key: Key) -> Iterator[str]:
    """The files whose HelmReleases install a chart that brings the kind."""
    wanted = _CHARTS.get(key.group, ())
    named = {path: text for path, text in applied.items() if any(name in text for name in wanted)}
    sources = {
        str(dig(one, "metadata", "name"))
        for text in named.values()
        for one in load_documents(text)
        if dig(one, "kind") == "OCIRepository" and _last(dig(one, "spec", "url")) in wanted
    }
    for path, text in applied.items():
        if path not in named and not ("chartRef" in text and any(name in text for name in sources)):
            continue
        for one in load_documents(text):
            chart = _last(dig(one, "spec", "chart", "spec", "chart"))
            is_wanted = chart in wanted or dig(one, "spec", "chartRef", "name") in sources
            if dig(one, "kind") == "HelmRelease" and is_wanted and _brings(one, key):
                yield path


def _last(name: object) -> str:
    """The name of a chart without the path before it."""
    return str(name).rstrip("/").rpartition("/")[2]


def _brings(release: Any, key: Key) -> bool:
    """Whether a HelmRelease is not told to leave its definitions out."""
    crds = mapping(release, "spec", "values", "crds")
    switches = (crds.get("enabled"), dig(crds, _plural(key.kind), "enabled"))
    return False not in switches and dig(release, "spec", "install", "crds") != "Skip"
