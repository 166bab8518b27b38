"""The manifests as files of the repository: where they go, what they say, whether they may be written."""

import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from string import Template

from tasks.core.changes import Change, Remark
from tasks.core.errors import RefusedError, SettingsError
from tasks.core.settings import SECTIONS
from tasks.effects.files import MakeFolder, refuse_links
from tasks.effects.repository import same_text
from tasks.flux import versions
from tasks.flux.chart_sources import charts_file
from tasks.flux.grafana import GrafanaPlace
from tasks.flux.grafana_operator import GrafanaInstance
from tasks.flux.grafana_plugins import entry, variable_of
from tasks.flux.missing import MissingError, need_all
from tasks.subjects.apps import APP_FOLDER, RELEASE, App
from tasks.subjects.given_secret import giver_beside, givers, is_given
from tasks.subjects.parseable import (
    BUDGET,
    CA_FOLDER,
    CA_KEY,
    CA_VOLUME,
    DATA_SOURCE,
    LOGIN_LABEL,
    PARSEABLE,
    SECRET,
    guarded_revision,
    has_budget,
    has_data_source,
    login_revision,
    login_service,
    query_memory,
    query_url,
    release_minutes,
    retention_days,
    senders_url,
    staging,
)
from tasks.subjects.settled import Settled, settle
from tasks.subjects.vector import (
    CONFIG_MAP,
    LOGIN_SERVICE,
    VECTOR,
    config_checksum,
    joining,
    json_columns,
    label_columns,
    last_transform,
)
from tasks.workspace import Workspace
from tasks.yaml.documents import same_documents, syntax_error
from tasks.yaml.templates import ABSENT, MANIFESTS, MARKER, Absent, Value, render

APPS = (PARSEABLE, VECTOR)


@dataclass(frozen=True)
class ManifestFacts:
    """One file: its text in the work tree and in HEAD (None: no such file), and the text it should have.

    ``settled`` is how that text was found where HEAD says something else than the settings.
    ``begun`` is the wanted text as it is before there is a Secret: TASK-003 writes the release like that, and
    TASK-004 puts the revision of the Secret in. None where the revision is in no other way in the file.
    ``is_output``: a run of ours wrote what the work tree has.
    """

    path: str
    current: str | None = field(repr=False)
    head: str | None = field(repr=False)
    settled: Settled
    begun: str | None = field(default=None, repr=False)
    is_output: bool = False

    @property
    def wanted(self) -> str:
        """The text it should have."""
        return self.settled.text

    @property
    def is_current(self) -> bool:
        """Whether the file says what it should; comments and style do not count."""
        return self.current is not None and same_documents(self.current, self.wanted)

    @property
    def has_local_edits(self) -> bool:
        """Whether somebody changed the file and did not commit it."""
        if self.current is None or self.is_output:
            return False
        if self.begun is not None and same_text(_LOGIN_LINE.sub("", self.current), self.begun):
            return False
        return self.head is None or not same_text(self.current, self.head)


@dataclass(frozen=True)
class FolderFacts:
    """A folder for manifests, and whether it is there."""

    path: str
    exists: bool


def render_templates(workspace: Workspace, names: Iterable[str], login: str | None = None) -> list[str]:
    """The templates of these paths below manifests/, filled in with the settings and what the layout shows.

    ``login`` is the revision of the Secret, None where there is none yet or somebody else gives it.

    Raises:
        MissingError: the repository does not show what they need; it names all of it.
    """
    texts = [_template(name) for name in names]
    values = _placeholder_values(workspace) | _login(workspace, login)
    placeholders = [name for text in texts for name in Template(text).get_identifiers()]
    if _CHECKSUM in placeholders:
        # It is of another of the manifests.
        config = _template(VECTOR.template(CONFIG_MAP, workspace.settings))
        placeholders = [
            name for name in (*placeholders, *Template(config).get_identifiers()) if name != _CHECKSUM
        ]
        need_all(*(values[name] for name in placeholders))
        values[_CHECKSUM] = config_checksum(_settled_config(workspace, _filled(config, values)))
    need_all(*(values[name] for name in placeholders))
    return [workspace.layout.style.applied(_filled(text, values)) for text in texts]


_CHECKSUM = "vector_config_checksum"


def _settled_config(workspace: Workspace, wanted: str) -> str:
    """The ConfigMap of Vector as it will be, with what its owner changed."""
    path, template = VECTOR.path(workspace, CONFIG_MAP), VECTOR.template(CONFIG_MAP, workspace.settings)
    return settle(workspace, path, workspace.layout.style.applied(wanted), template).text


def _template(name: str) -> str:
    return (MANIFESTS / name).read_text(encoding="utf-8")


