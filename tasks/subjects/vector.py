"""Vector: its files, what its pipeline is made of, what its account must be allowed."""

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any, Final

from tasks.core.settings import Vector
from tasks.subjects.apps import APP_FOLDER, CHART_SOURCE, KS, KUSTOMIZATION, RELEASE, App
from tasks.subjects.parseable import guarded_revision
from tasks.yaml.documents import load_documents, mapping

RBAC: Final = f"{APP_FOLDER}rbac.yaml"
CONFIG_MAP: Final = f"{APP_FOLDER}configmap.yaml"
# The way to the servers that know the login which Vector sends.
LOGIN_SERVICE: Final = f"{APP_FOLDER}loginservice.yaml"
VECTOR = App(
    "vector",
    (KS, KUSTOMIZATION, CHART_SOURCE, RBAC, CONFIG_MAP, LOGIN_SERVICE, RELEASE),
    settings=lambda settings: settings.vector,
    charts=lambda layout: layout.vector_charts,
    only_if={LOGIN_SERVICE: lambda workspace: guarded_revision(workspace) is not None},
)

# The type of the source that reads the logs of pods, and what it watches:
# https://vector.dev/docs/reference/configuration/sources/kubernetes_logs/
LOG_SOURCE: Final = "kubernetes_logs"
WATCHED = ("pods", "namespaces", "nodes")

# The transforms of the pipeline: the first makes the columns, the other joins the lines of a message.
REMAP: Final = "add_k8s_metadata"
JOIN: Final = "join_lines"
# How long the next line of a message is waited for, in milliseconds.
_WAIT = 1000
_LONGEST = 500


def label_columns(vector: Vector) -> str:
    """The columns of labels with the label of each, as a map in VRL: `.k8s.label.<column>`."""
    return _columns(vector.label_columns)


def json_columns(vector: Vector) -> str:
    """The columns of fields of JSON messages with the field of each, as a map in VRL: `.json.<column>`."""
    return _columns(vector.json_columns)


def _columns(names: str | None) -> str:
    chosen = names.split(",") if names else []
    return json.dumps({re.sub(r"[^A-Za-z0-9_]", "_", name): name for name in chosen})


def joining(vector: Vector) -> dict[str, object] | None:
    """The transform that joins the lines of a message; None if none are to be joined.

    A message begins with the line that the pattern matches, and ends before the next such line, after a
    second without another, or with 500 lines:
    https://vector.dev/docs/reference/configuration/transforms/reduce/
    """
    if vector.first_lines is None:
        return None
    # Vector replaces variables in its configuration; a "$" that is none is written twice.
    pattern = vector.first_lines.replace("$", "$$")
    return {
        "type": "reduce",
        "inputs": [REMAP],
        "group_by": ["file", "stream"],
        "merge_strategies": {"message": "concat_newline"},
        "starts_when": f"match(string(.message) ?? \"\", r'{pattern}')",
        "expire_after_ms": _WAIT,
        "max_events": _LONGEST,
    }


def last_transform(vector: Vector) -> str:
    """The transform whose output is sent."""
    return REMAP if vector.first_lines is None else JOIN


def config_checksum(text: str) -> str:
    """The checksum of the configuration in the ConfigMap ``text``: `checksum_of` its data."""
    (document,) = load_documents(text)
    return checksum_of(mapping(document, "data"))


def checksum_of(data: Mapping[str, Any]) -> str:
    """The SHA-256 of the data of a ConfigMap, whatever the order of its keys.

    The pods of Vector carry it in an annotation, so that other data make other pods.
    """
    return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()
