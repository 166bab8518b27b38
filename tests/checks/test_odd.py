"""Odd documents: each is a finding about itself; what does not depend on it is judged as before."""

import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import redirect_stdout, suppress
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from checks.model import Model, Stage, judge
from checks.registry import CHECKS
from tasks import commands
from tasks.core.errors import PlaybookError
from tasks.core.outcomes import Status, Verdict
from tasks.effects.git import Git
from tasks.effects.repository import Repository
from tasks.effects.s3 import Bucket, BucketFacts
from tasks.workspace import Workspace
from tests.checks.test_links import (
    CASES,
    OURS,
    Place,
    _programs,  # noqa: F401
    answers,  # noqa: F401
    chart_cache,  # noqa: F401
    finished,  # noqa: F401
    mirror,  # noqa: F401
    place,  # noqa: F401
)
from tests.tools import helm_folder  # noqa: F401

ODD: list[dict[str, Any]] = yaml.safe_load((CASES / "odd/documents.yaml").read_text(encoding="utf-8"))
OUR_FILES = ("/parseable/", "/vector/", "repos/parseable.yaml", "repos/vector.yaml")
KEYS_OF_A_CASE = {
    *("name", "files", "replace", "with", "write"),
    *("at", "found", "line", "spoils", "spoils_if_ours", "refused"),
}
Told = tuple[str, str, str, str]


def told(verdicts: Sequence[Verdict]) -> set[Told]:
    return {(one.id, str(one.outcome.status), one.outcome.evidence, one.outcome.place) for one in verdicts}


@pytest.mark.parametrize(
    ("case", "file"),
    [(case, file) for case in ODD for file in case["files"]],
    ids=lambda value: value["name"] if isinstance(value, dict) else value.rpartition("apps/")[2],
)
def test_an_odd_document_is_told_and_hides_nothing_else(
    case: Mapping[str, Any],
    file: str,
    place: Place,  # noqa: F811
) -> None:
    assert case.keys() <= KEYS_OF_A_CASE
    before = told(place.link())
    path = place.root / file
    text = path.read_text()
    assert text.count(case["replace"]) == 1
    path.write_text(text.replace(case["replace"], case["with"]))
    for name, written in case.get("write", {}).items():
        (place.root / name).write_text(written)
    verdicts = place.link()
    now = told(verdicts)
    assert not [one for one in verdicts if one.outcome.status is Status.ERROR]
    where = case.get("at", file)
    is_ours = any(part in where for part in OUR_FILES)
    if "found" in case:
        found = [one.outcome for one in verdicts if case["found"] in one.outcome.evidence]
        assert {one.status for one in found} == {Status.FAIL if is_ours else Status.NOTE}
        assert all(one.place.startswith(f"{where}:") for one in found)
        assert all(case["line"] in place.line(one.place) for one in found)
    if "refused" in case:
        stopping = [one.outcome for one in verdicts if one.outcome.stops_push]
        assert any(case["refused"] in one.evidence and one.status is Status.FAIL for one in stopping)
        return
    spoilt = {
        "documents",
        "objects",
        *case.get("spoils", ()),
        *(case.get("spoils_if_ours", ()) if is_ours else ()),
    }
    assert {one[0] for one in before ^ now} <= spoilt


# --- any value at any place -------------------------------------------------------------------------------

TEXTS = st.sampled_from(
    [
        "",
        "text",
        "a\nb",
        "${X}",
        "{{ x }}",
        "../..",
        "/etc",
        "https://host.test/x.yaml",
        "\u2028",
        "null",
        "5",
    ]
)
KEYS = st.one_of(
    st.sampled_from(["a", "name", "kind", "data", "metadata", "env", "key", "spec", "url"]),
    st.integers(),
    st.none(),
)
SCALARS = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), TEXTS)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(KEYS, inner, max_size=2),
    max_leaves=5,
)


def places_in(data: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The paths of all values in ``data``."""
    yield path
    pairs = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for key, value in pairs:
        yield from places_in(value, (*path, key))


def with_value(data: Any, path: tuple[Any, ...], value: Any) -> Any:
    """``data`` with ``value`` at ``path``."""
    if not path:
        return value
    if isinstance(data, dict):
        return {key: with_value(one, path[1:], value) if key == path[0] else one for key, one in data.items()}
    return [with_value(one, path[1:], value) if at == path[0] else one for at, one in enumerate(data)]


def load(path: Path) -> list[Any]:
    return list(yaml.safe_load_all(path.read_text(encoding="utf-8")))


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_no_value_at_any_place_is_a_bug(data: st.DataObject, place: Place) -> None:  # noqa: F811
    files = sorted(path for path in place.root.rglob("*.yaml") if ".git" not in path.parts)
    path = data.draw(st.sampled_from(files))
    text = path.read_text(encoding="utf-8")
    documents = load(path)
    number = data.draw(st.integers(0, len(documents) - 1))
    at = data.draw(st.sampled_from(list(places_in(documents[number]))))
    documents[number] = with_value(documents[number], at, data.draw(VALUES))
    path.write_text(yaml.safe_dump_all(documents, sort_keys=False), encoding="utf-8")
    try:
        stage = data.draw(st.sampled_from((Stage.WRITTEN, Stage.BUILT, Stage.RENDERED)))
        model = Model(workspace(place), stage, whole_repository=data.draw(st.booleans()))
        broken = [
            one.outcome.evidence
            for one in judge(CHECKS.values(), model)
            if one.outcome.status is Status.ERROR
        ]
        assert broken == []
        with pytest.MonkeyPatch.context() as patch, redirect_stdout(io.StringIO()):
            patch.setattr(commands, "_workspace", lambda *_: workspace(place))
            patch.setattr(Bucket, "facts", lambda _: BucketFacts(exists=True, rules=(OURS,)))
            patch.setenv("S3_ACCESS_KEY_ID", "access-of-owner")
            patch.setenv("S3_SECRET_ACCESS_KEY", "secret-of-owner")
            with suppress(PlaybookError):
                commands.status(place.settings, commands.Options(as_json=data.draw(st.booleans())))
    finally:
        path.write_text(text, encoding="utf-8")


def workspace(place: Place) -> Workspace:  # noqa: F811
    made = Workspace(place.settings, Repository(Git(place.root)))
    made.bucket_facts = BucketFacts(exists=True, rules=(OURS,))
    return made