def _filled(template: str, values: Mapping[str, Value | Absent | MissingError]) -> str:
    return render(template, {key: one for key, one in values.items() if not isinstance(one, MissingError)})


def _placeholder_values(workspace: Workspace) -> dict[str, Value | Absent | MissingError]:
    """Every placeholder with its value: the settings as ``section_name``, and what the layout shows."""
    settings, layout = versions.resolved(workspace.settings), workspace.layout
    metrics = versions.metrics_of(settings)
    values: dict[str, Value | Absent | MissingError] = {
        f"{section}_{name}": value
        for section in SECTIONS
        for name, value in vars(getattr(settings, section)).items()
    }
    reference = layout.reference
    values |= {
        "namespace": layout.namespace,
        "namespace_entry": "./namespace.yaml" if layout.lacks_namespace else ABSENT,
        "flux_namespace": ABSENT if layout.flux_namespace is None else layout.flux_namespace,
        "kustomization_api": layout.apis["Kustomization"],
        "helm_release_api": layout.apis["HelmRelease"],
        "helm_repository_api": layout.apis["HelmRepository"],
        "decryption": _decryption(workspace),
        "s3_skip_verify": "true" if settings.s3.tls == "skip-verify" else ABSENT,
        **_authority(settings.s3.ca_config_map),
        "secret_entry": _secret_entry(workspace),
        "budget_entry": f"./{posixpath.basename(BUDGET)}" if has_budget(workspace) else ABSENT,
        "parseable_query_url": query_url(workspace),
        "parseable_release_timeout": f"{release_minutes(settings.parseable)}m",
        "parseable_staging": staging(settings.parseable),
        "parseable_persistence": {"staging": staging(settings.parseable)}
        if settings.parseable.staging_class
        else ABSENT,
        "parseable_metrics_path": metrics.path,
        "parseable_metrics_port": metrics.port or ABSENT,
        "parseable_metrics_target_port": metrics.target_port or ABSENT,
        "parseable_retention_days": retention_days(settings.s3),
        "parseable_query_memory": str(query_memory(settings.parseable)),
        "vector_label_columns": label_columns(settings.vector),
        "vector_json_columns": json_columns(settings.vector),
        "vector_variable": versions.vector_variable(settings) or ABSENT,
        "vector_join": joining(settings.vector) or ABSENT,
        "vector_last_transform": last_transform(settings.vector),
        "source_kind": reference if isinstance(reference, MissingError) else reference.kind,
        "source_name": reference if isinstance(reference, MissingError) else reference.name,
        "source_namespace": reference if isinstance(reference, MissingError) else reference.namespace,
    }
    values |= _grafana_values(workspace)
    for app in APPS:
        values |= {f"{app.name}_{name}": value for name, value in _app_values(workspace, app).items()}
    return values


def _app_values(workspace: Workspace, app: App) -> dict[str, Value | Absent | MissingError]:
    """The placeholders of one app that the layout fills."""
    layout = workspace.layout
    charts, apps = app.charts(layout), layout.apps
    path = apps if isinstance(apps, MissingError) else layout.applied_path(app.path(workspace, APP_FOLDER))
    if isinstance(charts, MissingError):
        return {
            "path": path,
            "repository_name": charts,
            "repository_namespace": charts,
            "repository_entry": charts,
        }
    # One beside its app is in the app's own namespace, whatever that is.
    return {
        "path": path,
        "repository_name": charts.name,
        "repository_namespace": ABSENT if charts.is_beside else charts.namespace,
        "repository_entry": f"./{posixpath.basename(str(charts.path))}" if charts.is_beside else ABSENT,
    }


def _grafana_values(workspace: Workspace) -> dict[str, Value | Absent | MissingError]:
    """What the file of the data source says, its entry, and the plugin as an entry of the chart's list."""
    grafana, settings = workspace.layout.grafana, versions.resolved(workspace.settings).grafana
    found: dict[str, Value | Absent | MissingError] = {
        "data_source_entry": f"./{DATA_SOURCE.rpartition('/')[2]}" if has_data_source(workspace) else ABSENT
    }
    if isinstance(grafana, GrafanaInstance):
        is_elsewhere = grafana.namespace not in (None, workspace.layout.namespace)
        found |= {
            "grafana_labels": dict(grafana.labels),
            "grafana_crosses": True if is_elsewhere or grafana.crosses else ABSENT,
        }
    elif isinstance(grafana, GrafanaPlace):
        variable = variable_of(grafana.chart, grafana.version, grafana.repository)
        found["grafana_plugin"] = entry(settings, variable)
    return found


