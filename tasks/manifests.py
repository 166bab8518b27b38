"""The manifests as files of the repository: where they go, what they say, whether they may be written."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tasks.core.changes import Change
from tasks.core.errors import RefusedError
from tasks.core.settings import DOCUMENTED
from tasks.effects.files import MakeFolder, WriteFile, refuse_links
from tasks.effects.repository import same_text
from tasks.flux.layout import HelmSource, need
from tasks.workspace import World
from tasks.yaml.documents import same_documents
from tasks.yaml.templates import ABSENT, MANIFESTS, MARKER, Absent, Value, render

SECRET_FILE = "secret.sops.yaml"  # noqa: S105  # its name
PARSEABLE_FILES = ("kustomization.yaml", "helmrelease.yaml", SECRET_FILE, "servicemonitor.yaml")
VECTOR_FILES = ("kustomization.yaml", "rbac.yaml", "configmap.yaml", "helmrelease.yaml")


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


def app_folder(world: World, app: str) -> str:
    """The folder of ``app`` ("parseable" or "vector") in the repository."""
    name = world.settings.parseable.name if app == "parseable" else world.settings.vector.name
    return f"{need(world.layout.apps)}/{name}"


def parseable_url(world: World) -> str:
    """The URL of Parseable inside the cluster."""
    parseable = world.settings.parseable
    return f"http://{parseable.name}.{world.layout.namespace}.svc.cluster.local:{parseable.port}"


def template(name: str) -> str:
    """The text of a template by its path below manifests/, with the documented folders."""
    return (MANIFESTS / name).read_text(encoding="utf-8")


def app_template(app: str, file: str) -> str:
    """The text of a template of one app: ``app_template("vector", "app/rbac.yaml")``."""
    return template(str(Path(DOCUMENTED.gitops.apps) / app / file))


def placeholder_values(world: World) -> dict[str, Value | Absent]:
    """Every placeholder with its value: the settings as ``section_name``, and what the layout shows."""
    settings, layout = world.settings, world.layout
    values: dict[str, Value | Absent] = {
        f"{section}_{name}": value
        for section, fields in vars(settings).items()
        for name, value in vars(fields).items()
    }
    values |= {
        "namespace": layout.namespace,
        "flux_namespace": layout.flux_namespace,
        "kustomization_api": layout.apis["Kustomization"],
        "helm_release_api": layout.apis["HelmRelease"],
        "helm_repository_api": layout.apis["HelmRepository"],
        "decryption": ABSENT if layout.decryption is None else dict(layout.decryption),
        "parseable_url": parseable_url(world),
    }
    if isinstance(layout.apps, str):
        values["apps"] = layout.apps
    if not isinstance(layout.source, Exception):
        source = layout.source
        values |= {
            "source_kind": source.kind,
            "source_name": source.name,
            "source_namespace": source.namespace,
        }
    for app, charts in (("parseable", layout.parseable_charts), ("vector", layout.vector_charts)):
        if isinstance(charts, HelmSource):
            values |= {
                f"{app}_repository_name": charts.name,
                f"{app}_repository_namespace": charts.namespace,
            }
    return values


def app_facts(world: World, app: str, files: Iterable[str]) -> list[ManifestFacts]:
    """Facts of files of one app, named below its folder: ``app_facts(world, "vector", ["app/rbac.yaml"])``.

    Raises:
        RefusedError: the app's folder holds somebody else's app, or the layout is not known.
    """
    folder = app_folder(world, app)
    check_owner(world, app)
    # One call of git for the files of all tasks, not one for each.
    world.repository.load_heads(_known_paths(world))
    values = placeholder_values(world)
    return [file_facts(world, f"{folder}/{file}", render(app_template(app, file), values)) for file in files]


def deployed_facts(world: World) -> list[ManifestFacts]:
    """Facts of all files of both apps, but for the Secret: what it should hold is known to sops only.

    Raises:
        RefusedError: an app's folder holds somebody else's app, or the layout is not known.
    """
    plain = [name for name in PARSEABLE_FILES if name != SECRET_FILE]
    return [
        *app_facts(world, "parseable", ["ks.yaml", *(f"app/{name}" for name in plain)]),
        *app_facts(world, "vector", ["ks.yaml", *(f"app/{name}" for name in VECTOR_FILES)]),
    ]


@dataclass(frozen=True)
class FolderFacts:
    """An app's folder: whether its ``app/`` exists, and its ks.yaml."""

    app: str
    exists: bool
    kustomization: ManifestFacts


