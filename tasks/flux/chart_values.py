"""Values that a Helm chart would silently ignore: neither among its defaults nor read by its templates.

What a template could reach in a way that is not plain from its text counts as known.
"""

import re
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from tasks.effects import archives
from tasks.yaml.documents import load_documents, merged

Path = tuple[str, ...]

# None of these is to take more than one look at each sign, whatever the text: a word is looked at from its
# start only, and what is not closed goes on to the end of the text.
_VALUES = re.compile(r"(?<![\w$.)])[\w$.)]*\.Values\b((?:\.[^\W\d]\w*)*)")
_FIELD = re.compile(r"\.([^\W\d]\w*)")
_LITERAL = re.compile(r"\"((?:\\.|[^\"\\])*+)(?:\"|\\?\Z)|`([^`]*+)(?:`|\Z)", re.DOTALL)
_COMMENT = re.compile(r"\{\{-?\s*/\*.*?(?:(\*/\s*-?\}\})|\Z)", re.DOTALL)
_DEFINED = re.compile(r"\b(?:define|block)\s+[\"`]([^\"`]+)[\"`]")
# A chart's own files are included by the path of its templates.
_INCLUDED = re.compile(
    r"\b(?:include|template|block)\s+(?:[\"`]([^\"`]+)[\"`]|(?!\(\s*print\s+\$?\.Template\.BasePath)(?=[^\s\"`]))"
)
_NAMED = re.compile(r"\b(?:include|template|define|block)\s+(?:\"[^\"]*\"|`[^`]*`)")
# An action may hold "}}" in a string, or a quote that opens none: what either reading sees counts as read.
_ACTIONS = (
    re.compile(r"\{\{.*?(?:\}\}|\Z)", re.DOTALL),
    re.compile(r"\{\{(?>\"(?:\\.|[^\"\\])*+(?:\"|\\?\Z)|`[^`]*+(?:`|\Z)|(?!\}\}).)*+(?:\}\}|\Z)", re.DOTALL),
)
_LONGEST_TEST = 1000
_DEEPEST_PATH = 100
# Charts that are in use have some MiB of them, with all CRDs, dashboards and subcharts.
_MOST_TEMPLATES = 16 << 20
_TEST_WORDS = {"and", "or", "not", "(", ")"}
# Helm hands these to every chart, or reads them itself.
_ALWAYS_KNOWN = {"global", "tags", "exports"}
# By convention these hold anchors for other values.
_ANCHOR_PREFIXES = ("x-", "_", ".")
_NO_TEMPLATES = ("ci", "docs", "examples", "charts")
_NO_TEMPLATE_ENDS = (".md", ".gotmpl", ".lock", ".schema.json")


@dataclass(frozen=True)
class UnknownValue:
    """A value that the chart never reads."""

    path: Path
    elsewhere: tuple[str, ...]
    """Where the chart knows a key of that name, next to the root, as dotted paths; empty if nowhere."""


@dataclass(frozen=True)
class ChartFiles:
    """What of a chart decides which values it reads."""

    name: str
    defaults: Mapping[str, Any]
    readable: bool = True
    """Whether the defaults could be read: without them every value counts as known."""
    is_library: bool = False
    templates: tuple[str, ...] = ()
    dependencies: tuple[Mapping[str, Any], ...] = ()
    subcharts: Mapping[str, "ChartFiles"] = field(default_factory=dict)


@dataclass(frozen=True)
class _Reads:
    """What templates read: exact paths from the root, and names whose path is not plain."""

    below: frozenset[Path]
    """Paths that are read, with all that lead there."""
    whole: frozenset[Path]
    """Paths that are used as a whole, so that anything below them may be read."""
    names: frozenset[str]


def read_chart(archive: bytes) -> ChartFiles:
    """The chart in a packed ``archive`` (.tgz).

    Raises:
        ValueError: It is no packed chart, or one that takes too much to read.
    """
    try:
        files = archives.unpacked(archive)
    except archives.ArchiveError as error:
        raise ValueError(f"not a packed chart: {error}") from error
    if sum(len(content) for path, content in files.items() if _may_be_template(path)) > _MOST_TEMPLATES:
        raise ValueError(
            f"it has more than {_MOST_TEMPLATES >> 20} MiB of templates, too much to look through"
        )
    if "Chart.yaml" not in files:
        raise ValueError("not a packed chart: it holds no Chart.yaml")
    return _chart(files)


def unknown_values(chart: ChartFiles, values: Mapping[str, Any]) -> list[UnknownValue]:
    """The highest of the ``values`` that the ``chart`` would ignore; None only removes a default."""
    return list(_unknown_in_chart(chart, chart.defaults, values, _reads(_strings(values)), ()))


