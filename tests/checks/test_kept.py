"""Figures that owners committed count as those of the settings; what nobody decided does not."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from checks.model import Check, Model, Stage, judge
from checks.parseable import has_resources
from checks.vector import sink_posts_to_parseable
from tasks.core.outcomes import Outcome, Status
from tasks.kube.keys import key_of
from tasks.kube.pods import pods_of
from tasks.kube.resources import Resource
from tests.checks.deployed import deployed, edit, model_of, workspace_of
from tests.subjects.test_settled import CONFIG, RELEASE, commit, owner
from tests.subjects.test_settled import committed as committed  # noqa: PLC0414 (a fixture)
from tests.subjects.test_settled import root as root  # noqa: PLC0414 (a fixture)

__all__ = ["deployed"]


class _Rendered(Model):
    """The server with the resources that the release gives it, as the chart would hand them on."""

    def pods_of(self, app: object) -> list[Any]:
        release = yaml.safe_load(self.text(RELEASE))
        container = {
            "name": "parseable",
            "resources": release["spec"]["values"]["parseable"]["resources"],
        }
        made = {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "parseable"},
            "spec": {"template": {"spec": {"containers": [container]}}},
        }
        return list(pods_of([Resource(key_of(made, "monitoring"), made, RELEASE)]))

    def place_of(self, item: Resource, *path: str | int) -> str:
        return RELEASE


def of_resources(root: Path) -> Outcome:
    return asked(has_resources, _Rendered(workspace_of(root)))


def asked(run: Callable[[Model], Outcome], model: Model) -> Outcome:
    (verdict,) = judge([Check("any", "", Stage.WRITTEN, run)], model)
    return verdict.outcome


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("memory: 2Gi", "memory: 3Gi", "memory limit 3Gi"),
        ("cpu: 500m", "cpu: 250m", "CPU request 250m"),
        ("cpu: null", 'cpu: "2"', "memory limit 2Gi"),
    ],
)
def test_a_figure_that_its_owner_committed_is_accepted(root: Path, old: str, new: str, told: str) -> None:
    assert of_resources(root).status is Status.PASS
    edit(root, RELEASE, old, new)
    # As long as it is not committed it is nobody's decision.
    assert of_resources(root).status is Status.FAIL
    commit(root, "by hand")
    found = of_resources(root)
    assert found.status is Status.PASS, found.evidence
    assert told in found.evidence


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("memory: 2Gi", "memory: null", "resources.limits.memory is not set"),
        ("memory: 2Gi", "memory: much", "resources.limits.memory is 'much'"),
        ("          memory: 2Gi\n", "", "resources.limits.memory is not set"),
    ],
)
def test_what_no_setting_would_take_is_not(root: Path, old: str, new: str, told: str) -> None:
    owner(root, RELEASE, old, new)
    found = of_resources(root)
    assert found.status is Status.FAIL
    assert told in found.evidence


def test_what_the_playbook_wrote_for_other_settings_is_not(root: Path) -> None:
    owner(root, RELEASE, "memory: 2Gi", "memory: 3Gi", "x\n\nDeployed-by: parseable-playbook")
    assert of_resources(root).status is Status.FAIL


def test_the_size_of_a_buffer(root: Path) -> None:
    edit(root, CONFIG, "max_size: 1073741824", "max_size: 2147483648")
    assert asked(sink_posts_to_parseable, model_of(root)).status is Status.FAIL
    commit(root, "by hand")
    found = asked(sink_posts_to_parseable, model_of(root))
    assert found.status is Status.PASS, found.evidence
    assert "a disk buffer of 2147483648 bytes" in found.evidence
    # Too small for Vector, and for the setting.
    owner(root, CONFIG, "max_size: 2147483648", "max_size: 1024")
    assert asked(sink_posts_to_parseable, model_of(root)).status is Status.FAIL
