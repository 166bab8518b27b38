"""Parseable: its files, the names that its server, its chart and its clients know things by, its URLs."""

from typing import Final

from tasks.core.credentials import ACCESS_KEY, SECRET_KEY
from tasks.core.settings import S3, Parseable, Settings
from tasks.effects.encrypted import revision
from tasks.flux import versions
from tasks.flux.grafana_operator import GrafanaInstance
from tasks.flux.missing import MissingError
from tasks.kube.quantities import amount
from tasks.subjects.apps import APP_FOLDER, CHART_SOURCE, KS, KUSTOMIZATION, RELEASE, App
from tasks.workspace import Workspace

SECRET: Final = f"{APP_FOLDER}secret.sops.yaml"
NAMESPACE: Final = f"{APP_FOLDER}namespace.yaml"
SERVICE_MONITOR: Final = f"{APP_FOLDER}servicemonitor.yaml"
RETENTION: Final = f"{APP_FOLDER}retention.yaml"
# Of Parseable's files only where several pods take logs.
BUDGET: Final = f"{APP_FOLDER}poddisruptionbudget.yaml"
# The data source for Grafana's operator; of Parseable's files only where the operator runs Grafana.
DATA_SOURCE: Final = f"{APP_FOLDER}grafanadatasource.yaml"


def has_data_source(workspace: Workspace) -> bool:
    """Whether the data source is a file of Parseable's, for Grafana's operator."""
    is_asked = workspace.settings.grafana.manage != "none"
    return is_asked and isinstance(workspace.layout.grafana, GrafanaInstance)


def has_budget(workspace: Workspace) -> bool:
    """Whether a PodDisruptionBudget is a file of Parseable's."""
    return versions.mode_of(workspace.settings).budget is not None


PARSEABLE = App(
    "parseable",
    (
        KS,
        KUSTOMIZATION,
        NAMESPACE,
        DATA_SOURCE,
        CHART_SOURCE,
        RELEASE,
        BUDGET,
        SECRET,
        SERVICE_MONITOR,
        RETENTION,
    ),
    settings=lambda settings: settings.parseable,
    charts=lambda layout: layout.parseable_charts,
    only_if={
        NAMESPACE: lambda workspace: workspace.layout.lacks_namespace,
        DATA_SOURCE: has_data_source,
        BUDGET: has_budget,
        SECRET: lambda workspace: workspace.settings.secret.manage == "sops",
    },
    # The values of a release have the shape that its chart wants.
    templates={
        RELEASE: lambda settings: versions.mode_of(settings).release,
        BUDGET: lambda settings: str(versions.mode_of(settings).budget),
    },
)

# Keys of the Secret: the S3 key pair, and Parseable's own login.
USERNAME: Final = "username"
PASSWORD: Final = "password"  # noqa: S105 (the name of a key)
LOGIN = (USERNAME, PASSWORD)
SECRET_KEYS = (ACCESS_KEY, SECRET_KEY, *LOGIN)

# Variables and the key of the Secret that each is set from. The server reads the P_* ones:
# https://www.parseable.com/docs/self-hosted/configuration
S3_VARIABLES = {"P_S3_ACCESS_KEY": ACCESS_KEY, "P_S3_SECRET_KEY": SECRET_KEY}
LOGIN_VARIABLES = {"P_USERNAME": USERNAME, "P_PASSWORD": PASSWORD}

# What makes the server trust other authorities of TLS than the public ones. Its client of S3 (object_store)
# takes the system's, which SSL_CERT_FILE and SSL_CERT_DIR replace (rustls-native-certs):
# https://github.com/parseablehq/parseable/blob/v1.7.3/src/storage/s3.rs
SKIP_VERIFY_VARIABLE: Final = "P_S3_TLS_SKIP_VERIFY"
CA_FILE_VARIABLE: Final = "SSL_CERT_FILE"
CA_VARIABLES = (CA_FILE_VARIABLE, "SSL_CERT_DIR")
CA_KEY: Final = "ca.crt"
CA_FOLDER: Final = "/etc/parseable-s3-ca"
CA_VOLUME: Final = "s3-ca"
# Where distributions keep the authorities that their programs trust.
SYSTEM_CA_FOLDERS = ("/etc/ssl", "/etc/pki", "/etc/ca-certificates", "/usr/share/ca-certificates")

# The value of the chart that makes the server keep its data in S3, not in an emptyDir.
STORE: Final = "s3-store"
PATH_STYLE_VARIABLE: Final = "P_S3_PATH_STYLE"

INGEST_PATH: Final = "/api/v1/ingest"
# The header that names the stream that logs go to.
STREAM_HEADER: Final = "X-P-Stream"


