"""Frozen, typed settings with the documented defaults, and the one way to build them from configuration."""

import dataclasses
import difflib
import re
import types
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple, get_args, get_origin, get_type_hints

from tasks.core.errors import SettingsError

# The settings of a repository, at its top; found without being named.
FILE = ".parseable-playbook.yaml"


class _Form(NamedTuple):
    """What a value must look like, as a pattern for the code and in words for the user."""

    pattern: str
    words: str


_NAME = _Form(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", "a Kubernetes name (lower case letters, digits, '-')")
_FOLDER = _Form(
    r"(?!/)(?!.*(^|/)\.\.(/|$))[^\s\\\"'{}$#:]+", "a path inside the repository, with forward slashes"
)
_DURATION = _Form(r"([0-9]+(\.[0-9]+)?(ms|s|m|h))+", "a duration such as 30m or 1h")
_QUANTITY = _Form(r"[0-9]+(\.[0-9]+)?(m|k|Ki|M|Mi|G|Gi|T|Ti)?", "a Kubernetes quantity such as 500m or 2Gi")
_URL = _Form(
    r"https?://[^\s/?#@\"'\\{}$;]+(/[^\s\"'\\{}$#;]*)?",
    "a URL with its scheme, such as https://s3.example.com",
)
_VERSION = _Form(r"v?[0-9][0-9A-Za-z.+-]*", "one exact version, such as 1.6.5")
_TEMPLATE = _Form(
    r"(?=[\s\S]*\S)(?:[^$]|\$\$|\$\{(?:subject|changes|namespace)\})*",
    "a text, with ${subject}, ${changes} and ${namespace} in it where they are wanted ($$ is a dollar sign)",
)
_WORD = _Form(r"[^\s\"'\\{}$#;]+", "one word without quotes, braces or white space")
# Amazon S3 bucket naming rules, the strictest that the compatible servers apply.
_BUCKET = _Form(
    r"(?!.*\.\.)[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", "a bucket name (3 to 63 of a-z, 0-9, '.', '-')"
)
# A column whose name contains "time" or "date" is made a timestamp by Parseable if its first value looks like
# one, and refuses all that follow which do not.
_TIMELESS = r"(?!(?i:.*(?:time|date)))"
_LABELS = _Form(
    rf"{_TIMELESS}[A-Za-z0-9][A-Za-z0-9._/-]*(,[A-Za-z0-9][A-Za-z0-9._/-]*){{0,15}}",
    "up to 16 labels of pods with commas between them, without 'time' and 'date' in their names",
)
_FIELDS = _Form(
    rf"{_TIMELESS}[A-Za-z0-9_@.-]+(,[A-Za-z0-9_@.-]+){{0,15}}",
    "up to 16 fields of JSON messages with commas between them, without 'time' and 'date' in their names",
)
_PATTERN = _Form(r"[^'\x00-\x1f]+", "a regular expression without single quotes")
# Parseable refuses stream names with white space, most signs, or that are SQL keywords.
_STREAM = _Form(
    r"(?!(?i:select|from|where|table|insert|update|delete|order|group|by|join|union|all|and|or|not|in|as)$)"
    r"[A-Za-z][A-Za-z0-9_-]*",
    "a stream name (letters, digits, '_', '-'; not an SQL keyword)",
)


def _setting(default: Any, form: _Form) -> Any:
    return field(default=default, metadata={"form": form})


def _count(default: int, most: int = 2**31 - 1) -> Any:
    return field(default=default, metadata={"least": 1, "most": most})


@dataclass(frozen=True)
class Gitops:
    """The GitOps repository: where it is, and where in it things live."""

    path: str = ""
    apps: str = _setting("kubernetes/apps/monitoring", _FOLDER)
    repositories: str | None = _setting("kubernetes/flux/meta/repos", _FOLDER)
    namespace: str = _setting("monitoring", _NAME)
    remote: str | None = _setting(None, _WORD)
    issue: int | None = field(default=None, metadata={"least": 1})
    cluster: str | None = _setting(None, _FOLDER)


@dataclass(frozen=True)
class Flux:
    """The source of the Flux Kustomizations, and the intervals of all Flux objects."""

    namespace: str = _setting("flux-system", _NAME)
    source_kind: str = _setting(
        "GitRepository",
        _Form("GitRepository|OCIRepository|Bucket", "GitRepository, OCIRepository or Bucket"),
    )
    source: str = _setting("home-kubernetes", _NAME)
    interval: str = _setting("30m", _DURATION)
    retry_interval: str = _setting("1m", _DURATION)
    timeout: str = _setting("5m", _DURATION)
    repository_interval: str = _setting("1h", _DURATION)
    retries: int = _count(3)


@dataclass(frozen=True)
class S3:
    """The bucket, and the server that has it. ``retention_days`` is the age at which log data is deleted.

    Where the bucket has a rule for it, Parseable deletes two days before that.
    ``endpoint`` is what Parseable gets. ``admin_endpoint`` is where the playbook asks the same server, for
    one whose name the cluster alone knows. ``ca_config_map`` is a ConfigMap with the certificates (key
    ca.crt) of the authorities that Parseable trusts; with "skip-verify" for ``tls`` it takes any certificate.
    """

    endpoint: str = _setting("https://s3.68cc.io", _URL)
    admin_endpoint: str | None = _setting(None, _URL)
    region: str = _setting("minio", _WORD)
    bucket: str = _setting("parseable-logs", _BUCKET)
    retention: str = _setting("bucket", _Form("bucket|parseable", "bucket or parseable"))
    retention_days: int = field(default=30, metadata={"least": 3, "most": 36500})
    tls: str = _setting("verify", _Form("verify|skip-verify", "verify or skip-verify"))
    ca_config_map: str | None = _setting(None, _NAME)

    @property
    def asked(self) -> str:
        """The endpoint that the playbook asks."""
        return self.admin_endpoint or self.endpoint

    @property
    def asked_name(self) -> str:
        """The setting that `asked` comes from."""
        return "s3.admin_endpoint" if self.admin_endpoint else "s3.endpoint"


@dataclass(frozen=True)
class VersionsSettings:
    """Which set of versions is deployed: a file of manifests/versions. A version set here counts over it."""

    set: str = _setting("documented", _NAME)


@dataclass(frozen=True)
class SecretSettings:
    """Who gives Parseable's Secret: the playbook, encrypted (``sops``), or somebody else (``existing``).

    ``rotation`` is how Vector changes to a new login: ``together`` with Parseable, or ``guarded`` by a
    Service that leads to no server with another one.
    """

    manage: str = _setting("sops", _Form("sops|existing", "sops or existing"))
    rotation: str = _setting("together", _Form("together|guarded", "together or guarded"))


@dataclass(frozen=True)
class Parseable:
    """The Parseable release. ``staging_class`` is the StorageClass of its staging volume; None: no volume.

    ``mode`` is one server for all, or ``ingestors`` that take the logs beside one that answers queries.
    ``chart_version``, ``image``, ``image_tag`` and ``port`` are those of the set of versions where they are
    None.
    """

    name: str = _setting(
        "parseable",
        # The chart names its objects after the release only if the release's name contains the chart's.
        _Form(
            r"(?=.*parseable)[a-z0-9]([-a-z0-9]{0,51}[a-z0-9])?", "a Kubernetes name containing 'parseable'"
        ),
    )
    chart_repository: str = _setting("https://charts.parseable.com", _URL)
    chart_version: str | None = _setting(None, _VERSION)
    image: str | None = _setting(None, _WORD)
    image_tag: str | None = _setting(None, _WORD)
    port: int | None = field(default=None, metadata={"least": 1, "most": 65535})
    stream: str = _setting("kubernetes", _STREAM)
    secret: str = _setting("parseable-s3-secret", _NAME)
    cpu_request: str = _setting("500m", _QUANTITY)
    cpu_limit: str | None = _setting(None, _QUANTITY)
    memory_request: str = _setting("1Gi", _QUANTITY)
    memory_limit: str = _setting("2Gi", _QUANTITY)
    mode: str = _setting("standalone", _Form("standalone|distributed", "standalone or distributed"))
    ingestors: int = _count(3)
    staging_class: str | None = _setting(None, _NAME)
    retention_image: str = _setting("curlimages/curl:8.11.1", _WORD)
    staging_size: str = _setting("5Gi", _QUANTITY)
    scrape_interval: str = _setting("30s", _DURATION)


@dataclass(frozen=True)
class Vector:
    """The Vector release and its pipeline. Sizes in bytes, times in seconds where the name says so.

    ``chart_version`` None is that of the set of versions. ``label_columns`` are labels of pods,
    ``json_columns`` top-level fields of messages in JSON, that get a column each. ``first_lines`` is a
    pattern that the first line of each message matches: the lines up to the next are joined.
    """

    name: str = _setting("vector", _NAME)
    chart_repository: str = _setting("https://helm.vector.dev", _URL)
    chart_version: str | None = _setting(None, _VERSION)
    config_map: str = _setting("vector-config", _NAME)
    batch_seconds: int = _count(5)
    batch_bytes: int = _count(1048576)
    # Vector refuses a smaller disk buffer (its reference, "buffer.max_size": at least 268435488 bytes).
    buffer_bytes: int = field(default=1073741824, metadata={"least": 268435488})
    retry_seconds: int = _count(30)
    label_columns: str | None = _setting("app.kubernetes.io/name", _LABELS)
    json_columns: str | None = _setting(None, _FIELDS)
    first_lines: str | None = _setting(None, _PATTERN)
    cpu_request: str = _setting("100m", _QUANTITY)
    memory_request: str = _setting("256Mi", _QUANTITY)
    memory_limit: str = _setting("512Mi", _QUANTITY)


@dataclass(frozen=True)
class Grafana:
    """The Grafana that gets the data source.

    ``manage`` says which way: the HelmRelease of Grafana's chart, an object for Grafana's operator, or none.
    ``path`` is the file of the HelmRelease, or of the operator's Grafana. ``plugin_version`` None is that of
    the set of versions, ``plugin_url`` None Grafana's catalogue.
    """

    manage: str = _setting(
        "auto", _Form("auto|release|operator|none", "one of auto, release, operator and none")
    )
    path: str = _setting("kubernetes/apps/monitoring/grafana/app/helmrelease.yaml", _FOLDER)
    plugin_version: str | None = _setting(
        None, _Form(r"[0-9]+\.[0-9]+\.[0-9]+([-+][0-9A-Za-z.+-]+)?", "one exact version, such as 1.1.0")
    )
    plugin_url: str | None = _setting(None, _URL)
    datasource_name: str = _setting("Parseable", _WORD)
    datasource_uid: str = _setting("parseable", _WORD)
    datasource_type: str = _setting("parseable-parseable-datasource", _WORD)
    datasource_timeout: int = _count(30)


@dataclass(frozen=True)
class Charts:
    """Where charts are taken from to be rendered.

    ``mirrors`` maps the URL of a repository, as the files name it, to another URL or to a folder of archives.
    """

    mirrors: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Cluster:
    """The running cluster that is asked: None is what kubectl finds.

    ``load_image`` has awk, which writes the lines of `verify --load`.
    """

    kubeconfig: str | None = _setting(None, _Form(r"[^\x00-\x1f]+", "the path of a file"))
    context: str | None = _setting(None, _Form(r"[^\s-]\S*", "the name of a context"))
    load_image: str = _setting("busybox:1.37.0", _WORD)


@dataclass(frozen=True)
class Commit:
    """What the commits say. A line that names the playbook always follows."""

    message: str = _setting("${subject}\n\n${changes}", _TEMPLATE)


@dataclass(frozen=True)
class Settings:
    """Everything that can be set. Secrets are not settings.

    ``given`` are the dotted names of those that somebody wrote out, in a file, a variable or a flag.
    """

    gitops: Gitops = field(default_factory=Gitops)
    flux: Flux = field(default_factory=Flux)
    s3: S3 = field(default_factory=S3)
    versions: VersionsSettings = field(default_factory=VersionsSettings)
    secret: SecretSettings = field(default_factory=SecretSettings)
    parseable: Parseable = field(default_factory=Parseable)
    vector: Vector = field(default_factory=Vector)
    grafana: Grafana = field(default_factory=Grafana)
    charts: Charts = field(default_factory=Charts)
    cluster: Cluster = field(default_factory=Cluster)
    commit: Commit = field(default_factory=Commit)
    given: frozenset[str] = field(default=frozenset(), compare=False, repr=False)

    def chosen(self, key: str) -> bool:
        """Whether the dotted ``key`` is obeyed, not discovered: it was given, or is not the documented value.

        Who writes a value out means it, also where it is the documented one.
        """
        section, name = key.split(".")
        is_other = getattr(getattr(self, section), name) != getattr(getattr(DOCUMENTED, section), name)
        return is_other or key in self.given


DOCUMENTED = Settings()
SECTIONS: Final = tuple(item.name for item in dataclasses.fields(Settings) if item.name != "given")


@dataclass(frozen=True)
class Layer:
    """One source of configuration: ``origin`` names it to the user; later layers win over earlier ones.

    ``shared`` layers (the user's or the system's own Invoke files) may hold sections of other projects. One
    of ``defaults`` holds a value for everything: what it says is not given by anybody.
    """

    origin: str
    data: Mapping[str, Any]
    shared: bool = False
    defaults: bool = False


def load(layers: Iterable[Layer], other_sections: Iterable[str] = ()) -> Settings:
    """Merge ``layers`` over the documented defaults; ``other_sections`` are Invoke's own and passed over.

    Raises:
        SettingsError: an unknown key, a wrong type or a malformed value, with its key, origin and remedy.
    """
    sections = SECTIONS
    merged: dict[str, dict[str, Any]] = {name: {} for name in sections}
    origins: dict[tuple[str, str], str] = {}
    chosen: set[str] = set()
    for layer in layers:
        for section, values in layer.data.items():
            if section in sections:
                given = _section(layer.origin, section, values)
                merged[section].update(given)
                origins.update(dict.fromkeys(((section, name) for name in given), layer.origin))
                if not layer.defaults:
                    chosen.update(f"{section}.{name}" for name in given)
            elif not layer.shared and section not in other_sections:
                raise SettingsError(
                    f"unknown setting '{section}' in {layer.origin}", _nearest(str(section), sections)
                )
    made = {name: getattr(DOCUMENTED, name).__class__(**merged[name]) for name in sections}
    settings = Settings(**made, given=frozenset(chosen))
    if settings.vector.name == settings.parseable.name:
        # The documented names differ: a layer gave at least one of them.
        given = {section: origins[section, "name"] for section in sections if (section, "name") in origins}
        raise SettingsError(
            f"parseable.name and vector.name are both '{settings.vector.name}' "
            f"({', '.join(f'{section}.name from {origin}' for section, origin in given.items())})",
            "they name folders side by side",
        )
    return settings


def environment(variables: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """The settings that ``variables`` give: ``INVOKE_S3_BUCKET`` is ``s3.bucket``.

    Raises:
        SettingsError: a variable that names no setting, or holds no number where one is wanted.
    """
    _check_similar(variables)
    found: dict[str, dict[str, Any]] = {}
    for section in SECTIONS:
        prefix = _variable(section, "")
        kinds = kinds_of(section)
        for variable, value in variables.items():
            if not variable.startswith(prefix):
                continue
            name = variable.removeprefix(prefix).lower()
            if dict in kinds.get(name, ()):
                raise SettingsError(
                    f"{section}.{name} cannot be set in the environment ({variable})",
                    "set it in a file for invoke -f",
                )
            if name not in kinds or variable != _variable(section, name):
                known = [_variable(section, kind) for kind in kinds]
                raise SettingsError(
                    f"unknown setting '{variable}' in the environment", _nearest(variable, known)
                )
            if int in kinds[name] and not value.isdecimal():
                raise SettingsError(
                    f"{section}.{name} in the environment ({variable}) must be a whole number",
                    f"it is '{value}'",
                )
            found.setdefault(section, {})[name] = int(value) if int in kinds[name] else value
    return found


def _variable(section: str, name: str) -> str:
    return f"INVOKE_{section}_{name}".upper()


def _check_similar(environment: Mapping[str, str]) -> None:
    """Refuse a variable that is nearly one of ours; those of other projects are let be."""
    known = [_variable(section, name) for section in SECTIONS for name in kinds_of(section)]
    for variable in environment:
        if variable.startswith("INVOKE_") and variable not in known:
            close = difflib.get_close_matches(variable, known, n=1, cutoff=0.9)
            if close:
                raise SettingsError(
                    f"unknown setting '{variable}' in the environment", f"did you mean '{close[0]}'?"
                )


def _section(origin: str, section: str, values: Any) -> dict[str, Any]:
    if not isinstance(values, Mapping):
        raise SettingsError(f"'{section}' in {origin} must hold settings, not {_type_name(values)}")
    kinds = kinds_of(section)
    fields = {item.name: item for item in dataclasses.fields(getattr(DOCUMENTED, section))}
    result = {}
    for name, value in values.items():
        key = f"{section}.{name}"
        if name not in fields:
            known = [f"{section}.{item}" for item in fields]
            raise SettingsError(f"unknown setting '{key}' in {origin}", _nearest(key, known))
        place = f"{origin} ({_variable(section, name)})" if origin == ENVIRONMENT else origin
        _check_value(key, value, kinds[name], fields[name].metadata, place)
        result[name] = value
    return result


ENVIRONMENT = "the environment"


def _check_value(
    key: str, value: Any, kinds: tuple[type, ...], metadata: Mapping[str, Any], origin: str
) -> None:
    if dict in kinds:
        _check_mirrors(key, value, origin)
        return
    if isinstance(value, bool) or not isinstance(value, kinds):
        wanted = " or ".join(_KIND_NAMES[kind] for kind in kinds)
        raise SettingsError(
            f"{key} in {origin} must be {wanted}, not {_type_name(value)}", f"it is {value!r}"
        )
    form: _Form | None = metadata.get("form")
    if form is not None and isinstance(value, str) and not re.fullmatch(form.pattern, value):
        # A URL may have been given with a password in it.
        hint = "leave user and password out of it" if "@" in value else f"it is {value!r}"
        raise SettingsError(f"{key} in {origin} must be {form.words}", hint)
    least: int | None = metadata.get("least")
    if least is not None and isinstance(value, int) and value < least:
        raise SettingsError(f"{key} in {origin} must be at least {least}", f"it is {value}")
    most: int | None = metadata.get("most")
    if most is not None and isinstance(value, int) and value > most:
        raise SettingsError(f"{key} in {origin} must be at most {most}", f"it is {value}")


def _check_mirrors(key: str, value: Any, origin: str) -> None:
    if not isinstance(value, Mapping):
        raise SettingsError(f"{key} in {origin} must map URLs to URLs or folders", f"it is {value!r}")
    for url, target in value.items():
        if not isinstance(url, str) or not re.match(r"(https?|oci)://[^\s/@]+", url):
            raise SettingsError(
                f"{key} in {origin} must map URLs of chart repositories, but {url!r} is not a URL",
                "give the URL as the repository's files have it: https://… or oci://…",
            )
        if not isinstance(target, str) or not target.strip():
            raise SettingsError(
                f"{key} in {origin} must give a URL or a folder for {url}", f"it gives {target!r}"
            )


_KIND_NAMES: dict[type, str] = {str: "text", int: "a whole number", types.NoneType: "empty"}


def _type_name(value: Any) -> str:
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, float):
        return "a number; put it in quotes"
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    return _KIND_NAMES.get(type(value), type(value).__name__)


def kinds_of(section: str) -> dict[str, tuple[type, ...]]:
    """The types that each setting of a section may have; none where there is no such section."""
    if section not in SECTIONS:
        return {}
    hints = get_type_hints(getattr(DOCUMENTED, section).__class__)
    return {
        name: (dict,) if get_origin(hint) is dict else get_args(hint) or (hint,)
        for name, hint in hints.items()
    }


def _nearest(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f"did you mean '{close[0]}'?" if close else "known: " + ", ".join(sorted(known))
