"""The eleven tasks as the specification lists them: phase, risk, traceability and what each needs first."""

from dataclasses import dataclass

PHASES = {
    1: "Infrastructure Preparation",
    2: "Parseable Deployment",
    3: "Vector Deployment",
    4: "Grafana Integration",
    5: "Integration & Verification",
}


@dataclass(frozen=True)
class TaskSpec:
    """One task of the specification.

    ``id`` is the documented one ("TASK-001"); ``needs`` are the ids directly before it in the documented
    graph; ``traces`` are the requirements and decisions it implements.
    """

    id: str
    title: str
    phase: int
    risk: str
    traces: tuple[str, ...]
    needs: tuple[str, ...] = ()

    @property
    def command(self) -> str:
        """The Invoke name: ``task-001``."""
        return self.id.lower()


_TASKS = (
    TaskSpec("TASK-001", "Create the S3 bucket", 1, "Low", ("REQ-prs-d8f3-002", "ADR-001")),
    TaskSpec(
        "TASK-002", "Create the Parseable folder structure", 1, "None", ("ADR-005",), needs=("TASK-001",)
    ),
    TaskSpec(
        "TASK-003",
        "Create the Parseable HelmRelease",
        2,
        "Medium",
        ("REQ-prs-d8f3-001", "ADR-001", "ADR-004", "Component-001"),
        needs=("TASK-002",),
    ),
    TaskSpec(
        "TASK-004",
        "Create the Parseable S3 secret, encrypted with SOPS",
        2,
        "High",
        ("REQ-prs-d8f3-002", "ADR-001", "NFR-prs-d8f3-SEC-001"),
        needs=("TASK-003",),
    ),
    TaskSpec(
        "TASK-005",
        "Create the Parseable ServiceMonitor",
        2,
        "Low",
        ("REQ-prs-d8f3-001", "NFR-prs-d8f3-OBS-001"),
        needs=("TASK-004",),
    ),
    TaskSpec("TASK-006", "Create the Vector folder structure", 3, "None", ("ADR-002", "ADR-005")),
    TaskSpec(
        "TASK-007",
        "Create the Vector RBAC resources",
        3,
        "Low",
        ("REQ-prs-d8f3-003", "ADR-002", "Component-002"),
        needs=("TASK-005", "TASK-006"),
    ),
    TaskSpec(
        "TASK-008",
        "Create the Vector ConfigMap",
        3,
        "Medium",
        ("REQ-prs-d8f3-003", "ADR-002", "Component-002"),
        needs=("TASK-007",),
    ),
    TaskSpec(
        "TASK-009",
        "Create the Vector HelmRelease",
        3,
        "High",
        ("REQ-prs-d8f3-003", "ADR-002", "Component-002"),
        needs=("TASK-008",),
    ),
    TaskSpec(
        "TASK-010",
        "Add the Parseable plugin and data source to Grafana",
        4,
        "Medium",
        ("REQ-prs-d8f3-004", "ADR-003", "Component-003"),
        needs=("TASK-009",),
    ),
    TaskSpec(
        "TASK-011",
        "List the apps, commit and push",
        5,
        "High",
        ("ADR-005", "NFR-prs-d8f3-PERF-001"),
        needs=("TASK-010",),
    ),
)

CATALOGUE = {task.id: task for task in _TASKS}
