"""The manifests as files of the repository: where they go, what they say, whether they may be written."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from string import Template

from tasks.core.changes import Change
from tasks.core.errors import RefusedError
from tasks.effects.files import MakeFolder, WriteFile, refuse_links
from tasks.effects.repository import same_text
from tasks.flux.layout import MissingError, charts_file, need, need_all
from tasks.subjects.apps import APP_FOLDER, KS, App
from tasks.subjects.parseable import (
    PARSEABLE,
    RETENTION_MARGIN,
    SECRET,
    parseable_url,
    persistence,
    query_memory,
)
from tasks.subjects.vector import (
    CONFIG_MAP,
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
    """One file: its text in the work tree and in HEAD (None: no such file), and the text it should have."""

    path: str
    current: str | None = field(repr=False)
    head: str | None = field(repr=False)
    wanted: str = field(repr=False)

    @property
    def is_current(self) -> bool:
        """Whether the file says what it should; comments and style do not count."""
        return self.current is not None and same_documents(self.current, self.wanted)

    @property
    def has_local_edits(self) -> bool:
        """Whether somebody changed the file and did not commit it."""
        return self.current is not None and (self.head is None or not same_text(self.current, self.head))


@dataclass(frozen=True)
class FolderFacts:
    """A folder for manifests, and whether it is there."""

    path: str
    exists: bool


def render_templates(workspace: Workspace, names: Iterable[str]) -> list[str]:
    """The templates of these paths below manifests/, filled in with the settings and what the layout shows.

    Raises:
        MissingError: the repository does not show what they need; it names all of it.
    """
    texts = [_template(name) for name in names]
    values = _placeholder_values(workspace)
    placeholders = [name for text in texts for name in Template(text).get_identifiers()]
    if _CHECKSUM in placeholders:
        # It is of another of the manifests.
        config = _template(VECTOR.template(CONFIG_MAP))
        placeholders = [
            name for name in (*placeholders, *Template(config).get_identifiers()) if name != _CHECKSUM
        ]
        need_all(*(values[name] for name in placeholders))
        values[_CHECKSUM] = config_checksum(_filled(config, values))
    need_all(*(values[name] for name in placeholders))
    return [_filled(text, values) for text in texts]


_CHECKSUM = "vector_config_checksum"


def _template(name: str) -> str:
    return (MANIFESTS / name).read_text(encoding="utf-8")


def _filled(template: str, values: Mapping[str, Value | Absent | MissingError]) -> str:
    return render(template, {key: one for key, one in values.items() if not isinstance(one, MissingError)})


def _placeholder_values(workspace: Workspace) -> dict[str, Value | Absent | MissingError]:
    """Every placeholder with its value: the settings as ``section_name``, and what the layout shows."""
    settings, layout = workspace.settings, workspace.layout
    values: dict[str, Value | Absent | MissingError] = {
        f"{section}_{name}": value
        for section, fields in vars(settings).items()
        for name, value in vars(fields).items()
    }
    source = layout.source
    values |= {
        "apps": layout.apps,
        "namespace": layout.namespace,
        "flux_namespace": layout.flux_namespace,
        "kustomization_api": layout.apis["Kustomization"],
        "helm_release_api": layout.apis["HelmRelease"],
        "helm_repository_api": layout.apis["HelmRepository"],
        "decryption": ABSENT if layout.decryption is None else dict(layout.decryption),
        "parseable_url": parseable_url(workspace),
        "parseable_persistence": persistence(settings.parseable) or ABSENT,
        "parseable_retention_days": settings.s3.retention_days - RETENTION_MARGIN,
        "parseable_query_memory": str(query_memory(settings.parseable)),
        "vector_label_columns": label_columns(settings.vector),
        "vector_json_columns": json_columns(settings.vector),
        "vector_join": joining(settings.vector) or ABSENT,
        "vector_last_transform": last_transform(settings.vector),
        "source_kind": source if isinstance(source, MissingError) else source.kind,
        "source_name": source if isinstance(source, MissingError) else source.name,
        "source_namespace": source if isinstance(source, MissingError) else source.namespace,
    }
    for app in APPS:
        charts = app.charts(layout)
        values |= {
            f"{app.name}_repository_name": charts if isinstance(charts, MissingError) else charts.name,
            f"{app.name}_repository_namespace": (
                charts if isinstance(charts, MissingError) else charts.namespace
            ),
        }
    return values


def app_facts(workspace: Workspace, app: App, files: Iterable[str]) -> list[FolderFacts | ManifestFacts]:
    """Facts of files and folders ("app/") of one app: ``app_facts(workspace, VECTOR, (KS, RELEASE))``.

    Raises:
        RefusedError: the app's folder holds somebody else's app, or the repository does not show what the
            files must say.
    """
    files = tuple(files)
    written = [file for file in files if file != APP_FOLDER]
    wanted = dict(zip(written, render_templates(workspace, map(app.template, written)), strict=True))
    check_owner(workspace, app)
    # One call of git for the files of all tasks, not one for each.
    workspace.repository.load_heads(_known_paths(workspace))
    return [
        file_facts(workspace, app.path(workspace, file), wanted[file])
        if file in wanted
        else _folder_facts(workspace, app.path(workspace, file))
        for file in files
    ]


def deployed_facts(workspace: Workspace) -> list[ManifestFacts]:
    """Facts of all files of both apps, but for the Secret: what it should hold is known to sops only.

    Raises:
        RefusedError: an app's folder holds somebody else's app, or the layout is not known.
    """
    return [
        fact
        for app in APPS
        for fact in app_facts(workspace, app, [file for file in app.files if file != SECRET])
        if isinstance(fact, ManifestFacts)
    ]


def _folder_facts(workspace: Workspace, path: str) -> FolderFacts:
    return FolderFacts(path, (workspace.repository.root / path).is_dir())


def file_facts(workspace: Workspace, path: str, wanted: str) -> ManifestFacts:
    """Facts of one file that should hold ``wanted``."""
    return ManifestFacts(path, workspace.repository.read(path), workspace.repository.head(path), wanted)


def plan_files(workspace: Workspace, found: Iterable[FolderFacts | ManifestFacts]) -> Iterator[Change]:
    """Make each folder that is missing, and write each file that does not say what it should.

    Raises:
        RefusedError: such a file has edits that are not committed, and --force was not given.
    """
    for item in found:
        if isinstance(item, FolderFacts):
            if not item.exists:
                yield MakeFolder(workspace.repository.root, item.path)
            continue
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
        yield WriteFile(workspace.repository.root, item.path, item.current, item.wanted)


def own_files(workspace: Workspace) -> tuple[str, ...]:
    """The files of both apps, which are the playbook's as a whole.

    Raises:
        MissingError: the repository shows no folder of apps.
    """
    return tuple(app.path(workspace, file) for app in APPS for file in app.files)


def _known_paths(workspace: Workspace) -> tuple[str, ...]:
    """All files that any task writes or edits, as far as the layout is known."""
    layout = workspace.layout
    found = [layout.apps_kustomization, layout.repositories_kustomization]
    if isinstance(layout.repositories, str):
        found += [charts_file(layout.repositories, app.name) for app in APPS]
    if not isinstance(layout.grafana, Exception):
        found.append(layout.grafana.path)
    return (*own_files(workspace), *(path for path in found if isinstance(path, str)))


def _check_renamed(workspace: Workspace) -> None:
    """Refuse to deploy an app a second time beside the one that an earlier name left."""
    apps = need(workspace.layout.apps)
    ours = {app.folder(workspace) for app in APPS}
    for path in workspace.repository.yaml_files:
        folder, _, file = path.rpartition("/")
        is_app = file == KS and folder.startswith(f"{apps}/") and folder not in ours
        if is_app and MARKER in workspace.repository.text(path):
            raise RefusedError(
                f"{folder} was written by the playbook under another name, and would go on running",
                f"set the name back, or remove it first: take its entry out of "
                f"{need(workspace.layout.apps_kustomization)}, git rm -r {folder}, commit",
            )


def check_owner(workspace: Workspace, app: App) -> None:
    """Check that the folder of ``app`` is the playbook's own, empty, or taken over with --adopt.

    Raises:
        RefusedError: it holds files, and none of them was written by the playbook; it lies behind a
            symbolic link; or the playbook wrote another folder for the same app, under another name.
    """
    folder = app.folder(workspace)
    refuse_links(workspace.repository.root, folder)
    _check_renamed(workspace)
    if workspace.permissions.adopt:
        return
    files = [path for path in workspace.repository.yaml_files if path.startswith(folder + "/")]
    texts = [workspace.repository.read(path) or "" for path in files]
    if not texts or any(MARKER in text for text in texts):
        return
    raise RefusedError(
        f"{folder} holds an app that the playbook did not write",
        f"set {app.name}.name to another name, or take the folder over with --adopt",
    )
