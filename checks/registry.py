"""All checks in one order: the 32 items of the Definition of Done, then what must hold between documents."""

from checks import (
    addresses,
    admission,
    bucket,
    charts,
    columns,
    decryption,
    delivery,
    downloads,
    flux,
    folders,
    grafana,
    ignored,
    ingestors,
    kubernetes,
    limits,
    live,
    parseable,
    queries,
    references,
    retention,
    rollout,
    server,
    suspension,
    tested,
    variables,
    vector,
    waiting,
)
from checks.model import Check, Stage, of_ours

_WRITTEN, _BUILT, _RENDERED, _ = Stage

_CHECKS = (
    Check(
        "DoD-001-01",
        "WHEN bucket is created, it SHALL be named parseable-logs",
        _WRITTEN,
        bucket.bucket_exists,
    ),
    Check(
        "DoD-001-02",
        "WHEN accessing bucket, system SHALL use path-style URLs with region minio",
        _WRITTEN,
        bucket.access_is_path_style,
    ),
    Check(
        "DoD-001-03",
        "WHERE objects exceed 30 days, bucket lifecycle policy SHALL delete them automatically",
        _WRITTEN,
        bucket.old_logs_expire,
    ),
    Check(
        "DoD-002-01",
        "WHEN directory is created, it SHALL exist at kubernetes/apps/monitoring/parseable/",
        _WRITTEN,
        folders.parseable_folder_exists,
    ),
    Check(
        "DoD-002-02",
        "WHEN listing directory, it SHALL contain ks.yaml and app/ subdirectory",
        _WRITTEN,
        folders.parseable_folder_is_complete,
    ),
    Check(
        "DoD-002-03",
        "WHEN app subdirectory exists, it SHALL be ready for HelmRelease and secret files",
        _WRITTEN,
        folders.parseable_folder_is_ready,
    ),
    Check(
        "DoD-003-01",
        "WHEN HelmRelease is created, it SHALL reference Parseable Helm chart from official repository",
        _WRITTEN,
        parseable.release_names_official_chart,
    ),
    Check(
        "DoD-003-02",
        "WHEN Parseable starts, it SHALL connect to S3 endpoint https://s3.68cc.io with force_path_style=true",
        _RENDERED,
        parseable.connects_to_s3,
    ),
    Check(
        "DoD-003-03",
        "WHEN pod is deployed, it SHALL have memory limit of 2Gi and CPU request of 500m",
        _RENDERED,
        parseable.has_resources,
    ),
    Check(
        "DoD-003-04",
        "WHEN retention is applied, system SHALL delete logs older than 30 days",
        _WRITTEN,
        bucket.retention_applies,
    ),
    Check(
        "DoD-004-01",
        "WHEN secret is created, it SHALL contain S3_ACCESS_KEY_ID and S3_SECRET_ACCESS_KEY keys",
        _WRITTEN,
        parseable.secret_has_keys,
        live.secret_has_keys,
    ),
    Check(
        "DoD-004-02",
        "WHEN secret is committed, it SHALL be encrypted with SOPS using age keys",
        _WRITTEN,
        parseable.secret_is_encrypted,
    ),
    Check(
        "DoD-004-03",
        "WHEN Parseable pod starts, it SHALL successfully authenticate to S3 using secret values",
        _RENDERED,
        parseable.gets_credentials,
    ),
    Check(
        "DoD-005-01",
        "WHEN ServiceMonitor is created, Prometheus SHALL discover Parseable metrics endpoint",
        _RENDERED,
        parseable.metrics_are_discovered,
    ),
    Check(
        "DoD-005-02",
        "WHEN metrics are scraped, system SHALL expose query latency and ingestion rate",
        _WRITTEN,
        parseable.metrics_show_ingestion,
    ),
    Check(
        "DoD-006-01",
        "WHEN directory is created, it SHALL exist at kubernetes/apps/monitoring/vector/",
        _WRITTEN,
        folders.vector_folder_exists,
    ),
    Check(
        "DoD-006-02",
        "WHEN listing directory, it SHALL contain ks.yaml and app/ subdirectory",
        _WRITTEN,
        folders.vector_folder_is_complete,
    ),
    Check(
        "DoD-007-01",
        "WHEN Vector pod starts, it SHALL use ServiceAccount vector with necessary permissions",
        _RENDERED,
        vector.account_is_used,
    ),
    Check(
        "DoD-007-02",
        "WHEN Vector queries Kubernetes API, it SHALL have read access to pods, namespaces, and nodes",
        _RENDERED,
        vector.account_may_read,
    ),
    Check(
        "DoD-008-01",
        "WHEN Vector processes logs, it SHALL collect from all pods via Kubernetes API",
        _WRITTEN,
        vector.all_pods_are_collected,
    ),
    Check(
        "DoD-008-02",
        "WHEN logs are enriched, system SHALL add namespace, pod_name, container_name, node_name metadata",
        _WRITTEN,
        vector.metadata_is_added,
    ),
    Check(
        "DoD-008-03",
        "WHEN sending to Parseable, Vector SHALL use HTTP POST with JSON encoding and 1GB disk buffer",
        _WRITTEN,
        vector.sink_posts_to_parseable,
    ),
    Check(
        "DoD-009-01",
        "WHEN Vector is deployed, it SHALL run as DaemonSet with one pod per node",
        _RENDERED,
        vector.runs_on_every_node,
    ),
    Check(
        "DoD-009-02",
        "WHEN Vector starts, it SHALL use vector-config ConfigMap and vector ServiceAccount",
        _RENDERED,
        vector.uses_config_and_account,
    ),
    Check(
        "DoD-009-03",
        "WHEN logs are collected, Vector SHALL send to Parseable at http://parseable.monitoring.svc.cluster.local:8000",
        _RENDERED,
        vector.sends_to_parseable,
    ),
    Check(
        "DoD-010-01",
        "WHEN Grafana starts, it SHALL download and install parseable-parseable-datasource plugin",
        _WRITTEN,
        grafana.plugin_is_installed,
    ),
    Check(
        "DoD-010-02",
        "WHEN datasource is configured, Grafana SHALL connect to http://parseable.monitoring.svc.cluster.local:8000",
        _WRITTEN,
        grafana.datasource_connects,
    ),
    Check(
        "DoD-010-03",
        "WHEN user queries logs, Grafana SHALL return results within 5 seconds for last 15 minutes",
        _WRITTEN,
        grafana.queries_are_fast,
    ),
    Check(
        "DoD-011-01",
        "WHEN kustomization is updated, FluxCD SHALL reconcile Parseable and Vector resources",
        _BUILT,
        folders.apps_are_reconciled,
        live.is_reconciled,
    ),
    Check(
        "DoD-011-02",
        "WHEN deployment completes, all pods SHALL be in Running state",
        _WRITTEN,
        flux.pods_run,
        live.pods_run,
    ),
    Check(
        "DoD-011-03",
        "WHEN logs are queried in Grafana, system SHALL return recent logs from all namespaces",
        _WRITTEN,
        flux.logs_are_found,
    ),
    Check(
        "DoD-011-04",
        "WHEN integration is verified, Vector SHALL be ingesting logs to Parseable at >1000 events/sec",
        _WRITTEN,
        flux.ingestion_is_fast,
    ),
    Check(
        "documents",
        "every file that matters is YAML, in the shape of its kind",
        _BUILT,
        flux.documents_are_readable,
    ),
    Check("entries", "every entry exists, every file of ours is applied", _BUILT, flux.entries_exist),
    Check("ignored", "Flux downloads every file of ours", _BUILT, of_ours(ignored.files_are_downloaded)),
    Check("sources", "every source that is referred to exists", _BUILT, flux.sources_exist),
    Check("decryption", "every encrypted object is decrypted", _BUILT, decryption.secrets_are_decrypted),
    Check("variables", "every variable of Flux is set", _BUILT, of_ours(variables.variables_are_set)),
    Check(
        "suspended",
        "nothing on the way to ours is suspended",
        _BUILT,
        of_ours(suspension.nothing_is_suspended),
    ),
    Check("waiting", "nothing of ours waits for ever", _BUILT, of_ours(waiting.nothing_waits_for_ever)),
    Check(
        "tested",
        "every version was tested with the playbook, or its chart renders",
        _WRITTEN,
        of_ours(tested.versions_are_proved),
    ),
    Check("charts", "every chart exists and renders", _RENDERED, charts.charts_render),
    Check("values", "every value is one that the chart reads", _RENDERED, charts.values_are_read),
    Check(
        "objects", "every object is one that the API server takes", _BUILT, kubernetes.objects_are_accepted
    ),
    Check(
        "versions", "every API version is one that the cluster has", _BUILT, kubernetes.versions_are_served
    ),
    Check("owners", "every object is created once", _RENDERED, kubernetes.objects_have_one_owner),
    Check("references", "everything that a pod refers to exists", _RENDERED, references.references_exist),
    Check("admission", "every namespace takes our pods", _RENDERED, of_ours(admission.pods_are_admitted)),
    Check("storage", "every StorageClass exists", _RENDERED, references.storage_classes_exist),
    Check("urls", "every URL inside the cluster leads to a port", _RENDERED, addresses.urls_lead_somewhere),
    Check(
        "login", "Parseable's login is not the default", _RENDERED, of_ours(parseable.login_is_not_default)
    ),
    Check(
        "pipeline",
        "every input and the buffer's folder exist",
        _RENDERED,
        of_ours(vector.pipeline_is_connected),
    ),
    Check("limits", "Vector takes every variable and disk buffer", _RENDERED, limits.limits_are_kept),
    Check(
        "columns",
        "every column is one that cannot lose a line",
        _WRITTEN,
        of_ours(columns.columns_are_fixed),
    ),
    Check(
        "delivery",
        "every line is read soon and sent until it is taken",
        _WRITTEN,
        of_ours(delivery.lines_are_kept),
    ),
    Check(
        "staging",
        "what is accepted is not lost with the pod",
        _RENDERED,
        of_ours(server.staged_lines_are_kept),
    ),
    Check(
        "ingestors",
        "of several servers that take logs some stay",
        _RENDERED,
        of_ours(ingestors.some_ingestors_stay),
    ),
    Check("memory", "queries get a part of the memory", _RENDERED, of_ours(server.queries_are_bounded)),
    Check(
        "retention",
        "Parseable deletes before the bucket",
        _BUILT,
        of_ours(retention.parseable_deletes_first),
    ),
    Check(
        "rollout",
        "a changed pipeline and a changed login reach the pods",
        _RENDERED,
        of_ours(rollout.changes_reach_the_pods),
        of_ours(live.pods_are_current),
    ),
    Check(
        "queries",
        "every query names a stream and columns that are sent",
        _BUILT,
        of_ours(queries.queries_have_answers),
    ),
    Check("images", "every image exists", _RENDERED, downloads.images_exist),
    Check("plugin", "Grafana's plugin can be downloaded", _WRITTEN, of_ours(downloads.plugin_exists)),
    Check("remap", "Vector takes its configuration", _RENDERED, of_ours(vector.pipeline_is_valid)),
)

CHECKS = {check.id: check for check in _CHECKS}


def of_task(task: str) -> list[Check]:
    """The items of one task ("TASK-004")."""
    return [check for check in _CHECKS if check.is_item and check.task == task]