def _chart(files: Mapping[str, bytes]) -> ChartFiles:
    about = _first_mapping(files.get("Chart.yaml", b"")) or {}
    # A chart of the first API version lists its dependencies in a file of their own.
    listed = about.get("dependencies") or (_first_mapping(files.get("requirements.yaml", b"")) or {}).get(
        "dependencies"
    )
    text = files.get("values.yaml", b"")
    defaults = _first_mapping(text)
    return ChartFiles(
        name=str(about.get("name", "")),
        defaults=defaults or {},
        readable=defaults is not None,
        is_library=about.get("type") == "library",
        templates=tuple(
            content.decode(errors="replace") for path, content in files.items() if _may_be_template(path)
        ),
        dependencies=tuple(item for item in listed or () if isinstance(item, dict)),
        subcharts={sub.name: sub for sub in _subcharts(files)},
    )


def _subcharts(files: Mapping[str, bytes]) -> Iterator[ChartFiles]:
    folders: dict[str, dict[str, bytes]] = {}
    for path, content in files.items():
        head, _, rest = path.partition("/")
        name, _, inner = rest.partition("/")
        if head == "charts" and inner:
            folders.setdefault(name, {})[inner] = content
    yield from (_chart(inner) for inner in folders.values() if "Chart.yaml" in inner)


def _may_be_template(path: str) -> bool:
    """Whether Helm renders the file, or a template may (`.Files.Get`, and defaults that are rendered)."""
    return (
        path.partition("/")[0] not in _NO_TEMPLATES
        and not path.endswith(_NO_TEMPLATE_ENDS)
        and path != "Chart.yaml"
    )


def _first_mapping(text: bytes) -> Mapping[str, Any] | None:
    documents = load_documents(text.decode(errors="replace"))
    return documents[0] if documents and isinstance(documents[0], dict) else None


def _unknown_in_chart(
    chart: ChartFiles, defaults: Mapping[str, Any], values: Mapping[str, Any], given: _Reads, prefix: Path
) -> Iterator[UnknownValue]:
    """``given`` is what the values read themselves, ``prefix`` where the chart's values are in the whole."""
    imports = any(item.get("import-values") for item in chart.dependencies)
    subcharts = _subchart_keys(chart)
    own = {key: value for key, value in values.items() if key not in subcharts}
    reads = _join(_reads(_rendered_with(chart)), _conditions(chart), given)
    if chart.readable and defaults and not imports:
        plain = {key: value for key, value in defaults.items() if key not in subcharts}
        for path in _unknown(plain, own, reads, ()):
            yield UnknownValue(prefix + path, _elsewhere(path, plain, reads, prefix))
    for key, value in values.items():
        subchart = subcharts.get(key)
        if subchart is None or not isinstance(value, dict):
            continue
        over = defaults.get(key)
        its = merged(subchart.defaults, over) if isinstance(over, dict) else subchart.defaults
        inner = _join(_within(reads, key), given)
        yield from _unknown_in_chart(subchart, its, value, inner, (*prefix, key))


def _subchart_keys(chart: ChartFiles) -> dict[str, ChartFiles | None]:
    """The keys that hold the values of subcharts; None for one whose files are not in the archive."""
    keys: dict[str, ChartFiles | None] = {}
    for item in chart.dependencies:
        subchart = chart.subcharts.get(str(item.get("name")))
        keys[str(item.get("alias") or item.get("name"))] = subchart
        # The name of a dependency that has an alias stays known.
        keys.setdefault(str(item.get("name")), subchart)
    return {**chart.subcharts, **keys}


def _conditions(chart: ChartFiles) -> _Reads:
    """What Helm itself reads to decide which subcharts it renders."""
    paths = {
        tuple(path.strip().split(".")[:_DEEPEST_PATH])
        for item in chart.dependencies
        for path in str(item.get("condition") or "").split(",")
        if path.strip()
    }
    return _Reads(frozenset(_leading(paths)), frozenset(paths), frozenset())


def _rendered_with(chart: ChartFiles) -> tuple[str, ...]:
    """The chart's templates, and those of its subcharts that may be rendered with the chart's own values."""
    texts = list(chart.templates)
    others = [(text, set(_DEFINED.findall(text))) for text in _templates_below(chart)]
    wanted: set[str | None] = set()
    fresh = texts
    while fresh and others:
        wanted |= {
            match[1]
            for text in fresh
            for action in _ACTIONS[0].findall(text)
            for match in _INCLUDED.finditer(action)
        }
        # A name that is put together may be any.
        fresh = [text for text, defined in others if None in wanted or wanted & defined]
        others = [(text, defined) for text, defined in others if None not in wanted and not wanted & defined]
        texts = texts + fresh
    return tuple(texts)


