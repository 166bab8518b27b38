"""Taking an edit back: what stays, what clashes; git's own merge agrees wherever it finds no conflict."""

import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tasks.yaml.undo import undo

LIST = "resources:\n  - ./grafana/ks.yaml\n  - ./redis/ks.yaml\n"
OURS = LIST.replace("  - ./redis", "  - ./parseable/ks.yaml\n  - ./vector/ks.yaml\n  - ./redis")
VALUES = "values:\n  datasources:\n    - name: Loki\n      url: http://loki\n  image: 1.0\n"
ENTRY = "    - name: Parseable\n      url: http://parseable\n"
WITH_ENTRY = VALUES.replace("  image", f"{ENTRY}  image")


@pytest.mark.parametrize(
    ("before", "after", "now", "wanted"),
    [
        pytest.param(LIST, OURS, OURS, LIST, id="as it was left"),
        pytest.param(LIST, OURS, LIST, LIST, id="taken back already"),
        pytest.param(
            LIST,
            OURS,
            OURS.replace("  - ./grafana", "  - ./argo/ks.yaml\n  - ./grafana"),
            LIST.replace("  - ./grafana", "  - ./argo/ks.yaml\n  - ./grafana"),
            id="an entry elsewhere",
        ),
        pytest.param(
            LIST,
            OURS,
            OURS.replace("  - ./redis", "  - ./zot/ks.yaml\n  - ./redis"),
            LIST.replace("  - ./redis", "  - ./zot/ks.yaml\n  - ./redis"),
            id="an entry right behind",
        ),
        pytest.param(
            LIST,
            OURS,
            OURS.replace("  - ./parseable", "  - ./argo/ks.yaml\n  - ./parseable"),
            LIST.replace("  - ./redis", "  - ./argo/ks.yaml\n  - ./redis"),
            id="an entry right before",
        ),
        pytest.param(
            LIST,
            OURS,
            OURS.replace("  - ./vector", "  - ./pgpool/ks.yaml\n  - ./vector"),
            LIST.replace("  - ./redis", "  - ./pgpool/ks.yaml\n  - ./redis"),
            id="an entry between ours",
        ),
        pytest.param(
            VALUES, WITH_ENTRY, WITH_ENTRY.replace("1.0", "1.1"), VALUES.replace("1.0", "1.1"), id="next line"
        ),
        pytest.param("a: 1\nb: 2\n", "a: 9\nb: 2\n", "a: 9\nb: 3\n", "a: 1\nb: 3\n", id="a value beside"),
        pytest.param("a: 1\nb: 2\n", "b: 2\n", "b: 3\n", None, id="a line that lost its place"),
        pytest.param(
            "a: 1\nb: 2\nc: 3\n", "b: 2\nc: 3\n", "b: 2\nc: 4\n", "a: 1\nb: 2\nc: 4\n", id="put back"
        ),
        pytest.param("a: 1", "a: 1\nb: 2", "a: 1\nb: 2\n", None, id="the end of the last line"),
        pytest.param(
            VALUES, WITH_ENTRY, WITH_ENTRY.replace("http://parseable", "http://other"), None, id="our line"
        ),
        pytest.param(
            VALUES,
            WITH_ENTRY,
            WITH_ENTRY.replace("  image", "      isDefault: true\n  image"),
            None,
            id="a line below our entry",
        ),
        pytest.param(
            VALUES,
            WITH_ENTRY,
            WITH_ENTRY.replace("      url: http://parseable", "      uid: x\n      url: http://parseable"),
            None,
            id="a line in our entry",
        ),
        pytest.param(
            LIST, OURS, OURS.replace("./vector/ks.yaml", "./vector/ks.yaml # ours"), None, id="a comment"
        ),
        pytest.param(LIST, OURS, OURS.replace("  - ./vector/ks.yaml\n", ""), None, id="one line gone"),
        pytest.param("a: 1\n", "a: 2\n", "a: 3\n", None, id="the same value"),
        pytest.param(
            LIST,
            OURS,
            LIST.replace("  - ./grafana", "  - ./vector/ks.yaml\n  - ./parseable/ks.yaml\n  - ./grafana"),
            None,
            id="moved",
        ),
    ],
)
def test_what_is_left(before: str, after: str, now: str, wanted: str | None) -> None:
    done = undo(before, after, now)
    assert (None if done.clashes else done.text) == wanted
    assert all(clash in now for clash in done.clashes)


def test_a_clash_says_what_stands_there_now() -> None:
    now = WITH_ENTRY.replace("http://parseable", "http://other")
    assert undo(VALUES, WITH_ENTRY, now).clashes == ("    - name: Parseable\n      url: http://other\n",)


LINES = st.lists(st.sampled_from("abcdefghijkl"), unique=True, max_size=8).map(
    lambda names: "".join(f"{name}\n" for name in names)
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(before=LINES, after=LINES, now=LINES)
def test_git_agrees_where_it_finds_no_conflict(before: str, after: str, now: str, tmp_path: Path) -> None:
    for name, text in (("before", before), ("after", after), ("now", now)):
        (tmp_path / name).write_text(text)
    merged = subprocess.run(
        ("git", "merge-file", "-p", "-q", "now", "after", "before"),
        check=False,
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    done = undo(before, after, now)
    if done.clashes:
        return
    lines = [set(text.split()) for text in (before, after, now, merged.stdout, done.text)]
    added, theirs = lines[1] - lines[0], lines[2] - lines[1]
    # Where others moved a line of ours, git may take it for one of theirs.
    if merged.returncode == 0 and not added & lines[3]:
        assert done.text == merged.stdout
    assert not added & lines[4], "a line of ours is left"
    assert theirs <= lines[4], "a line of others is gone"
