"""The 32 items of the Definition of Done, each with the function that answers it."""

from collections.abc import Iterable

from checks import bucket, folders, parseable, rollout, vector
from checks.model import Check
from checks.objects import answered
from tasks.core.outcomes import Verdict
from tasks.effects.world import World

_CHECKS = (
    Check("DoD-001-01", "WHEN bucket is created, it SHALL be named parseable-logs", bucket.bucket_exists),
    Check(
        "DoD-001-02",
        "WHEN accessing bucket, system SHALL use path-style URLs with region minio",
        bucket.access_is_path_style,
    ),
    Check(
        "DoD-001-03",
        "WHERE objects exceed 30 days, bucket lifecycle policy SHALL delete them automatically",
        bucket.old_logs_expire,
    ),
    Check(
        "DoD-002-01",
        "WHEN directory is created, it SHALL exist at kubernetes/apps/monitoring/parseable/",
        folders.parseable_folder_exists,
    ),
    Check(
        "DoD-002-02",
        "WHEN listing directory, it SHALL contain ks.yaml and app/ subdirectory",
        folders.parseable_folder_is_complete,
    ),
    Check(
        "DoD-002-03",
        "WHEN app subdirectory exists, it SHALL be ready for HelmRelease and secret files",
        folders.parseable_folder_is_ready,
    ),
    Check(
        "DoD-003-01",
        "WHEN HelmRelease is created, it SHALL reference Parseable Helm chart from official repository",
        parseable.release_names_official_chart,
    ),
    Check(
        "DoD-003-02",
        "WHEN Parseable starts, it SHALL connect to S3 endpoint https://s3.68cc.io with force_path_style=true",
        parseable.release_connects_to_s3,
    ),
    Check(
        "DoD-003-03",
        "WHEN pod is deployed, it SHALL have memory limit of 2Gi and CPU request of 500m",
        parseable.release_has_resources,
    ),
    Check(
        "DoD-003-04",
        "WHEN retention is applied, system SHALL delete logs older than 30 days",
        bucket.retention_applies,
    ),
    Check(
        "DoD-004-01",
        "WHEN secret is created, it SHALL contain S3_ACCESS_KEY_ID and S3_SECRET_ACCESS_KEY keys",
        parseable.secret_has_documented_keys,
    ),
    Check(
        "DoD-004-02",
        "WHEN secret is committed, it SHALL be encrypted with SOPS using age keys",
        parseable.secret_is_encrypted,
    ),
    Check(
        "DoD-004-03",
        "WHEN Parseable pod starts, it SHALL successfully authenticate to S3 using secret values",
        parseable.secret_reaches_parseable,
    ),
    Check(
        "DoD-005-01",
        "WHEN ServiceMonitor is created, Prometheus SHALL discover Parseable metrics endpoint",
        parseable.metrics_are_discovered,
    ),
    Check(
        "DoD-005-02",
        "WHEN metrics are scraped, system SHALL expose query latency and ingestion rate",
        parseable.metrics_show_ingestion,
    ),
    Check(
        "DoD-006-01",
        "WHEN directory is created, it SHALL exist at kubernetes/apps/monitoring/vector/",
        folders.vector_folder_exists,
    ),
    Check(
        "DoD-006-02",
        "WHEN listing directory, it SHALL contain ks.yaml and app/ subdirectory",
        folders.vector_folder_is_complete,
    ),
    Check(
        "DoD-007-01",
        "WHEN Vector pod starts, it SHALL use ServiceAccount vector with necessary permissions",
        vector.service_account_is_used,
    ),
    Check(
        "DoD-007-02",
        "WHEN Vector queries Kubernetes API, it SHALL have read access to pods, namespaces, and nodes",
        vector.account_may_read,
    ),
    Check(
        "DoD-008-01",
        "WHEN Vector processes logs, it SHALL collect from all pods via Kubernetes API",
        vector.all_pods_are_collected,
    ),
    Check(
        "DoD-008-02",
        "WHEN logs are enriched, system SHALL add namespace, pod_name, container_name, node_name metadata",
        vector.metadata_is_added,
    ),
    Check(
        "DoD-008-03",
        "WHEN sending to Parseable, Vector SHALL use HTTP POST with JSON encoding and 1GB disk buffer",
        vector.sink_posts_to_parseable,
    ),
    Check(
        "DoD-009-01",
        "WHEN Vector is deployed, it SHALL run as DaemonSet with one pod per node",
        vector.runs_on_every_node,
    ),
    Check(
        "DoD-009-02",
        "WHEN Vector starts, it SHALL use vector-config ConfigMap and vector ServiceAccount",
        vector.uses_config_and_account,
    ),
    Check(
        "DoD-009-03",
        "WHEN logs are collected, Vector SHALL send to Parseable at http://parseable.monitoring.svc.cluster.local:8000",
        vector.sends_to_parseable,
    ),
    Check(
        "DoD-010-01",
        "WHEN Grafana starts, it SHALL download and install parseable-parseable-datasource plugin",
        rollout.plugin_is_installed,
    ),
    Check(
        "DoD-010-02",
        "WHEN datasource is configured, Grafana SHALL connect to http://parseable.monitoring.svc.cluster.local:8000",
        rollout.datasource_connects,
    ),
    Check(
        "DoD-010-03",
        "WHEN user queries logs, Grafana SHALL return results within 5 seconds for last 15 minutes",
        rollout.queries_are_fast,
    ),
    Check(
        "DoD-011-01",
        "WHEN kustomization is updated, FluxCD SHALL reconcile Parseable and Vector resources",
        rollout.flux_is_told,
    ),
    Check("DoD-011-02", "WHEN deployment completes, all pods SHALL be in Running state", rollout.pods_run),
    Check(
        "DoD-011-03",
        "WHEN logs are queried in Grafana, system SHALL return recent logs from all namespaces",
        rollout.logs_are_found,
    ),
    Check(
        "DoD-011-04",
        "WHEN integration is verified, Vector SHALL be ingesting logs to Parseable at >1000 events/sec",
        rollout.ingestion_is_fast,
    ),
)

CHECKS = {check.id: check for check in _CHECKS}


def run(checks: Iterable[Check], world: World) -> list[Verdict]:
    """Answer ``checks`` in their order."""
    return [Verdict(check.id, check.task, check.text, answered(check.run, world)) for check in checks]


def of_task(task: str) -> list[Check]:
    """The checks of one task ("TASK-004")."""
    return [check for check in CHECKS.values() if check.task == task]
