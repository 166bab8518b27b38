from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from tasks.core.errors import SettingsError
from tasks.core.settings import (
    DOCUMENTED,
    ENVIRONMENT,
    SECTIONS,
    Flux,
    Layer,
    Settings,
    environment,
    load,
)

ROOT = Path(__file__).resolve().parents[2]
INVOKE_YAML = (ROOT / "invoke.yaml").read_text(encoding="utf-8")

# section, what the file says, the message and the hint it must produce
WRONG = yaml.safe_load((ROOT / "tests/cases/settings/wrong.yaml").read_text(encoding="utf-8"))


def from_file(data: object) -> Settings:
    assert isinstance(data, dict)
    return load([Layer("my.yaml", data)], ["run"])


def test_the_file_of_defaults_says_what_the_code_says() -> None:
    documented = yaml.safe_load(INVOKE_YAML)
    assert {section: vars(getattr(DOCUMENTED, section)) for section in SECTIONS} == documented


def test_the_file_of_defaults_can_be_read_in_every_locale() -> None:
    # Invoke reads it in that of the terminal.
    assert INVOKE_YAML.isascii()


def test_every_default_has_a_comment() -> None:
    bare = [
        line
        for line in INVOKE_YAML.splitlines()
        if line.startswith("  ") and ": " in line and "#" not in line
    ]
    # What needs no comment says all with its name.
    assert all(any(word in line for word in NAMES_SAY_IT) for line in bare), bare


NAMES_SAY_IT = (
    "interval", "timeout", "endpoint", "region", "bucket", "chart_", "image", "secret", "_request",
    "memory_limit", "config_map", "batch_", "retry_", "plugin_", "datasource_",
)  # fmt: skip


def test_later_layers_win_and_the_rest_stays() -> None:
    found = load(
        [Layer("a", {"s3": {"bucket": "one", "region": "x"}}), Layer("b", {"s3": {"bucket": "two"}})]
    )
    assert (found.s3.bucket, found.s3.region, found.s3.endpoint) == ("two", "x", DOCUMENTED.s3.endpoint)


def test_invokes_own_sections_are_passed_over() -> None:
    assert from_file({"run": {"echo": True}}) == DOCUMENTED


def test_a_shared_file_may_hold_sections_of_other_projects() -> None:
    assert load([Layer("~/.invoke.yaml", {"other": 1}, shared=True)]) == DOCUMENTED


@pytest.mark.parametrize("case", WRONG, ids=lambda case: case["message"][:50])
def test_wrong_settings(case: dict[str, object]) -> None:
    assert set(case) == {"data", "message", "hint"}
    with pytest.raises(SettingsError) as caught:
        from_file(case["data"])
    assert (caught.value.summary, caught.value.hint) == (case["message"], case["hint"])
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("INVOKE_S3_BUKET", "x", "unknown setting 'INVOKE_S3_BUKET' in the environment"),
        (
            "INVOKE_S3_RETENTION_DAYS",
            "soon",
            "s3.retention_days in the environment (INVOKE_S3_RETENTION_DAYS) must be a whole number",
        ),
        (
            "INVOKE_CHARTS_MIRRORS",
            "{}",
            "charts.mirrors cannot be set in the environment (INVOKE_CHARTS_MIRRORS)",
        ),
    ],
)
def test_wrong_environment(variable: str, value: str, message: str) -> None:
    with pytest.raises(SettingsError) as caught:
        environment({variable: value})
    assert caught.value.summary == message


def test_right_environment() -> None:
    given = {"INVOKE_S3_RETENTION_DAYS": "7", "INVOKE_GITOPS_ISSUE": "12", "INVOKE_S3_BUCKET": "abc"}
    assert environment({**given, "INVOKE_RUN_ECHO": "1", "PATH": "/bin"}) == {
        "s3": {"retention_days": 7, "bucket": "abc"},
        "gitops": {"issue": 12},
    }


def test_a_wrong_value_from_the_environment_names_its_variable() -> None:
    with pytest.raises(SettingsError) as caught:
        load([Layer(ENVIRONMENT, environment({"INVOKE_S3_BUCKET": "Logs"}))])
    assert caught.value.summary.startswith("s3.bucket in the environment (INVOKE_S3_BUCKET) must be")


def test_names_that_meet_are_told_with_their_layers() -> None:
    layers = [Layer("a.yaml", {"vector": {"name": "parseable"}}), Layer(ENVIRONMENT, {})]
    with pytest.raises(SettingsError) as caught:
        load(layers)
    assert "are both 'parseable' (vector.name from a.yaml)" in caught.value.summary


@pytest.mark.parametrize("data", [{5: {}}, {None: {}}, {"s3": {5: "x"}}, {"charts": {"mirrors": {5: "x"}}}])
def test_keys_that_are_no_text(data: dict[object, object]) -> None:
    with pytest.raises(SettingsError):
        from_file(data)


def test_chosen_means_given_or_different_from_documented() -> None:
    documented = {"gitops": {"namespace": "monitoring", "apps": "kubernetes/apps/monitoring"}}
    defaults = {"gitops": {**documented["gitops"], "repositories": "kubernetes/flux/meta/repos"}}
    found = load([Layer("invoke.yaml", defaults, defaults=True), Layer("my.yaml", documented)])
    assert found == DOCUMENTED
    # Written out, and as documented: whoever writes it means it.
    assert found.chosen("gitops.namespace")
    assert found.chosen("gitops.apps")
    assert not found.chosen("gitops.repositories")
    assert from_file({"gitops": {"apps": "clusters/apps"}}).chosen("gitops.apps")
    assert replace(DOCUMENTED, flux=Flux(source="own")).chosen("flux.source")
    assert not load([Layer("invoke.yaml", defaults, defaults=True)]).chosen("gitops.apps")


def test_what_was_given_is_no_setting_itself() -> None:
    with pytest.raises(SettingsError, match="unknown setting 'given'"):
        from_file({"given": {"gitops.apps": "x"}})


def test_the_largest_and_the_smallest_that_is_taken() -> None:
    ends = {"s3": {"retention_days": 36500}, "parseable": {"port": 65535}, "flux": {"retries": 2**31 - 1}}
    taken = from_file(ends)
    assert (taken.s3.retention_days, taken.parseable.port, taken.flux.retries) == (36500, 65535, 2**31 - 1)
    for section, values in ends.items():
        ((name, most),) = values.items()
        # Parseable deletes two days before the bucket, and keeps a day at least.
        least = 3 if name == "retention_days" else 1
        assert getattr(getattr(from_file({section: {name: least}}), section), name) == least
        with pytest.raises(SettingsError, match=f"must be at most {most}") as caught:
            from_file({section: {name: most + 1}})
        assert caught.value.hint == f"it is {most + 1}"


def test_a_login_in_a_url_is_not_repeated() -> None:
    with pytest.raises(SettingsError) as caught:
        from_file({"s3": {"endpoint": "https://me:canary@s3.example.com"}})
    assert "canary" not in f"{caught.value.summary}{caught.value.hint}"
    assert caught.value.hint == "leave user and password out of it"


@pytest.mark.parametrize("key", ["gitops.issue", "gitops.remote", "parseable.cpu_limit"])
def test_nothing_is_taken_where_it_may_be_nothing(key: str) -> None:
    section, name = key.split(".")
    assert getattr(getattr(from_file({section: {name: None}}), section), name) is None