def folder_facts(world: World, app: str) -> FolderFacts:
    """Facts of the folder of ``app``.

    Raises:
        RefusedError: the folder holds somebody else's app.
    """
    (kustomization,) = app_facts(world, app, ("ks.yaml",))
    folder = f"{app_folder(world, app)}/app"
    return FolderFacts(folder, (world.repository.root / folder).is_dir(), kustomization)


def plan_folder(world: World, found: FolderFacts) -> Iterator[Change]:
    """Make the folder and write ks.yaml, where they are missing or different."""
    if not found.exists:
        yield MakeFolder(world.repository.root, found.app)
    yield from plan_files(world, [found.kustomization])


def file_facts(world: World, path: str, wanted: str) -> ManifestFacts:
    """Facts of one file that should hold ``wanted``."""
    return ManifestFacts(path, world.repository.read(path), world.repository.head(path), wanted)


def plan_files(world: World, facts: Iterable[ManifestFacts]) -> Iterator[Change]:
    """Write each file that does not say what it should.

    Raises:
        RefusedError: such a file has edits that are not committed, and --force was not given.
    """
    for file in facts:
        if file.is_current:
            continue
        if file.has_local_edits and not world.permissions.force:
            raise RefusedError(
                f"{file.path} has changes that are not committed and differ from what would be written",
                "commit them, or run again with --force to overwrite them",
            )
        yield WriteFile(world.repository.root, file.path, file.current, file.wanted)


def own_files(world: World, sources: Iterable[str]) -> tuple[str, ...]:
    """The files that are the playbook's as a whole: those of both apps, and its HelmRepository files."""
    parseable, vector = app_folder(world, "parseable"), app_folder(world, "vector")
    return (
        f"{parseable}/ks.yaml",
        *(f"{parseable}/app/{name}" for name in PARSEABLE_FILES),
        f"{vector}/ks.yaml",
        *(f"{vector}/app/{name}" for name in VECTOR_FILES),
        *sources,
    )


def charts_files(world: World) -> tuple[str, ...]:
    """The HelmRepository files in the folder for them, which its kustomization must list.

    A HelmRepository that is defined elsewhere is somebody else's, and listed where it is.
    """
    layout = world.layout
    found = (("parseable", need(layout.parseable_charts)), ("vector", need(layout.vector_charts)))
    beside = [(f"{layout.repositories}/{app}.yaml", charts) for app, charts in found]
    return tuple(path for path, charts in beside if charts.path in (None, path))


def applied_files(world: World) -> tuple[str, ...]:
    """Our files that Flux applies: those of the apps, and of HelmRepositories as far as they have a place."""
    layout = world.layout
    found = (layout.parseable_charts, layout.vector_charts, layout.repositories)
    is_known = not any(isinstance(item, Exception) for item in found)
    return own_files(world, charts_files(world) if is_known else ())


def _known_paths(world: World) -> tuple[str, ...]:
    """All files that any task writes or edits, as far as the layout is known."""
    layout = world.layout
    found = [layout.apps_kustomization, layout.repositories_kustomization]
    if isinstance(layout.repositories, str):
        found += [f"{layout.repositories}/{app}.yaml" for app in ("parseable", "vector")]
    if not isinstance(layout.grafana, Exception):
        found.append(layout.grafana.path)
    return (*own_files(world, ()), *(path for path in found if isinstance(path, str)))


def _check_renamed(world: World) -> None:
    """Refuse to deploy an app a second time beside the one that an earlier name left."""
    apps = need(world.layout.apps)
    present = {app_folder(world, "parseable"), app_folder(world, "vector")}
    for path in world.repository.yaml_files:
        folder, _, file = path.rpartition("/")
        is_app = file == "ks.yaml" and folder.startswith(f"{apps}/") and folder not in present
        if is_app and MARKER in world.repository.glance(path):
            raise RefusedError(
                f"{folder} was written by the playbook under another name, and would go on running",
                f"set the name back, or remove it first: take its entry out of "
                f"{need(world.layout.apps_kustomization)}, git rm -r {folder}, commit",
            )


def check_owner(world: World, app: str) -> None:
    """Check that the folder of ``app`` is the playbook's own, empty, or taken over with --adopt.

    Raises:
        RefusedError: it holds files, and none of them was written by the playbook; it lies behind a
            symbolic link; or the playbook wrote another folder for the same app, under another name.
    """
    folder = app_folder(world, app)
    refuse_links(world.repository.root, folder)
    _check_renamed(world)
    if world.permissions.adopt:
        return
    files = [path for path in world.repository.yaml_files if path.startswith(folder + "/")]
    texts = [world.repository.read(path) or "" for path in files]
    if not texts or any(MARKER in text for text in texts):
        return
    raise RefusedError(
        f"{folder} holds an app that the playbook did not write",
        f"set {app}.name to another name, or take the folder over with --adopt",
    )
