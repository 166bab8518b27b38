import difflib
import re
from pathlib import Path

import pytest

from tasks.yaml.diff import unified_diff
from tasks.yaml.masking import masked
from tasks.yaml.templates import MANIFESTS, render

ROOT = Path(__file__).resolve().parents[2]


def test_a_new_file_comes_from_nothing() -> None:
    shown = unified_diff("a/b.yaml", None, "x: 1\n").splitlines()
    assert shown == ["--- /dev/null", "+++ b/a/b.yaml", "@@ -0,0 +1 @@", "+x: 1"]


def test_an_edit_shows_only_what_is_near() -> None:
    before = "".join(f"line{number}: {number}\n" for number in range(20))
    shown = unified_diff("a.yaml", before, before.replace("line9: 9\n", "line9: changed\n"))
    assert "-line9: 9" in shown
    assert "line2:" not in shown


@pytest.mark.parametrize(
    "line",
    [
        "adminPassword: hunter2hunter2",
        "  client_secret: 'hunter2hunter2'",
        "- token: hunter2hunter2",
        'api_key: "hunter2hunter2"  # hm',
        "GF_DATABASE_PASSWORD: hunter2hunter2",
    ],
)
def test_values_of_secrets_nearby_are_not_shown(line: str) -> None:
    shown = unified_diff("a.yaml", f"{line}\n", f"{line}\nx: 1\n")
    assert "hunter2" not in shown
    assert "(not shown)" in shown
    assert "+x: 1" in shown


@pytest.mark.parametrize(
    "line",
    [
        "basicAuthPassword: $PARSEABLE_PASSWORD",
        "existingSecretName:",
        "secretKeyRef: {name: a, key: b}",
        "automountServiceAccountToken: true",
        "secretRef:",
    ],
)
def test_what_only_points_at_a_secret_is_shown(line: str) -> None:
    assert f"+{line}" in unified_diff("a.yaml", "x: 1\n", f"x: 1\n{line}\n")


def test_a_changed_secret_says_that_it_changed() -> None:
    before = "a: 1\npassword: hunter2\nb: 2\n"
    shown = unified_diff("a.yaml", before, before.replace("hunter2", "hunter3")).splitlines()
    assert shown[3:] == [" a: 1", "-password: (not shown)", "+password: (not shown, changed)", " b: 2"]
    shown = unified_diff("a.yaml", before, before.replace("hunter2", "|\n  hunter3\n  x")).splitlines()
    assert shown[4:8] == ["-password: (not shown)", "+password: |", "+  (not shown)", "+  (not shown)"]


def test_a_secret_that_only_moves_did_not_change() -> None:
    shown = unified_diff("a.yaml", "password: hunter2\na: 1\n", "a: 1\npassword: hunter2\n")
    assert "changed" not in shown


def test_a_line_is_hidden_where_it_is_secret_on_one_side() -> None:
    before = "env:\n  - name: PASSWORD\n    value: hunter2 hunter2\n"
    for one, other in (
        (before, before.replace("PASSWORD", "LEVEL")),
        (before.replace("PASSWORD", "X"), before),
    ):
        assert "hunter2" not in unified_diff("a.yaml", one, other)


def test_a_secret_of_one_side_is_hidden_on_the_other() -> None:
    shown = unified_diff("a.yaml", "password: Hunter2-hunter2\n", "level: Hunter2-hunter2\n")
    assert shown.splitlines()[-2:] == ["-password: (not shown)", "+level: (not shown)"]


def test_the_rest_of_a_diff_is_that_of_diff() -> None:
    before = "".join(f"line{number}: {number}\n" for number in range(40))
    after = before.replace("line9: 9\n", "line9: x\nmore: 1\n").replace("line30: 30\n", "")
    wanted = difflib.unified_diff(before.splitlines(), after.splitlines(), "a/x", "b/x", lineterm="")
    assert unified_diff("x", before, after).splitlines() == list(wanted)
    assert unified_diff("x", before, before) == ""


def test_our_own_manifests_are_shown_as_they_are() -> None:
    for path in (ROOT / "tasks/demo/sample").rglob("*.yaml"):
        text = path.read_text(encoding="utf-8")
        assert masked(text) == text, path
    texts = [path.read_text(encoding="utf-8") for path in MANIFESTS.rglob("*.yaml")]
    values = {name: "parseable-s3-secret" for text in texts for name in re.findall(r"\$\{(\w+)\}", text)}
    # A key with a name of its own is hidden as that name says.
    values["vector_config_map"] = "vector-config"
    for path in MANIFESTS.rglob("*.yaml"):
        text = render(path.read_text(encoding="utf-8"), values)
        assert masked(text) == text, path
