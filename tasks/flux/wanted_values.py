"""Values that a chart reads and nobody gives: neither a release nor its defaults. Found by rendering."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tasks.core.errors import RefusedError
from tasks.yaml.documents import dig, merged

# A look into what is not there, as helm words it; the value is named where it is read by its whole path.
_NIL = re.compile(r"at <\$?\.Values\.([\w.]+)>: nil pointer evaluating interface \{\}\.\w+")
_MOST = 30


@dataclass(frozen=True)
class Wanted:
    """Dotted paths of ``values``; ``then`` is why the chart does not render with them either, or empty."""

    values: tuple[str, ...]
    then: str


def wanted_values(
    said: str,
    defaults: Mapping[str, Any],
    values: Mapping[str, Any],
    render: Callable[[Mapping[str, Any]], object],
) -> Wanted:
    """What a chart wants that does not render with ``values``; helm ``said`` so.

    ``render`` raises a ``RefusedError`` where the chart does not render with the values that it is given.
    """
    found: list[str] = []
    # What a chart inside the chart calls its values lies elsewhere in those of the release.
    while (named := _NIL.search(said)) is not None and "/charts/" not in said and len(found) < _MOST:
        path = named[1]
        missing = _first_missing(merged(defaults, values), path.split("."))
        if missing is None:
            break
        # A shorter path that leads there is read on the way.
        found = [one for one in found if one != path] + [path]
        more: Mapping[str, Any] = {}
        for key in reversed(missing):
            more = {key: more}
        values = merged(values, more)
        try:
            render(values)
        except RefusedError as error:
            said = error.summary
        else:
            said = ""
    return Wanted(tuple(found), said if found else "")


def _first_missing(values: Mapping[str, Any], path: list[str]) -> list[str] | None:
    """The beginning of ``path`` up to the first value that is not there; None if only its last is missing."""
    for end in range(1, len(path)):
        if dig(values, *path[:end]) is None:
            return path[:end]
    return None
