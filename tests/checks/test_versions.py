"""Each set of versions meets every check, with charts of the shape of the real ones, and none by accident."""

import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from checks.model import judge
from checks.registry import CHECKS
from tasks.core.errors import SettingsError
from tasks.core.outcomes import Status, Verdict
from tasks.core.settings import DOCUMENTED, Charts, Settings, VersionsSettings
from tasks.flux import versions
from tasks.model import Model
from tests import shapes
from tests.charts import write_charts
from tests.checks.deployed import APPS, RELEASE, deploy, edit, workspace_of
from tests.checks.memory import Memory, remember
from tests.later_charts import write_later_charts
from tests.tools import helm_folder  # noqa: F401

REPOSITORIES = (
    "https://charts.parseable.com",
    "https://helm.vector.dev",
    "https://grafana.github.io/helm-charts",
)
SECRET = """\
apiVersion: v1
kind: Secret
metadata:
  name: parseable-s3-secret
  namespace: monitoring
stringData:
  S3_ACCESS_KEY_ID: ENC[AES256_GCM,data:x,iv:x,tag:x,type:str]
  S3_SECRET_ACCESS_KEY: ENC[AES256_GCM,data:x,iv:x,tag:x,type:str]
  username: ENC[AES256_GCM,data:x,iv:x,tag:x,type:str]
  password: ENC[AES256_GCM,data:x,iv:x,tag:x,type:str]
sops:
  age:
    - recipient: age1own
      enc: x
  mac: ENC[AES256_GCM,data:x,iv:x,tag:x,type:str]
  version: 3.9.0
"""
SETS = {
    "documented": DOCUMENTED,
    "current": replace(DOCUMENTED, versions=VersionsSettings("current")),
}
CURRENT = SETS["current"]
DISTRIBUTED = replace(
    CURRENT, parseable=replace(CURRENT.parseable, mode="distributed", staging_class="fast", ingestors=4)
)
SETS["distributed"] = DISTRIBUTED
# What no repository answers: the bucket, the cluster.
OUTSIDE = {"DoD-001-01", "DoD-001-02", "DoD-001-03", "DoD-003-04"}


