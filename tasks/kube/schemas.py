"""What the schemas of Kubernetes' own kinds forbid; they are files of the package kubernetes-validate."""

import base64
import difflib
import importlib.util
import json
import re
from collections.abc import Iterator, Mapping
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any, Literal

from tasks.core.errors import UnavailableError
from tasks.core.packages import install_command
from tasks.kube.rules import Fault
from tasks.kube.rules import Path as Place

Schema = Mapping[str, Any]

_HINT = install_command("kubernetes-validate")
# "strict" are those that list every field an object may have.
_FOLDER = re.compile(r"v(\d+)\.(\d+)\.\d+-local-strict")
# What no author decides: the server sets one, sops adds the other to a file.
_NOT_OURS = {"status", "sops"}
# Required by the schema, but the empty value, which a missing one decodes to, passes the server's validation
# (pkg/apis/core/validation/validation.go).
_MAY_MISS = {
    ("io.k8s.api.core.v1.HTTPHeader", "value"),
    ("io.k8s.api.core.v1.ISCSIPersistentVolumeSource", "lun"),
    ("io.k8s.api.core.v1.ISCSIVolumeSource", "lun"),
    ("io.k8s.api.core.v1.LimitRangeSpec", "limits"),
    ("io.k8s.api.core.v1.PreferredSchedulingTerm", "preference"),
    ("io.k8s.api.core.v1.SleepAction", "seconds"),
    ("io.k8s.api.core.v1.Sysctl", "value"),
}
# Numbers to the YAML reader of Kubernetes, text to ours: 1e+06, as Helm writes large ones, and 0o644.
_GO_NUMBER = re.compile(r"[-+]?(?:0o[0-7]+|\d+(?:\.\d*)?[eE][-+]?\d+)")
_IN_QUOTES = re.compile(r"-?\d+(?:\.\d+)?|true|false")
_WORDS = {
    "array": "a list",
    "boolean": "a boolean",
    "integer": "an integer",
    "number": "a number",
    "object": "a map",
    "string": "a string",
}
_NUMBERS = {"integer", "number"}
_PLAIN = {"boolean", *_NUMBERS}
# Our YAML reader makes dates and bytes of what is text to Kubernetes.
_TYPES: Mapping[str, Any] = {"array": list, "boolean": bool, "object": Mapping, "string": str | date | bytes}


def knows(item: Mapping[str, Any]) -> bool:
    """Whether there is a schema for the object's kind and API version.

    There is none for custom resources, nor for versions that the newest Kubernetes no longer serves.

    Raises:
        UnavailableError: the package is not installed.
    """
    return _key(item) in _kinds()


def schema_faults(item: Mapping[str, Any]) -> list[Fault]:
    """What the schema of the object's kind forbids; nothing if there is no schema.

    Wrong types and missing fields are refused by every API server. A field that does not exist is refused
    where validation is strict (kubectl; server-side apply: "field not declared in schema") and else dropped
    without a word, as Flux's kustomize-controller does with built-in kinds (fluxcd/pkg, ssa/normalize).
    Texts with a ``${variable}``, what sops encrypted, nulls and the status are not judged; the texts of the
    faults repeat no values.

    Raises:
        UnavailableError: the package is not installed.
    """
    name = _kinds().get(_key(item))
    if name is None:
        return []
    return faults_by(item, _definitions()[name])


def faults_by(item: Mapping[str, Any], schema: Schema) -> list[Fault]:
    """What ``schema`` forbids of an object, in the sense of ``schema_faults``.

    Of JSON Schema it may use ``type``, ``properties``, ``required``, ``items``, ``additionalProperties``,
    ``oneOf`` with types, ``enum`` with texts, and the format ``byte``.
    """
    ours = {key: value for key, value in item.items() if key not in _NOT_OURS}
    return list(_misfits(ours, schema, ()))


def _key(item: Mapping[str, Any]) -> tuple[str, str]:
    return str(item.get("apiVersion")), str(item.get("kind"))


@cache
def _kinds() -> dict[tuple[str, str], str]:
    """The names of the schemas by API version and kind."""
    return {
        ("/".join(filter(None, (one["group"], one["version"]))), one["kind"]): name
        for name, schema in _definitions().items()
        for one in schema.get("x-kubernetes-group-version-kind", ())
    }


