"""The least rights with which `verify` can look at the running cluster, in this repository's namespaces."""

from tasks.flux.sources import Source
from tasks.model import AnsweredError, Model, Stage
from tasks.subjects.manifests import APPS
from tasks.workspace import Workspace
from tasks.yaml.templates import MANIFESTS, render

_NAME = "parseable-playbook-reader"


def reader(workspace: Workspace) -> str:
    """An account with its Roles, as YAML for kubectl apply."""
    layout = workspace.layout
    flux, apps = _namespaces(Model(workspace, Stage.BUILT))
    values = {"name": _NAME, "namespace": layout.namespace, "secret": workspace.settings.parseable.secret}
    parts = [("account.yaml", layout.namespace)]
    parts += [("flux.yaml", where) for where in sorted(flux)]
    parts += [("apps.yaml", where) for where in sorted(apps)]
    return "".join(
        render((MANIFESTS / "reader" / file).read_text(encoding="utf-8"), {**values, "where": where})
        for file, where in parts
    )


def _namespaces(model: Model) -> tuple[set[str], set[str]]:
    """The namespaces of Flux's objects on the way to our apps, and those that the apps run in."""
    layout = model.workspace.layout
    source = layout.source
    flux = {layout.namespace, source.namespace if isinstance(source, Source) else ""}
    flux.add(model.settings.flux.namespace)
    try:
        ours = [item for _, item in model.kustomizations_of(*APPS)]
        for item in model.cluster.holders(*ours):
            flux |= {item.key[0], item.origin[2] if item.origin else ""}
    except AnsweredError:
        pass  # Nothing can be built here: what the files name must do.
    return flux - {""}, {layout.namespace}