def _templates_below(chart: ChartFiles) -> Iterator[str]:
    for subchart in chart.subcharts.values():
        yield from subchart.templates
        yield from _templates_below(subchart)


def _reads(texts: tuple[str, ...]) -> _Reads:
    used: set[Path] = set()
    whole: set[Path] = set()
    names: set[str] = set()
    for commented in texts:
        text = _COMMENT.sub(lambda comment: "" if comment[1] else comment[0], commented)
        tests = [match.span() for match in _ACTIONS[0].finditer(text) if _is_test(match.group())]
        starts = [start for start, _ in tests]
        for match in _VALUES.finditer(text):
            path = tuple(match.group(1).split(".")[1 : _DEEPEST_PATH + 1])
            used.add(path)
            before = bisect_right(starts, match.start())
            if not before or match.start() >= tests[before - 1][1]:
                whole.add(path)
        actions = {action for pattern in _ACTIONS for action in pattern.findall(text)}
        for action in actions:
            names.update(_FIELD.findall(_VALUES.sub(" ", action)))
            for literal in _LITERAL.findall(_NAMED.sub(" ", action)):
                names.update(re.split(r"[^\w-]+", "".join(literal)))
    if "Values" in names:
        whole.add(())
    return _Reads(frozenset(_leading(used)), frozenset(whole), frozenset(names))


def _is_test(action: str) -> bool:
    """Whether an action only asks whether values are set, so that nothing below them is read."""
    if len(action) > _LONGEST_TEST:
        return False
    words = re.findall(r"[()]|[^\s()]+", action.strip("{}").strip("-"))
    if words[:1] == ["else"]:
        words = words[1:]
    return words[:1] == ["if"] and all(word in _TEST_WORDS or _VALUES.fullmatch(word) for word in words[1:])


def _leading(paths: set[Path]) -> set[Path]:
    return {path[:length] for path in paths for length in range(1, len(path) + 1)}


def _join(*several: _Reads) -> _Reads:
    return _Reads(
        frozenset().union(*(reads.below for reads in several)),
        frozenset().union(*(reads.whole for reads in several)),
        frozenset().union(*(reads.names for reads in several)),
    )


def _within(reads: _Reads, key: str) -> _Reads:
    """What a chart's templates read of the values of its subchart."""
    return _Reads(
        frozenset(path[1:] for path in reads.below if path[:1] == (key,) and len(path) > 1),
        # The whole of the parent's values is no reading of any one of a subchart's.
        frozenset(path[1:] for path in reads.whole if path[:1] == (key,)),
        frozenset(),
    )


def _unknown(
    defaults: Mapping[str, Any], values: Mapping[str, Any], reads: _Reads, at: Path
) -> Iterator[Path]:
    if at in reads.whole:
        return
    for key, value in values.items():
        path = (*at, str(key))
        if value is None or (not at and _is_exempt(path[0])):
            continue
        if key in defaults:
            default = defaults[key]
            # An empty map, a list or a scalar says nothing about what may be below.
            if isinstance(default, dict) and default and isinstance(value, dict):
                yield from _unknown(default, value, reads, path)
        elif not _is_read(path, value, reads):
            yield path


def _is_exempt(key: str) -> bool:
    return key in _ALWAYS_KNOWN or key.startswith(_ANCHOR_PREFIXES)


def _is_read(path: Path, value: object, reads: _Reads) -> bool:
    if path[-1] in reads.names:
        return True
    if path not in reads.below:
        return False
    # Of a map that is only asked for, the content is ignored.
    deeper = any(len(other) > len(path) and other[: len(path)] == path for other in reads.below)
    return not isinstance(value, dict) or path in reads.whole or deeper


def _elsewhere(path: Path, defaults: Mapping[str, Any], reads: _Reads, prefix: Path) -> tuple[str, ...]:
    """Where the defaults have the name, next to the root; only if they do not, where templates read it."""
    places = [place for place in _places(defaults, ()) if place[-1] == path[-1] and place != path]
    if not places:
        places = sorted(place for place in reads.below if place[-1] == path[-1] and place != path)
    nearest = min(map(len, places), default=0)
    return tuple(".".join((*prefix, *place)) for place in places if len(place) == nearest)


def _places(defaults: Mapping[str, Any], at: Path) -> Iterator[Path]:
    for key, value in defaults.items():
        yield (*at, str(key))
        if isinstance(value, dict):
            yield from _places(value, (*at, str(key)))


def _strings(value: object) -> tuple[str, ...]:
    """The texts among values: a chart may render them as templates."""
    if isinstance(value, str):
        return (value,)
    items = value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ()
    return tuple(text for item in items for text in _strings(item))