# What is asked of others than the repository and its charts.
NOT_HERE = {
    "DoD-004-03", "DoD-005-02", "DoD-010-01", "DoD-010-03", "DoD-011-01", "DoD-011-02", "DoD-011-03",
    "DoD-011-04", "references", "images", "plugin", "remap",
}  # fmt: skip
MONITOR = f"{APPS}/parseable/app/servicemonitor.yaml"
VECTOR = f"{APPS}/vector/app/helmrelease.yaml"
RETENTION = f"{APPS}/parseable/app/retention.yaml"
SINK = f"{APPS}/vector/app/configmap.yaml"
GRAFANA = f"{APPS}/grafana/app/helmrelease.yaml"
SERVICE = "parseable-standalone-service.monitoring.svc.cluster.local"
POD = "StatefulSet monitoring/parseable-standalone"
NO_KEY = "Secret monitoring/parseable-s3-secret has no key s3"
# One edit of what is written for the current set, and all that fails by it, with its evidence.
BREAKS: list[tuple[str, str, str, dict[str, str]]] = [
    (
        RELEASE,
        "chart: parseable",
        "chart: parseable-server",
        {"DoD-003-01": "has chart parseable-server"},
    ),
    (
        RELEASE,
        "version: 3.2.1",
        "version: 1.6.5",
        {
            "charts": "parseable.store is a map",
            "values": "does not read the value parseable.standalone",
        },
    ),
    (RELEASE, "type: s3-store", "type: local-store", {"DoD-003-02": f"{POD} starts with local-store"}),
    (RELEASE, "value: parseable-logs", "value: others", {"DoD-003-02": f"{POD} has P_S3_BUCKET 'others'"}),
    (
        RELEASE,
        "name: parseable-standalone\n            patch",
        "name: parseable\n            patch",
        {
            "DoD-004-03": f"{POD}: P_S3_ACCESS_KEY is taken from key s3.access.key of",
            "references": NO_KEY,
            "staging": "livenessProbe asks not set",
            # The label of the login is in that patch.
            "rollout": f"the pods of {POD} stay as they are when Secret parseable-s3-secret changes",
        },
    ),
    (
        RELEASE,
        "memory: 2Gi",
        "memory: 1Gi",
        {"DoD-003-03": f"{POD}: resources.limits.memory is '1Gi'", "memory": "of a limit of 1073741824"},
    ),
    (RELEASE, "  cpu: null\n", "  x: null\n", {"DoD-003-03": f"{POD}: resources.limits.cpu is '500m'"}),
    (
        RELEASE,
        "key: S3_ACCESS_KEY_ID",
        "key: s3.access.key",
        {"DoD-004-03": f"{POD}: P_S3_ACCESS_KEY is taken from key s3.access.key of", "references": NO_KEY},
    ),
    (
        RELEASE,
        "secretName: parseable-s3-secret",
        "secretName: other",
        {
            "login": f"{POD}: P_USERNAME is taken from Secret monitoring/other, which does not exist",
            "references": "Secret monitoring/other for variable P_USERNAME",
            "DoD-005-01": "basicAuth.username is not key username of other",
        },
    ),
    (RELEASE, "/api/v1/liveness", "/api/v1/about", {"staging": "livenessProbe asks '/api/v1/about'"}),
    (
        RELEASE,
        "port: 80\n",
        "port: 8000\n",
        dict.fromkeys(("DoD-009-03", "DoD-010-02", "urls"), "which has 8000"),
    ),
    (
        RELEASE,
        "unified:",
        "server:",
        {
            "DoD-003-03": f"{POD}: resources.limits.memory is '4Gi'",
            "staging": "terminationGracePeriodSeconds is 30",
            "memory": f"{POD}: P_QUERY_MEMORY_LIMIT is not set",
        },
    ),
    (
        VECTOR,
        'env:\n      - {name: VECTOR_DANGEROUSLY_ALLOW_ENV_VAR_INTERPOLATION, value: "true"}\n',
        "image: {tag: 0.57.0}\n    env:\n",
        {"DoD-009-02": "timberio/vector:0.57.0 takes $PARSEABLE_USERNAME for the login itself"},
    ),
    # By its number the port is that of the headless Service, too.
    (MONITOR, "port: http", "targetPort: 8000", {"DoD-005-01": f"scrapes {POD} once for each of Service"}),
    (MONITOR, "port: http", "port: web", {"DoD-005-01": "8000 named parseable-port, 80 named http"}),
    (MONITOR, "/api/v1/metrics", "/metrics", {"DoD-005-01": "path '/metrics' is not /api/v1/metrics"}),
    (RETENTION, f"{SERVICE}:80", f"{SERVICE}:8000", {"urls": "Job monitoring/parseable-retention: http://"}),
    (GRAFANA, f"{SERVICE}:80", f"{SERVICE}:8000", {"DoD-010-02": "url is 'http://", "urls": "data source"}),
    (
        SINK,
        f"{SERVICE}:80/api/v1/readiness",
        f"{SERVICE}:8000/api/v1/readiness",
        {"urls": "ConfigMap monitoring/vector-config: http://", "rollout": "is not the checksum of it"},
    ),
    (
        SINK,
        f"{SERVICE}:80/api/v1/ingest",
        "parseable.monitoring.svc.cluster.local:8000/api/v1/ingest",
        {
            **dict.fromkeys(
                ("DoD-008-03", "DoD-009-03", "columns", "delivery"), "no http sink posts to http://"
            ),
            "rollout": "is not the checksum of it",
        },
    ),
]