def _authority(config_map: str | None) -> dict[str, Value | Absent]:
    """What the release says for Parseable to trust the authorities in ``config_map``; nothing without one."""
    if config_map is None:
        return dict.fromkeys(("s3_ca_file", "s3_ca_mounts", "s3_ca_volumes"), ABSENT)
    files = {"name": config_map, "items": [{"key": CA_KEY, "path": CA_KEY}]}
    return {
        "s3_ca_file": f"{CA_FOLDER}/{CA_KEY}",
        "s3_ca_mounts": [{"name": CA_VOLUME, "mountPath": CA_FOLDER, "readOnly": True}],
        "s3_ca_volumes": [{"name": CA_VOLUME, "configMap": files}],
    }


# The line of Parseable's release with the revision of the Secret, as its template has it; and in any form.
_LOGIN_LINE = re.compile(rf"(?m)^ *metadata: {{(?:labels|annotations): {{{LOGIN_LABEL}: [^}}]*}}}}\n")
_LOGIN = re.compile(rf"{LOGIN_LABEL}: (?:\\?\")?([0-9a-f]+)")


def _login_in(release: str) -> str | None:
    found = _LOGIN.search(release)
    return None if found is None else found[1]


def _login(workspace: Workspace, found: str | None) -> dict[str, Value | Absent]:
    """What makes the pods of both apps anew when the Secret, of revision ``found``, changes."""
    is_guarded = guarded_revision(workspace) is not None
    return {
        "login_labels": ABSENT if found is None else {"labels": {LOGIN_LABEL: found}},
        "login_annotations": ABSENT if found is None else {"annotations": {LOGIN_LABEL: found}},
        "login_revision": ABSENT if found is None else found,
        "login_service": login_service(workspace),
        "login_service_entry": f"./{posixpath.basename(LOGIN_SERVICE)}" if is_guarded else ABSENT,
        # An agent loses what it sends to a server with another login; behind its own Service it waits.
        "vector_max_unavailable": "50%" if is_guarded else "100%",
        "senders_url": senders_url(workspace),
    }


def _secret_entry(workspace: Workspace) -> str | Absent:
    """The entry of the app's kustomization that gives the Secret, whoever wrote that file."""
    if not is_given(workspace):
        return f"./{posixpath.basename(SECRET)}"
    beside = None if isinstance(workspace.layout.apps, MissingError) else giver_beside(workspace)
    return ABSENT if beside is None else f"./{posixpath.basename(beside.path)}"


def _decryption(workspace: Workspace) -> Value | Absent:
    """What the Kustomization of Parseable must say of decryption; nothing where it applies no SOPS Secret."""
    needed, layout = not is_given(workspace), workspace.layout
    if not needed and isinstance(layout.apps, str):
        beside = giver_beside(workspace)
        needed = beside is not None and beside.is_encrypted
    return ABSENT if layout.decryption is None or not needed else dict(layout.decryption)


def app_facts(
    workspace: Workspace, app: App, files: Iterable[str], *, keeps_login: bool = False
) -> list[FolderFacts | ManifestFacts]:
    """Facts of files and folders ("app/") of one app: ``app_facts(workspace, VECTOR, (KS, RELEASE))``.

    With ``keeps_login`` the release of Parseable is to have the revision of the Secret that it has: which one
    that must be is the question of a later task.

    Raises:
        RefusedError: the app's folder holds somebody else's app, or the repository does not show what the
            files must say.
    """
    files = tuple(file for file in files if file == APP_FOLDER or file in app.files_in(workspace))
    written = [file for file in files if file != APP_FOLDER]
    templates = [app.template(file, workspace.settings) for file in written]
    login = login_revision(workspace)
    # Also of a Secret that is none any more: what is wrong with it is told by the task that encrypts it.
    if (
        keeps_login
        and not is_given(workspace)
        and workspace.repository.text(PARSEABLE.path(workspace, SECRET))
    ):
        login = _login_in(workspace.repository.text(app.path(workspace, RELEASE)))
    wanted = dict(zip(written, render_templates(workspace, templates, login), strict=True))
    check_owner(workspace, app)
    _check_overwritten(workspace)
    # One call of git for the files of all tasks, not one for each.
    workspace.repository.load_heads(_known_paths(workspace))
    begun = {}
    if app is PARSEABLE and RELEASE in wanted:
        (begun[RELEASE],) = render_templates(workspace, [app.template(RELEASE, workspace.settings)])
    return [
        file_facts(
            workspace,
            app.path(workspace, file),
            wanted[file],
            app.template(file, workspace.settings),
            begun.get(file),
        )
        if file in wanted
        else _folder_facts(workspace, app.path(workspace, file))
        for file in files
    ]


