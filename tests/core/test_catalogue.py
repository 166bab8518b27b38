"""The catalogue against the tables of the specification: phases, risks, and what traces to what."""

from tasks.core.catalogue import CATALOGUE, PHASES

RISKS = ["Low", "None", "Medium", "High", "Low", "None", "Low", "Medium", "High", "Medium", "High"]
PHASE = [1, 1, 2, 2, 2, 3, 3, 3, 3, 4, 5]
TITLES = [
    "Create the S3 bucket",
    "Create the Parseable folder structure",
    "Create the Parseable HelmRelease",
    "Create the Parseable S3 secret, encrypted with SOPS",
    "Create the Parseable ServiceMonitor",
    "Create the Vector folder structure",
    "Create the Vector RBAC resources",
    "Create the Vector ConfigMap",
    "Create the Vector HelmRelease",
    "Add the Parseable plugin and data source to Grafana",
    "List the apps, commit and push",
]
TRACES = {
    "REQ-prs-d8f3-001": [3, 5],
    "REQ-prs-d8f3-002": [1, 4],
    "REQ-prs-d8f3-003": [7, 8, 9],
    "REQ-prs-d8f3-004": [10],
    "ADR-001": [1, 3, 4],
    "ADR-002": [6, 7, 8, 9],
    "ADR-003": [10],
    "ADR-004": [3],
    "ADR-005": [2, 6, 11],
    "Component-001": [3],
    "Component-002": [7, 8, 9],
    "Component-003": [10],
    "NFR-prs-d8f3-PERF-001": [11],
    "NFR-prs-d8f3-SEC-001": [4],
    "NFR-prs-d8f3-OBS-001": [5],
}


def test_phases_and_risks() -> None:
    assert [task.phase for task in CATALOGUE.values()] == PHASE
    assert [task.risk for task in CATALOGUE.values()] == RISKS
    assert PHASES == {
        1: "Infrastructure Preparation",
        2: "Parseable Deployment",
        3: "Vector Deployment",
        4: "Grafana Integration",
        5: "Integration & Verification",
    }


def test_what_traces_to_what() -> None:
    tasks = {int(name.removeprefix("TASK-")): task for name, task in CATALOGUE.items()}
    found = {name: [number for number, task in tasks.items() if name in task.traces] for name in TRACES}
    assert found == TRACES
    assert {trace for task in tasks.values() for trace in task.traces} == set(TRACES)


def test_titles_and_commands() -> None:
    assert [task.title for task in CATALOGUE.values()] == TITLES
    assert [task.command for task in CATALOGUE.values()] == [f"task-{number:03}" for number in range(1, 12)]
    assert all(name == task.id for name, task in CATALOGUE.items())
