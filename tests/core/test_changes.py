import pytest

from tasks.core.changes import unified_diff


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