def _check_overwritten(workspace: Workspace) -> None:
    """Check that --overwrite names files that are the playbook's as a whole.

    Raises:
        SettingsError: it names another.
    """
    sources = workspace.layout.chart_sources
    folder = None if isinstance(sources, MissingError) else sources.folder
    ours = {*own_files(workspace), *(charts_file(folder, app.name) for app in APPS if folder is not None)}
    for item in workspace.permissions.overwrite:
        file = item.partition(":")[0]
        if file not in ours - {PARSEABLE.path(workspace, SECRET)}:
            raise SettingsError(
                f"--overwrite {item}: {file} is no file that the playbook writes as a whole",
                "name a file, and a place in it, as the plan does: FILE or FILE:PLACE",
            )


def deployed_facts(workspace: Workspace) -> list[ManifestFacts]:
    """Facts of all files of both apps, but for the Secret: what it should hold is known to sops only.

    Raises:
        RefusedError: an app's folder holds somebody else's app, or the layout is not known.
    """
    return [
        fact
        for app in APPS
        for fact in app_facts(workspace, app, [file for file in app.files_in(workspace) if file != SECRET])
        if isinstance(fact, ManifestFacts)
    ]


def _folder_facts(workspace: Workspace, path: str) -> FolderFacts:
    return FolderFacts(path, (workspace.repository.root / path).is_dir())


def file_facts(
    workspace: Workspace, path: str, wanted: str, template: str, begun: str | None = None
) -> ManifestFacts:
    """Facts of one file that the settings want to hold ``wanted``, which ``template`` was filled in to.

    ``begun`` is what the same run may have written of it.
    """
    repository = workspace.repository
    settled = settle(workspace, path, wanted, template)
    current, head = repository.read(path), repository.head(path)
    return ManifestFacts(path, current, head, settled, begun, repository.is_output(path))


def plan_files(
    workspace: Workspace, found: Iterable[FolderFacts | ManifestFacts]
) -> Iterator[Change | Remark]:
    """Make each folder that is missing, and write each file that does not say what it should.

    What a file keeps of its owner's is told.

    Raises:
        RefusedError: such a file has edits that are not committed, and --force was not given; or its owner
            and the settings changed the same.
    """
    for item in found:
        if isinstance(item, FolderFacts):
            if not item.exists:
                yield MakeFolder(workspace.repository.root, item.path)
            continue
        if item.settled.refusal is not None:
            raise item.settled.refusal
        yield from map(Remark, item.settled.said)
        if item.is_current:
            continue
        if item.has_local_edits and not workspace.permissions.force:
            broken = syntax_error(item.current or "")
            if broken:
                raise RefusedError(
                    f"{item.path}:{broken}; the file is not valid YAML, and not committed like that",
                    "correct it, or run again with --force to overwrite it",
                )
            raise RefusedError(
                f"{item.path} has uncommitted changes that this run would overwrite",
                "commit them, or run again with --force to overwrite them",
            )
        yield workspace.repository.write(item.path, item.wanted)


def own_files(workspace: Workspace) -> tuple[str, ...]:
    """The files of both apps, which are the playbook's as a whole.

    Raises:
        MissingError: the repository shows no folder of apps.
    """
    return tuple(app.path(workspace, file) for app in APPS for file in app.files_in(workspace))


def _known_paths(workspace: Workspace) -> tuple[str, ...]:
    """All files that any task writes or edits, as far as the layout is known."""
    layout = workspace.layout
    found = [layout.apps_kustomization, layout.repositories_kustomization]
    sources = layout.chart_sources
    if not isinstance(sources, MissingError) and sources.folder is not None:
        found += [charts_file(sources.folder, app.name) for app in APPS]
    if not isinstance(layout.grafana, Exception):
        found.append(layout.grafana.path)
    return (*own_files(workspace), *(path for path in found if isinstance(path, str)))


def check_owner(workspace: Workspace, app: App) -> None:
    """Check that the folder of ``app`` is the playbook's own, empty, or taken over with --adopt.

    Raises:
        RefusedError: it holds files, and none of them was written by the playbook; or it lies behind a
            symbolic link.
    """
    folder = app.folder(workspace)
    refuse_links(workspace.repository.root, folder)
    if workspace.permissions.adopt:
        return
    # Whoever gives the Secret may have put it there before anything else is.
    given = {giver.path for giver in givers(workspace)} if is_given(workspace) else set()
    found = (path for path in workspace.repository.yaml_files if path.startswith(folder + "/"))
    files = [path for path in found if path not in given]
    texts = [workspace.repository.read(path) or "" for path in files]
    if not texts or any(MARKER in text for text in texts):
        return
    raise RefusedError(
        f"{folder} holds an app that the playbook did not write",
        f"set {app.name}.name to another name, or take the folder over with --adopt",
    )