TAKE = "StatefulSet monitoring/parseable-ingestor"
BUDGET = f"{APPS}/parseable/app/poddisruptionbudget.yaml"
TAKES, ANSWERS = "parseable-ingestor-service", "parseable-querier-service"
DISTRIBUTED_BREAKS: list[tuple[str, str, str, dict[str, str]]] = [
    (
        BUDGET,
        "type: ingestor",
        "type: other",
        {"ingestors": f"selects the pods of {TAKE}"},
    ),
    (BUDGET, "maxUnavailable: 1", "minAvailable: 4", {"ingestors": "lets none of the 4 pods go"}),
    (BUDGET, "maxUnavailable: 1", "maxUnavailable: 76%", {"ingestors": "lets all 4 pods go at once"}),
    (
        RELEASE,
        "labelSelector:\n                      matchLabels:\n",
        "labelSelector:\n                      matchLabels:\n                        app: other\n",
        {"ingestors": f"the pods of {TAKE} may all be on one node"},
    ),
    (
        RELEASE,
        "enabled: true, storageClass: fast",
        "enabled: false",
        {"staging": "is in an emptyDir"},
    ),
    (
        RELEASE,
        "(ingestor|querier)",
        "ingestor",
        {
            "DoD-004-03": "parseable-querier: P_S3_ACCESS_KEY is taken from key s3.access.key of",
            "references": NO_KEY,
            "staging": "livenessProbe asks not set",
            "rollout": "the pods of StatefulSet monitoring/parseable-querier stay as they are when Secret",
        },
    ),
    (RETENTION, ANSWERS, TAKES, {"retention": "whose servers only take logs"}),
    (GRAFANA, ANSWERS, TAKES, {"DoD-010-02": f"url is 'http://{TAKES}"}),
    (
        SINK,
        f"uri: http://{TAKES}.monitoring.svc.cluster.local:80/api/v1/ingest",
        f"uri: http://{ANSWERS}.monitoring.svc.cluster.local:80/api/v1/ingest",
        {
            **dict.fromkeys(("DoD-008-03", "DoD-009-03", "columns", "delivery"), f"posts to http://{TAKES}"),
            "rollout": "is not the checksum of it",
        },
    ),
    (
        MONITOR,
        "port: http",
        "port: web",
        {"DoD-005-01": "port web is none of Service"},
    ),
    # The chart's ingestors wait for the querier at the port that HTTP has by default.
    (
        RELEASE,
        "port: 80\n",
        "port: 8000\n",
        {
            **dict.fromkeys(("DoD-009-03", "DoD-010-02"), "which has 8000"),
            "urls": f"{TAKE}: http://{ANSWERS}.monitoring/api/v1/readiness leads to port 80 of Service",
        },
    ),
]


