"""What comes after a first rollout: until Flux has applied it there is nothing to log in to."""

from collections.abc import Iterator

from tasks.subjects.parseable import PARSEABLE, PASSWORD, SECRET, USERNAME
from tasks.workspace import Workspace


def next_steps(workspace: Workspace, *, is_pushed: bool) -> Iterator[str]:
    """What the user does next, a line each.

    Raises:
        MissingError: the repository shows no folder of apps.
    """
    parseable, namespace = workspace.settings.parseable, workspace.layout.namespace
    secret = PARSEABLE.path(workspace, SECRET)
    yield "next:"
    if not is_pushed:
        yield "    push the commit: git push, or invoke task-011"
    yield "    see Flux apply it: flux get kustomizations -A --watch"
    if workspace.repository.read(secret) is not None:
        yield f"    the login, made up for you (in {workspace.repository.root}):"
        for key in (USERNAME, PASSWORD):
            yield f"""      sops decrypt --extract '["stringData"]["{key}"]' {secret}"""
    yield f"    open http://localhost:{parseable.port} after:"
    yield f"      kubectl -n {namespace} port-forward service/{parseable.name} {parseable.port}"
    yield f"    the pods: kubectl -n {namespace} get pods"
