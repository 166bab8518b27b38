"""The 32 items of the Definition of Done and the links between documents, each with what answers it."""

from collections.abc import Iterable

from checks import bucket, folders, parseable, rollout, vector
from checks.links import admission, charts, downloads, flux, owners, references, urls
from checks.links import folders as linked_folders
from checks.links import grafana as linked_grafana
from checks.links import parseable as linked_parseable
from checks.links import vector as linked_vector
from checks.model import Check, Link
from checks.objects import answered, linked, settled
from tasks.core.outcomes import Verdict
from tasks.workspace import Workspace

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
        linked_folders.parseable_is_pointed_at,
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
        linked_parseable.connects_to_s3,
    ),
    Check(
        "DoD-003-03",
        "WHEN pod is deployed, it SHALL have memory limit of 2Gi and CPU request of 500m",
        parseable.release_has_resources,
        linked_parseable.has_resources,
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
        linked_parseable.gets_credentials,
    ),
    Check(
        "DoD-005-01",
        "WHEN ServiceMonitor is created, Prometheus SHALL discover Parseable metrics endpoint",
        parseable.metrics_are_discovered,
        linked_parseable.metrics_are_discovered,
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
        linked_folders.vector_is_pointed_at,
    ),
    Check(
        "DoD-007-01",
        "WHEN Vector pod starts, it SHALL use ServiceAccount vector with necessary permissions",
        vector.service_account_is_used,
        linked_vector.account_is_used,
    ),
    Check(
        "DoD-007-02",
        "WHEN Vector queries Kubernetes API, it SHALL have read access to pods, namespaces, and nodes",
        vector.account_may_read,
        linked_vector.account_may_read,
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
        linked_vector.posts_to_parseable,
    ),
    Check(
        "DoD-009-01",
        "WHEN Vector is deployed, it SHALL run as DaemonSet with one pod per node",
        vector.runs_on_every_node,
        linked_vector.runs_on_every_node,
    ),
    Check(
        "DoD-009-02",
        "WHEN Vector starts, it SHALL use vector-config ConfigMap and vector ServiceAccount",
        vector.uses_config_and_account,
        linked_vector.uses_config_and_account,
    ),
    Check(
        "DoD-009-03",
        "WHEN logs are collected, Vector SHALL send to Parseable at http://parseable.monitoring.svc.cluster.local:8000",
        vector.sends_to_parseable,
        linked_vector.sends_to_parseable,
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
        linked_grafana.datasource_leads_to_parseable,
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

_LINKS = (
    Link("entries", "every entry exists, every file of ours is applied", flux.entries_exist),
    Link("sources", "every source that is referred to exists", flux.sources_exist),
    Link("decryption", "every encrypted object is decrypted", flux.secrets_are_decrypted),
    Link("charts", "every chart exists and renders", charts.charts_render),
    Link("values", "every value is one that the chart reads", charts.values_are_read),
    Link("objects", "every object is one that the API server takes", admission.objects_are_accepted),
    Link("versions", "every API version is one that the cluster has", admission.versions_are_served),
    Link("owners", "every object is created once", owners.objects_have_one_owner),
    Link("references", "everything that a pod refers to exists", references.references_exist),
    Link("storage", "every StorageClass exists", references.storage_classes_exist),
    Link("urls", "every URL inside the cluster leads to a port", urls.urls_lead_somewhere),
    Link("login", "Parseable's login is not the default", linked_parseable.login_is_not_default),
    Link("pipeline", "every input and the buffer's folder exist", linked_vector.pipeline_is_connected),
    Link("images", "every image exists", downloads.images_exist),
    Link("plugin", "Grafana's plugin can be downloaded", downloads.plugin_exists),
    Link("remap", "Vector takes its configuration", linked_vector.pipeline_is_valid),
)

EVERYTHING: tuple[Check | Link, ...] = (*_CHECKS, *_LINKS)


def run(checks: Iterable[Check], workspace: Workspace) -> list[Verdict]:
    """Answer ``checks`` in their order from the files, as far as the tasks up to theirs have written them."""
    return [Verdict(check.id, check.task, check.text, answered(check.run, workspace)) for check in checks]


def link(checks: Iterable[Check | Link], workspace: Workspace) -> list[Verdict]:
    """Answer ``checks`` in their order from what would exist after a push: built, rendered and compared.

    A link answers once for each thing that fails or is not known.
    """
    return [
        Verdict(check.id, check.task, check.text, outcome)
        for check in checks
        for outcome in (
            linked(check.run, workspace) if isinstance(check, Link) else [settled(check, workspace)]
        )
    ]


def of_task(task: str) -> list[Check]:
    """The checks of one task ("TASK-004")."""
    return [check for check in CHECKS.values() if check.task == task]