@pytest.fixture(scope="module")
def mirror(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("charts")
    write_charts(folder)
    write_later_charts(folder)
    return folder


@pytest.fixture(scope="module")
def memory() -> Memory:
    return {}


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def _programs(
    helm_folder: Path,  # noqa: F811
    cache: Path,
    memory: Memory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PATH", os.pathsep.join((str(helm_folder), os.environ["PATH"])))
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    remember(memory, monkeypatch)


@pytest.fixture(scope="module")
def deployments(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A repository of each set, to be copied; made when first asked for."""
    return {}


Deploy = Callable[[str], Path]


@pytest.fixture
def deployed(
    deployments: dict[str, Path], tmp_path_factory: pytest.TempPathFactory, tmp_path: Path
) -> Deploy:
    """Makes a copy of the repository of a set."""

    def copy(name: str) -> Path:
        if name not in deployments:
            root = tmp_path_factory.mktemp(name) / "repository"
            deploy(root, shapes.documented, SETS[name], SECRET)
            deployments[name] = root
        return Path(shutil.copytree(deployments[name], tmp_path / "repository", symlinks=True))

    return copy


def verdicts(root: Path, settings: Settings, mirror: Path) -> list[Verdict]:
    settings = replace(settings, charts=Charts(mirrors=dict.fromkeys(REPOSITORIES, str(mirror))))
    chosen = [check for check in CHECKS.values() if check.id not in OUTSIDE]
    return judge(chosen, Model(workspace_of(root, settings)))


def failing(found: list[Verdict]) -> dict[str, str]:
    assert not [one for one in found if one.outcome.status is Status.ERROR]
    failed = [one for one in found if one.outcome.status is Status.FAIL]
    return {one.id: "; ".join(x.outcome.evidence for x in failed if x.id == one.id) for one in failed}


@pytest.mark.parametrize("name", SETS)
def test_a_set_meets_every_check(name: str, deployed: Deploy, mirror: Path) -> None:
    found = verdicts(deployed(name), SETS[name], mirror)
    assert failing(found) == {}
    # Nothing but the cluster, the network and Vector itself is left to answer.
    unknown = {one.id for one in found if one.outcome.status is Status.UNKNOWN}
    assert unknown <= NOT_HERE | ({"storage"} if SETS[name].parseable.staging_class else set())
    assert not [one.id for one in found if one.outcome.stops_push]


@pytest.mark.parametrize(
    ("name", "path", "old", "new", "expected"),
    [*(("current", *one) for one in BREAKS), *(("distributed", *one) for one in DISTRIBUTED_BREAKS)],
)
def test_what_a_set_needs_is_seen_when_it_is_gone(
    deployed: Deploy, mirror: Path, name: str, path: str, old: str, new: str, expected: dict[str, str]
) -> None:
    root = deployed(name)
    edit(root, path, old, new)
    found = failing(verdicts(root, SETS[name], mirror))
    assert set(found) == set(expected)
    assert [text for name, text in expected.items() if text not in found[name]] == []


def test_a_volume_of_the_charts_own_default_is_not_made_by_anybody(deployed: Deploy, mirror: Path) -> None:
    root = deployed("current")
    edit(root, RELEASE, "staging: {enabled: false}", "staging: {enabled: true}")
    (found,) = (one.outcome for one in verdicts(root, CURRENT, mirror) if one.id == "storage")
    assert found.status is Status.UNKNOWN
    assert f"{POD} claims a volume of no StorageClass" in found.evidence


def test_a_vector_that_is_told_to_replaces_the_login(deployed: Deploy, mirror: Path) -> None:
    root = deployed("current")
    edit(root, VECTOR, "    role: Agent\n", "    role: Agent\n    image: {tag: 0.57.0}\n")
    assert failing(verdicts(root, CURRENT, mirror)) == {}


def test_a_server_that_takes_logs_keeps_them_whatever_is_set(deployed: Deploy, mirror: Path) -> None:
    """Others may have written what the settings would not allow."""
    root = deployed("distributed")
    edit(root, RELEASE, "enabled: true, storageClass: fast", "enabled: false")
    settings = replace(DISTRIBUTED, parseable=replace(DISTRIBUTED.parseable, staging_class=None))
    found = failing(verdicts(root, settings, mirror))
    assert "an emptyDir, whose last minute is lost with the pod if that is killed" in found["staging"]
    assert "the servers that take logs come and go" in found["staging"]


def test_several_servers_start_at_once_and_have_time_to_be_replaced(deployed: Deploy, mirror: Path) -> None:
    root = deployed("distributed")
    settings = replace(DISTRIBUTED, charts=Charts(mirrors=dict.fromkeys(REPOSITORIES, str(mirror))))
    model = Model(workspace_of(root, settings))
    sets = model.resources.of_kind("StatefulSet")
    assert [item.data["spec"]["podManagementPolicy"] for item in sets] == ["Parallel", "Parallel"]
    # Five minutes, and two for each of four ingestors and the querier.
    assert "  timeout: 15m\n" in (root / RELEASE).read_text()


def test_a_version_of_the_settings_counts_over_that_of_the_set() -> None:
    settings = replace(CURRENT, parseable=replace(CURRENT.parseable, chart_version="3.2.0", port=8080))
    found = versions.resolved(settings)
    assert (found.parseable.chart_version, found.parseable.port) == ("3.2.0", 8080)
    assert (found.parseable.image_tag, found.vector.chart_version) == ("v3.1.0", "0.56.0")
    assert versions.untested(settings) == ("parseable.chart_version",)
    # Written out, it is still that of the set; another port is no other version.
    same = replace(CURRENT, parseable=replace(CURRENT.parseable, chart_version="3.2.1", port=8080))
    assert versions.untested(same) == ()


@pytest.mark.parametrize("name", SETS)
def test_nothing_is_open_in_a_set(name: str) -> None:
    found = versions.resolved(SETS[name])
    given = [getattr(getattr(found, section), field) for section, field in versions.VERSIONS]
    assert None not in (*given, found.parseable.image, found.parseable.port)
    versions.check(SETS[name])


def test_a_set_that_is_not_there_is_a_wrong_setting() -> None:
    with pytest.raises(SettingsError) as caught:
        versions.check(replace(DOCUMENTED, versions=VersionsSettings("latest")))
    assert caught.value.summary == "there is no set of versions 'latest'"
    assert caught.value.hint == "set versions.set to one of: current, documented"


@pytest.mark.parametrize(
    ("settings", "summary", "hint"),
    [
        (
            replace(DISTRIBUTED, versions=DOCUMENTED.versions),
            "the set of versions 'documented' has no mode 'distributed' (parseable.mode)",
            "set versions.set to current",
        ),
        (
            replace(DISTRIBUTED, parseable=replace(DISTRIBUTED.parseable, staging_class=None)),
            "parseable.mode is distributed, and parseable.staging_class is not set",
            "set it to a StorageClass (kubectl get storageclass)",
        ),
    ],
)
def test_what_a_mode_needs_is_asked_of_the_settings(settings: Settings, summary: str, hint: str) -> None:
    with pytest.raises(SettingsError) as caught:
        versions.check(settings)
    assert caught.value.summary == summary
    assert hint in caught.value.hint
