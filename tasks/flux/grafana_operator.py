"""A Grafana that its operator runs: the object, and the labels by which data sources are told to be its own.

Facts about the operator: https://grafana.github.io/grafana-operator/docs/ and api/v1beta1 of
https://github.com/grafana/grafana-operator.
"""

import dataclasses
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from tasks.core.errors import RefusedError
from tasks.yaml.documents import dig, load_documents, mapping
from tasks.yaml.templates import MARKER

GROUP = "grafana.integreatly.org"
_API = re.compile(rf"(?m)^apiVersion:\s*[\"']?{re.escape(GROUP)}/v1beta1\b")
_OPERATOR = re.compile(r"(?m)^\s*(?:-\s+)?(?:chart|name|url):\s*[\"']?(?:\S*/)?grafana-operator\b")
_HINT = "or set grafana.manage to none, to leave Grafana out"


@dataclass(frozen=True)
class GrafanaInstance:
    """An object Grafana of the operator: its file, name and namespace (None where the file names none).

    ``labels`` are those that select it, and no other of the repository. ``path`` and ``name`` are those of
    a neighbour that names the instance where the object itself is not in the repository; ``is_seen`` is
    False then. ``crosses`` says that the neighbours reach it from whichever namespace.
    """

    path: str
    name: str
    namespace: str | None
    labels: Mapping[str, str] = field(default_factory=dict)
    is_seen: bool = True
    crosses: bool = False
    target: None = None

    def in_namespace(self, namespace: str) -> "GrafanaInstance":
        """The same instance in ``namespace``; what is reached from any namespace may be in another."""
        return self if self.crosses else dataclasses.replace(self, namespace=namespace)


@dataclass(frozen=True)
class _Object:
    path: str
    data: Mapping[str, Any]

    @property
    def name(self) -> str:
        return str(dig(self.data, "metadata", "name"))

    @property
    def namespace(self) -> str | None:
        found = dig(self.data, "metadata", "namespace")
        return found if isinstance(found, str) else None

    @property
    def selector(self) -> dict[str, str]:
        return _texts(mapping(self.data, "spec", "instanceSelector", "matchLabels"))


def find_instance(
    texts: Mapping[str, str], is_reconciled: Callable[[str], bool], wanted: str | None
) -> GrafanaInstance | RefusedError | None:
    """The Grafana of the operator among the YAML files ``texts``; None where nothing tells of any.

    ``wanted`` is the file that the settings name, None if they name none. Of several, those count that Flux
    is pointed at (``is_reconciled``).
    """
    # What the playbook wrote is no evidence of what is there.
    found = [
        item
        for path, text in texts.items()
        if _API.search(text) and MARKER not in text
        for item in _objects(path, text)
    ]
    grafanas = [item for item in found if item.data.get("kind") == "Grafana"]
    if wanted is not None:
        grafanas = [item for item in grafanas if item.path == wanted]
        if not grafanas:
            return None
    grafanas = [item for item in grafanas if is_reconciled(item.path)] or grafanas
    others = [item for item in found if item.data.get("kind") != "Grafana" and item.selector]
    if len(grafanas) > 1:
        listed = ", ".join(sorted(f"{item.name} ({item.path})" for item in grafanas))
        return RefusedError(
            f"several Grafanas of the operator: {listed}",
            f"set grafana.path to the file of the one that gets the data source, {_HINT}",
        )
    if grafanas:
        return _selected(grafanas[0], found, others)
    if others:
        return _named_by(others)
    holder = next((path for path, text in texts.items() if _is_operator(text)), None)
    if holder is None:
        return None
    return RefusedError(
        f"{holder} installs grafana-operator, and no Grafana of it is in the repository",
        f"commit the object Grafana that gets the data source, {_HINT}",
    )


def _objects(path: str, text: str) -> Iterator[_Object]:
    for document in load_documents(text):
        if isinstance(document, dict) and str(document.get("apiVersion")) == f"{GROUP}/v1beta1":
            yield _Object(path, document)


def _is_operator(text: str) -> bool:
    return "kind: HelmRelease" in text and _OPERATOR.search(text) is not None


def _texts(labels: Mapping[Any, Any]) -> dict[str, str]:
    """Labels that are texts, and hold no variable that Flux replaces later."""
    return {
        key: value
        for key, value in labels.items()
        if isinstance(key, str) and isinstance(value, str) and "${" not in f"{key}{value}"
    }


def _selected(
    grafana: _Object, found: list[_Object], others: list[_Object]
) -> GrafanaInstance | RefusedError:
    """The instance with the labels that its neighbours select it by, else with all of its own."""
    if mapping(grafana.data, "spec", "external"):
        return RefusedError(
            f"Grafana {grafana.name} ({grafana.path}) runs outside of the cluster (spec.external), where the "
            "operator installs no plugins",
            "install the plugin there by hand, and set grafana.manage to none",
        )
    own = _texts(mapping(grafana.data, "metadata", "labels"))
    used = Counter(
        tuple(sorted(item.selector.items())) for item in others if item.selector.items() <= own.items()
    )
    rivals = [item for item in found if item.data.get("kind") == "Grafana" and item is not grafana]
    for labels in (*(dict(pairs) for pairs, _ in used.most_common()), own):
        if labels and not any(
            labels.items() <= _texts(mapping(item.data, "metadata", "labels")).items() for item in rivals
        ):
            return GrafanaInstance(grafana.path, grafana.name, grafana.namespace, labels)
    reason = "has no label" if not own else "has no labels that are its alone"
    return RefusedError(
        f"no Grafana can be selected: {grafana.name} ({grafana.path}) {reason}",
        f"give it one (metadata.labels: {{dashboards: {grafana.name}}}), {_HINT}",
    )


def _named_by(others: list[_Object]) -> GrafanaInstance | RefusedError:
    """The instance that the data sources, dashboards and folders of the repository name."""
    used = Counter(tuple(sorted(item.selector.items())) for item in others)
    if len(used) > 1:
        listed = "; ".join(", ".join(f"{key}: {value}" for key, value in pairs) for pairs, _ in used.items())
        return RefusedError(
            f"several Grafanas are named by instanceSelector ({listed}), and none is in the repository",
            f"commit the object Grafana that gets the data source, {_HINT}",
        )
    crossing = [item for item in others if dig(item.data, "spec", "allowCrossNamespaceImport") is True]
    beside = [item for item in others if item not in crossing]
    first = (beside or others)[0]
    return GrafanaInstance(
        first.path,
        first.name,
        beside[0].namespace if beside else None,
        first.selector,
        is_seen=False,
        crosses=not beside,
    )
