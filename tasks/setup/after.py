"""What comes after a first rollout: until Flux has applied it there is nothing to log in to."""

from collections.abc import Iterator

from tasks.subjects.parseable import PARSEABLE, PASSWORD, SECRET, USERNAME, query_service
from tasks.workspace import Workspace

# One below 1024 is not for everybody to open.
_LOCAL_PORT = 8000


def next_steps(workspace: Workspace, *, is_pushed: bool) -> Iterator[str]:
    """What the user does next, a line each.

    Raises:
        MissingError: the repository shows no folder of apps.
    """
    (service, port), namespace = query_service(workspace.settings), workspace.layout.namespace
    secret = PARSEABLE.path(workspace, SECRET)
    yield "next:"
    if not is_pushed:
        yield "    push the commit: git push, or invoke task-011"
    yield "    see Flux apply it: flux get kustomizations -A --watch"
    if workspace.repository.read(secret) is not None:
        yield f"    the login, made up for you (in {workspace.repository.root}):"
        for key in (USERNAME, PASSWORD):
            yield f"""      sops decrypt --extract '["stringData"]["{key}"]' {secret}"""
    yield f"    open http://localhost:{_LOCAL_PORT} after:"
    yield f"      kubectl -n {namespace} port-forward service/{service} {_LOCAL_PORT}:{port}"
    yield f"    the pods: kubectl -n {namespace} get pods"