@cache
def _definitions() -> dict[str, Schema]:
    """The schemas of the newest Kubernetes that the package knows, by name."""
    # Only its files are wanted: to import the package would take longer than to read them.
    spec = importlib.util.find_spec("kubernetes_validate")
    found = [
        (int(match[1]), int(match[2]), path)
        for location in (spec and spec.submodule_search_locations) or ()
        for path in (Path(location) / "kubernetes-json-schema").glob("v*")
        if (match := _FOLDER.fullmatch(path.name))
    ]
    if not found:
        raise UnavailableError("the schemas of Kubernetes (kubernetes-validate) are not installed", _HINT)
    text = (max(found)[2] / "_definitions.json").read_text(encoding="utf-8")
    schemas: dict[str, Schema] = json.loads(text)["$defs"]
    return {name: {**schema, "required": _needed(name, schema)} for name, schema in schemas.items()}


def _needed(name: str, schema: Schema) -> list[str]:
    """The fields without which an object is refused; a missing boolean cannot be told from false."""
    return [
        field
        for field in schema.get("required", ())
        if (name, field) not in _MAY_MISS and schema["properties"][field].get("type") != "boolean"
    ]


def _misfits(value: object, schema: Schema, place: Place) -> Iterator[Fault]:
    """What does not fit, by the few words of JSON Schema that these schemas are written in.

    The package's own ``validate`` reads all schemas anew for each object, stops at the first fault, and takes
    the custom resource ``apps.example.com/v1`` Deployment for the built-in one.
    """
    if value is None or _is_open(value):
        return
    if "$ref" in schema:
        schema = _definitions()[schema["$ref"].rpartition("/")[2]]
    wanted = _types(schema)
    if wanted and not any(_is_a(value, name) for name in wanted):
        yield Fault(place, _mismatch(value, wanted))
    elif isinstance(value, Mapping):
        yield from _fields(value, schema, place)
    elif isinstance(value, list):
        for at, one in enumerate(value):
            yield from _misfits(one, schema.get("items", {}), (*place, at))
    elif value not in schema.get("enum", (value,)):
        yield Fault(place, f"must be {' or '.join(schema['enum'])}")
    elif schema.get("format") == "byte" and isinstance(value, str) and not _is_base64(value):
        yield Fault(place, "is not base64")


def _fields(value: Mapping[Any, object], schema: Schema, place: Place) -> Iterator[Fault]:
    known: Mapping[str, Schema] = schema.get("properties", {})
    others: Schema | Literal[False] = schema.get("additionalProperties", {})
    for key, one in value.items():
        at = (*place, str(key))
        if key in known:
            yield from _misfits(one, known[key], at)
        elif others is not False:
            yield from _misfits(one, others, at)
        elif not _is_open(key):
            yield Fault(at, _unknown(str(key), known))
    for key in schema.get("required", ()):
        if value.get(key) is None:
            yield Fault((*place, key), "Required value")


def _types(schema: Schema) -> list[str]:
    """The types that are allowed, but for null; none if all are."""
    names: list[str] = []
    for one in (schema, *schema.get("oneOf", ())):
        kinds = one.get("type", [])
        names += [kinds] if isinstance(kinds, str) else kinds
    return [name for name in names if name != "null"]


def _is_a(value: object, name: str) -> bool:
    if name not in _NUMBERS:
        return isinstance(value, _TYPES[name])
    if isinstance(value, str):
        return bool(_GO_NUMBER.fullmatch(value))
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return name == "number" or not value % 1


def _mismatch(value: object, wanted: list[str]) -> str:
    found = next((name for name in _WORDS if _is_a(value, name)), "string")
    text = f"{_WORDS[found]} where {' or '.join(map(_WORDS.__getitem__, wanted))} is expected"
    if wanted == ["string"] and found in _PLAIN:
        return f"{text}: put it in quotes"
    if found == "string" and _PLAIN & set(wanted) and _IN_QUOTES.fullmatch(str(value)):
        return f"{text}: take the quotes off"
    return text


def _unknown(name: str, known: Mapping[str, Schema]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    return f"there is no field `{name}`" + (f"; did you mean `{near[0]}`?" if near else "")


def _is_open(value: object) -> bool:
    """Whether a text stands for another one: a variable that Flux substitutes, or what sops encrypted."""
    return isinstance(value, str) and ("${" in value or value.startswith("ENC["))


def _is_base64(text: str) -> bool:
    try:
        # Line breaks are skipped, as Go's decoder does.
        base64.b64decode(text.replace("\r", "").replace("\n", ""), validate=True)
    except ValueError:
        return False
    return True