def store_variables(s3: S3) -> dict[str, str]:
    """The variables that tell the server where its bucket is, with the values they must have."""
    return {
        "P_S3_URL": s3.endpoint,
        "P_S3_REGION": s3.region,
        "P_S3_BUCKET": s3.bucket,
        PATH_STYLE_VARIABLE: "true",
    }


# What a server does: all, or only one of the others. https://github.com/parseablehq/parseable, src/option.rs
MODE_VARIABLE: Final = "P_MODE"
ALL, INGEST, QUERY = "all", "ingest", "query"

# Where it keeps what is not uploaded yet; the folder of the chart's volume.
STAGING_VARIABLE: Final = "P_STAGING_DIR"
STAGING: Final = "/parseable/staging"

# How much memory queries may take. Its help says GiB, but v1.7.3 takes the figure as bytes:
# https://github.com/parseablehq/parseable/blob/v1.7.3/src/query/mod.rs
QUERY_MEMORY_VARIABLE: Final = "P_QUERY_MEMORY_LIMIT"

# Where the server answers Kubernetes, without a login: https://www.parseable.com/docs/self-hosted/configuration
LIVENESS_PATH: Final = "/api/v1/liveness"
READINESS_PATH: Final = "/api/v1/readiness"


# The days by which Parseable must delete before the bucket does: one for the midnight at which it looks, one
# for a midnight at which it does not run.
RETENTION_MARGIN: Final = 2


def retention_days(s3: S3) -> int:
    """The days after which Parseable deletes: before the bucket, where that has a rule too."""
    return s3.retention_days - (RETENTION_MARGIN if s3.retention == "bucket" else 0)


def retention_path(parseable: Parseable) -> str:
    """Where the retention of the stream of logs is set."""
    return f"/api/v1/logstream/{parseable.stream}/retention"


def query_memory(parseable: Parseable) -> int:
    """The memory that queries may take, in bytes: half of the limit, for their answers are beside it."""
    return int((amount(parseable.memory_limit) or 0) / 2)


def release_minutes(parseable: Parseable) -> int:
    """How long an upgrade of several servers may take: as long as Flux gives one release, and two for each.

    One stops within 60 s and the upload of what is staged, starts, and must get ready before the next.
    """
    return 5 + 2 * (parseable.ingestors + 1)


def staging(parseable: Parseable) -> dict[str, object]:
    """A chart's values for the volume of staging: one of its own, where a StorageClass is set."""
    if parseable.staging_class is None:
        return {"enabled": False}
    return {"enabled": True, "storageClass": parseable.staging_class, "size": parseable.staging_size}


def query_service(settings: Settings) -> tuple[str, int | None]:
    """The Service that answers queries and sets the retention, and its port."""
    return versions.mode_of(settings).query, versions.resolved(settings).parseable.port


def query_url(workspace: Workspace) -> str:
    """The URL inside the cluster of the server that answers queries."""
    return _url(workspace, query_service(workspace.settings)[0])


def server_url(workspace: Workspace) -> str:
    """The URL inside the cluster of the server that takes logs."""
    return _url(workspace, versions.mode_of(workspace.settings).ingest)


# The label of servers by the revision of the Secret that they started with.
LOGIN_LABEL: Final = "parseable-login"


def login_revision(workspace: Workspace) -> str | None:
    """The revision of the Secret that the playbook encrypted; None where somebody else gives it, or before.

    Parseable and Vector read the Secret when they start: both carry this, so that another Secret makes other
    pods of both.
    """
    if workspace.settings.secret.manage != "sops" or isinstance(workspace.layout.apps, MissingError):
        return None
    return revision(workspace.repository.text(PARSEABLE.path(workspace, SECRET)))


def guarded_revision(workspace: Workspace) -> str | None:
    """The revision of the Secret without which Vector reaches no server; None where it reaches all."""
    return login_revision(workspace) if workspace.settings.secret.rotation == "guarded" else None


def login_service(workspace: Workspace) -> str:
    """The Service that Vector sends to; a guarded one leads to servers with the login of the Secret alone."""
    name, found = workspace.settings.parseable.name, guarded_revision(workspace)
    if found is None:
        return versions.mode_of(workspace.settings).ingest
    # The API server takes 63 characters.
    return f"{name[:45].rstrip('-')}-login-{found}"


def senders_url(workspace: Workspace) -> str:
    """The URL of Parseable for those that send logs: by the Service of the login, where that is wanted."""
    return _url(workspace, login_service(workspace))


def ingest_url(workspace: Workspace) -> str:
    """The URL that logs are posted to."""
    return f"{senders_url(workspace)}{INGEST_PATH}"


def _url(workspace: Workspace, service: str) -> str:
    port = versions.resolved(workspace.settings).parseable.port
    return f"http://{service}.{workspace.layout.namespace}.svc.cluster.local:{port}"
