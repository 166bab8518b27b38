"""What Flux is told of our apps: the entries in both kustomizations, and the charts' HelmRepositories."""

import posixpath
from collections.abc import Callable, Iterable, Sequence

from tasks.flux.chart_sources import charts_file
from tasks.flux.missing import MissingError, need
from tasks.subjects.apps import CHART_SOURCE, KS, App
from tasks.subjects.manifests import APPS, ManifestFacts, file_facts, own_files, render_templates
from tasks.subjects.shared_files import SharedFile
from tasks.workspace import Workspace
from tasks.yaml.documents import load_documents
from tasks.yaml.editing import YamlValue, ensure
from tasks.yaml.templates import MARKER

_NAMESPACE = "namespace.yaml"


def charts_files(workspace: Workspace) -> dict[str, App]:
    """The HelmRepository files in the folder for them, which its kustomization must list, with their apps.

    A HelmRepository that is defined elsewhere is somebody else's, and listed where it is; one beside its app
    is among the app's files.

    Raises:
        MissingError: the repository shows no folder of HelmRepositories.
    """
    layout = workspace.layout
    found = [(app, need(app.charts(layout))) for app in APPS]
    folder = need(layout.chart_sources).folder
    if folder is None:
        return {}
    common = [(charts_file(folder, app.name), app, charts) for app, charts in found]
    return {path: app for path, app, charts in common if charts.path in (None, path)}


def charts_facts(workspace: Workspace) -> tuple[ManifestFacts, ...]:
    """Facts of the HelmRepository files that are ours to write: those that nobody else has written."""
    ours = {
        path: app.template(CHART_SOURCE, workspace.settings)
        for path, app in charts_files(workspace).items()
        if MARKER in (workspace.repository.read(path) or MARKER)
    }
    texts = render_templates(workspace, ours.values())
    return tuple(
        file_facts(workspace, path, text, template)
        for (path, template), text in zip(ours.items(), texts, strict=True)
    )


def applied_files(workspace: Workspace) -> tuple[str, ...]:
    """Our files that Flux applies: those of the apps, and of HelmRepositories as far as they have a place."""
    layout = workspace.layout
    found = (*(app.charts(layout) for app in APPS), layout.chart_sources)
    is_known = not any(isinstance(item, MissingError) for item in found)
    return (*own_files(workspace), *(charts_files(workspace) if is_known else ()))


def apps_lists(workspace: Workspace) -> list[SharedFile]:
    """The kustomization that lists the apps; where HEAD has none yet, also what makes it a folder of apps."""
    layout, repository = workspace.layout, workspace.repository
    path = need(layout.apps_kustomization)
    entries = [f"./{app.settings(workspace.settings).name}/{KS}" for app in APPS]
    current = repository.read(path)
    if repository.head(path) is not None or (current is not None and _NAMESPACE not in current):
        return [_list(workspace, path, entries)]
    folder = posixpath.dirname(path)
    new = {
        path: _kustomization(layout.namespace, layout.neighbours.components),
        f"{folder}/{_NAMESPACE}": _namespace(layout.namespace),
    }
    own = [] if layout.neighbours.brings_namespace else [f"./{_NAMESPACE}"]
    found = [_list(workspace, path, [*own, *entries], layout.style.applied(new[path]))]
    if own:
        namespace = layout.style.applied(new[f"{folder}/{_NAMESPACE}"])
        found.append(_shared(workspace, f"{folder}/{_NAMESPACE}", lambda text: text or namespace))
    listing = layout.neighbours.listing
    if listing is not None:
        entry = posixpath.relpath(folder, posixpath.dirname(listing) or ".")
        found.append(_list(workspace, listing, [f"./{entry}"]))
    return found


def _kustomization(namespace: str, components: Sequence[str]) -> str:
    """The beginning of a new kustomization that moves what it lists into ``namespace``."""
    named = "".join(f"  - {entry}\n" for entry in components)
    return (
        "---\napiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n"
        f"namespace: {namespace}\n" + (f"components:\n{named}" if named else "")
    )


def _namespace(name: str) -> str:
    """A Namespace that stays when its manifest goes: with it would go all that is in it."""
    return (
        f"---\napiVersion: v1\nkind: Namespace\nmetadata:\n  name: {name}\n"
        "  annotations:\n    kustomize.toolkit.fluxcd.io/prune: disabled\n"
    )


def repositories_list(workspace: Workspace, files: Iterable[str]) -> SharedFile:
    """The kustomization that lists the HelmRepositories, with ``files`` of its folder among them."""
    entries = [f"./{posixpath.basename(path)}" for path in files]
    return _list(workspace, str(need(workspace.layout.repositories_kustomization)), entries)


def _list(workspace: Workspace, path: str, entries: Sequence[str], new: str = "") -> SharedFile:
    """A kustomization with ``entries``; ``new`` is what it begins with where there is none yet."""

    def edit(text: str) -> str:
        text = text or new
        return ensure(text, ("resources",), _as_spelled(text, entries), name=path)

    return _shared(workspace, path, edit)


def _shared(workspace: Workspace, path: str, edit: Callable[[str], str]) -> SharedFile:
    repository = workspace.repository
    return SharedFile(path, repository.read(path), repository.head(path), edit)


def _as_spelled(text: str, entries: Sequence[str]) -> YamlValue:
    """``entries`` as the kustomization ``text`` spells them, or would: with or without "./"."""
    documents = load_documents(text)
    listed = documents[0].get("resources") if documents and isinstance(documents[0], dict) else None
    existing = [entry for entry in listed if isinstance(entry, str)] if isinstance(listed, list) else []
    bare = bool(existing) and not any(entry.startswith("./") for entry in existing)
    return [
        next(
            (item for item in existing if is_same_path(item, entry)),
            entry.removeprefix("./") if bare else entry,
        )
        for entry in entries
    ]


def is_same_path(existing: object, wanted: object) -> bool:
    """Whether two entries of a kustomization name the same file: "./a/ks.yaml" and "a/ks.yaml" do."""
    return (
        isinstance(existing, str)
        and isinstance(wanted, str)
        and posixpath.normpath(existing) == posixpath.normpath(wanted)
    )
