"""Another set of versions, and more than one server, as whole commands on a rollout that is there."""

from pathlib import Path

import pytest

from tests.later_charts import write_later_charts
from tests.playground import APPS, Playground
from tests.tools import helm_folder as helm_folder  # noqa: PLC0414 (a fixture)
from tests.whole.test_verify import OPEN, Deployment

SECRET = f"{APPS}/parseable/app/secret.sops.yaml"
BUDGET = f"{APPS}/parseable/app/poddisruptionbudget.yaml"


@pytest.fixture
def deployed(done: Playground, helm_folder: Path) -> Deployment:
    deployment = Deployment(done, helm_folder)
    write_later_charts(deployment.charts)
    return deployment


def test_a_rollout_goes_to_another_set_and_to_several_servers(deployed: Deployment) -> None:
    play, secret = deployed.play, deployed.play.read(SECRET)
    deployed.write_settings(versions={"set": "current"})
    done = deployed.run("all", "--yes")
    assert done.code == 0, done.err
    assert play.remote_head() == play.head()
    assert "Upgrade the chart of Parseable from 1.6.5 to 3.2.1" in play.git("log", "-1", "--format=%b")
    # The keys that the chart wants are not made up beside the documented ones.
    assert play.read(SECRET) == secret
    asked = deployed.run("verify", "--json")
    assert asked.code == 0, asked.err
    answers = {check["id"] for check in asked.data["checks"] if check["status"] != "pass"}
    assert answers | {"remap"} == OPEN
    assert deployed.run("plan").code == 0

    more = {"mode": "distributed", "ingestors": 2, "staging_class": "fast"}
    deployed.write_settings(versions={"set": "current"}, parseable=more)
    assert deployed.run("all", "--yes").code == 0
    assert {"poddisruptionbudget.yaml", "helmrelease.yaml"} <= {
        path.rpartition("/")[2] for path in play.git("show", "--format=", "--name-only").splitlines()
    }
    assert "  - ./poddisruptionbudget.yaml\n" in play.read(f"{APPS}/parseable/app/kustomization.yaml")


def test_what_a_mode_needs_is_a_wrong_setting(deployed: Deployment) -> None:
    deployed.write_settings(parseable={"mode": "distributed", "staging_class": "fast"})
    done = deployed.run("plan", "--json")
    assert done.code == 2
    assert done.data["error"]["message"] == (
        "the set of versions 'documented' has no mode 'distributed' (parseable.mode)"
    )
    assert done.data["error"]["hint"] == "set versions.set to current"
