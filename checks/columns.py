"""What of an event reaches Parseable: arrays multiply it or lose it, and maps without end make columns.

The remap programs are read, not run: what of the source's metadata is copied, deleted, or made a text on the
way to the sink. What cannot be read that way is unknown.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from checks.answers import judged
from checks.model import Cause, Model, Outcome, passed, unknown
from checks.pipeline import Pipeline, is_input, pipeline_of
from checks.vector import to_parseable
from tasks.subjects.vector import LOG_SOURCE
from tasks.yaml.documents import dig, items, mapping

_ARRAY = "an array: it multiplies the event, or loses it where it is empty"
_MAP = (
    "a map that others fill: each key is a column, and one with 'time' or 'date' in its name refuses batches"
)
_PARSED = "whatever the application logs: columns without end, and arrays"
# What the source adds that is no single text, and the option that names it:
# https://vector.dev/docs/reference/configuration/sources/kubernetes_logs/
_METADATA = {
    ("pod_annotation_fields", "pod_ips"): ("kubernetes.pod_ips", _ARRAY),
    ("pod_annotation_fields", "pod_labels"): ("kubernetes.pod_labels", _MAP),
    ("pod_annotation_fields", "pod_annotations"): ("kubernetes.pod_annotations", _MAP),
    ("namespace_annotation_fields", "namespace_labels"): ("kubernetes.namespace_labels", _MAP),
    ("node_annotation_fields", "node_labels"): ("kubernetes.node_labels", _MAP),
}
# Transforms that let events through as they are, but for what their options merge.
PASSING = {"filter", "dedupe", "throttle", "sample", "route", "exclusive_route", "reduce"}
_PATH = r"\.[A-Za-z_@][\w@-]*(?:\.[\w@-]+)*"
_NAME = r"[a-z_]\w*(?:\.[\w@-]+)*"
COMMENT = re.compile(r"(?m)(^|\s)#[^\n]*")
_QUOTED = re.compile(r"""(?P<before>\.?)(?:[rst]?'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")""")
_ASSIGNED = re.compile(
    rf"(?<![\w.=!<>])(?P<left>{_PATH}|[a-z_]\w*|\.)(?:\s*,\s*\w+)?\s*(?P<merged>\|?)=(?![=~>])\s*"
)
_DELETED = re.compile(rf"\bdel\(\s*({_PATH})")
# Functions that make one text, number or truth of whatever they get, or a map of known keys.
MAKES_ONE = re.compile(
    r"\b(?:encode_\w+|to_(?!object)\w+|format_\w+|is_\w+|sha\d\w*|string|int|float|bool|timestamp|join|length|strlen|"
    r"truncate|seahash|md5|hmac|match\w*|contains\w*|exists|includes|starts_with|ends_with|get|upcase|downcase|"
    r"slice|replace|now|parse_(?!json|logfmt|key_value|xml|cef|query_string|csv|regex_all)\w+)!?\("
)
_LISTING = re.compile(r"\b(?:split|keys|values|push|append|parse_csv|parse_regex_all)!?\(")
_LIST = re.compile(r"(?:^|[\s,(:])\[")
_KEY = re.compile(r"(\bset!?\([^,]+,)\s*\[[^\]]*\]")
_CALLED = re.compile(r"\b[a-z_]\w*!?\(")
_PARSING = re.compile(r"\bparse_(?:json|logfmt|key_value|xml|cef|query_string)!?\(")
_TAKEN = re.compile(rf"(?<![\w.@-])(?P<what>{_PATH}|{_NAME})(?![\w.@(\[-]|!\()")
_ALL = re.compile(r"(?<![\w.)\]])\.(?![\w@])")


# What an event holds that is no single text, or a variable: each path with what is wrong with it.
Held = dict[str, str]


def columns_are_fixed(model: Model) -> Outcome:
    """No array, and no map whose keys others choose, is among what is sent."""
    own, (pipeline, sink, _) = pipeline_of(model), to_parseable(model)
    held: Held = {}
    doubts: list[str] = []
    for name, source in own.components("sources", LOG_SOURCE).items():
        # Where the agents hand their logs to another Vector, all of their transforms count.
        is_own = pipeline.holder.key == own.holder.key
        path = _between(own, name, sink if is_own else {"inputs": ["*"]})
        if is_own and not path and not is_input(sink, name):
            # Nothing of it is sent at all, which is told elsewhere.
            continue
        if not is_own:
            path += pipeline.transforms_to(sink).values()
        found = metadata(source)
        for transform in path:
            if transform.get("type") == "remap" and isinstance(transform.get("source"), str):
                found = remapped(found, transform["source"])
            elif transform.get("type") not in PASSING:
                doubts.append(str(transform.get("type")))
        held |= _encoded(found, sink)
    if doubts:
        return unknown(
            f"what is sent cannot be told behind a transform of type {', '.join(dict.fromkeys(doubts))}",
            Cause.CLUSTER,
            "look at the columns of the stream in Parseable",
        )
    return judged(
        [
            f"{', '.join(f'.{path}' for path in held if held[path] == why)} is sent, {why}"
            for why in dict.fromkeys(held.values())
        ],
        passed("only texts are sent: no array, and no map that others fill"),
        consequence="lines would be stored twice or not at all, or refused together with those of other pods",
        remedy="invoke task-008",
        place=model.place_with(own.holder, "transforms:"),
    )


def metadata(source: Mapping[str, Any]) -> Held:
    """What the source kubernetes_logs adds to each event that is no single text."""
    given = {place: dig(source, *option) for option, (place, _) in _METADATA.items()}
    return {
        (place if given[place] is None else str(given[place]).lstrip(".")): why
        for place, why in _METADATA.values()
        if given[place] != ""
    }


def _between(pipeline: Pipeline, source: str, sink: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The transforms between a source and a sink."""
    found: dict[str, Mapping[str, Any]] = {}
    for name, transform in pipeline.transforms_to(sink).items():
        if any(is_input(transform, one) for one in (source, *found)):
            found[name] = transform
    return list(found.values())


def remapped(held: Held, source: str) -> Held:
    """What an event holds after the remap program ``source``.

    >>> remapped({"kubernetes.pod_ips": "an array"}, "del(.kubernetes)")
    {}
    """
    # A quoted part of a path stays a part of it; any other text says nothing here.
    program = _QUOTED.sub(lambda found: f"{found['before']}_", COMMENT.sub(r"\1", source))
    variables: dict[str, Held] = {}
    steps = [*_ASSIGNED.finditer(program), *_DELETED.finditer(program)]
    for found in sorted(steps, key=lambda one: one.start()):
        if found.re is _DELETED:
            held = _without(held, found[1].strip("."))
            continue
        right = _reduced(until_closed(program, found.end(), "\n;"))
        taken = dict(_taken(held, variables, right))
        if not found["left"].startswith("."):
            variables[found["left"]] = taken
            continue
        path = found["left"].strip(".")
        if not found["merged"]:
            held = _without(held, path) if path else dict(held) if _ALL.search(right) else {}
        held = held | {f"{path}{rest}".lstrip(".") or "*": why for rest, why in taken.items()}
    return held


def _without(held: Held, path: str) -> Held:
    return {name: why for name, why in held.items() if name != path and not name.startswith(f"{path}.")}


def until_closed(text: str, start: int, ends: str = "") -> str:
    """``text`` from ``start`` up to the bracket that closes more than was opened, or to one of ``ends``."""
    depth = 0
    for place in range(start, len(text)):
        letter = text[place]
        depth += (letter in "([{") - (letter in ")]}")
        if depth < 0 or (depth == 0 and letter in ends):
            return text[start:place]
    return text[start:]


def _reduced(right: str) -> str:
    """The value of an assignment without what is made one text, number or truth in it."""
    right = _KEY.sub(r"\1 _", right)
    while one := next((found for found in _CALLED.finditer(right) if _is_one(right, found)), None):
        right = f"{right[: one.start()]}_{right[_end(right, one) :]}"
    return right


def _end(text: str, call: re.Match[str]) -> int:
    """Where the brackets of a call end."""
    return call.end() + len(until_closed(text, call.end())) + 1


def _is_one(text: str, call: re.Match[str]) -> bool:
    """Whether a call gives one text, number or truth, or an element of a list is taken."""
    return bool(MAKES_ONE.match(call[0])) or (
        bool(_LISTING.match(call[0])) and text[_end(text, call) :].startswith("[")
    )


def _taken(held: Held, variables: Mapping[str, Held], right: str) -> Iterator[tuple[str, str]]:
    """What a value holds that is no single text: the rest of its path, and what is wrong with it."""
    if _PARSING.search(right):
        yield ".*", _PARSED
    if _LISTING.search(right) or _LIST.search(right):
        yield "", _ARRAY
    for found in _TAKEN.finditer(right):
        name, _, rest = found["what"].partition(".")
        known = variables.get(name, {}) if name else held
        path = f".{rest}" if name and rest else rest
        for key, why in known.items():
            if key == path or key.startswith(f"{path}.") or not path:
                yield key[len(path) :], why


def _encoded(held: Held, sink: Mapping[str, Any]) -> Held:
    """What the sink sends of it: https://vector.dev/docs/reference/configuration/sinks/http/#encoding."""
    encoding = mapping(sink, "encoding")
    for path in items(encoding, "except_fields"):
        held = _without(held, _plain(path))
    only = [_plain(path) for path in items(encoding, "only_fields")]
    return {
        path: why
        for path, why in held.items()
        if not only or any(path == one or path.startswith(f"{one}.") for one in only)
    }


def _plain(path: object) -> str:
    return str(path).replace('"', "").strip(".")
