"""What this machine and a repository have and lack for the tasks, each with the command that mends it."""

import platform
import re
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tasks.core.catalogue import CATALOGUE
from tasks.core.errors import PlaybookError, RefusedError, SettingsError, raised_in, refused_by_system
from tasks.core.packages import install_command
from tasks.core.redaction import redacted
from tasks.core.runner import TaskPlan
from tasks.core.settings import FILE, Settings
from tasks.effects import http, shell
from tasks.effects.git import Git
from tasks.effects.sops import secret_document
from tasks.flux import versions
from tasks.flux.chart_sources import ChartSources
from tasks.flux.grafana import GrafanaPlace
from tasks.flux.grafana_operator import GrafanaInstance
from tasks.flux.missing import MissingError, need
from tasks.flux.sources import Source
from tasks.subjects.given_secret import is_given
from tasks.subjects.grafana import left_out
from tasks.subjects.parseable import PARSEABLE, SECRET
from tasks.workspace import Network, Workspace

_SECONDS = 10.0
_VERSION = re.compile(r"\d+(?:\.\d+)+")


class State(StrEnum):
    """What is there, what is lacking, and what is lacking and could be done without."""

    OK = "ok"
    MISSING = "missing"
    OPTIONAL = "optional"


@dataclass(frozen=True)
class Part:
    """One thing that was looked for: what was ``found``, what ``mends`` it, and which ``tasks`` need it."""

    name: str
    state: State
    found: str
    mends: str = ""
    tasks: tuple[str, ...] = ()

    def data(self) -> dict[str, Any]:
        """For --json."""
        return {
            "name": self.name,
            "state": self.state.value,
            "found": self.found,
            "do": self.mends,
            "tasks": list(self.tasks),
        }

    def lines(self) -> Iterator[str]:
        """For people."""
        yield f"{self.state:<9} {self.name}: {self.found}"
        if self.state is State.OK:
            return
        if self.mends:
            yield f"          do: {self.mends}"
        if self.tasks and self.state is State.MISSING:
            yield f"          needed by: {_span(self.tasks)}"


@dataclass(frozen=True)
class _Tool:
    """A program: how it tells its version, and where to get it; ``least`` is the oldest that will do."""

    name: str
    asked: tuple[str, ...]
    source: str
    least: tuple[int, ...] = ()
    tasks: tuple[str, ...] = ()
    use: str = ""


_ALL = tuple(CATALOGUE)
_IN_REPOSITORY = _ALL[1:]
_TOOLS = (
    _Tool("git", ("--version",), "apt-get install git, or https://git-scm.com/downloads", (), _IN_REPOSITORY),
    _Tool(
        "sops",
        ("--version", "--disable-version-check"),
        "https://github.com/getsops/sops/releases",
        (3, 9),
        ("TASK-004",),
    ),
    _Tool(
        "kubectl",
        ("version", "--client"),
        "https://kubernetes.io/docs/tasks/tools/",
        use="to build what Flux would apply",
    ),
    _Tool("kustomize", ("version",), "https://kubectl.docs.kubernetes.io/installation/kustomize/"),
    _Tool("helm", ("version", "--short"), "https://helm.sh/docs/intro/install/", use="to render the charts"),
    _Tool(
        "vector",
        ("--version",),
        "https://vector.dev/docs/setup/installation/",
        use="to check its remap program",
    ),
)


def examine_machine(version: str, *, encrypts: bool = True) -> list[Part]:
    """The programs and packages that are here. ``version`` is the playbook's own.

    ``encrypts`` says whether the Secret is the playbook's to encrypt.
    """
    here = shell.find("kubectl") is not None
    # Either of the two builds.
    spare = {"kubectl"} if not here and shell.find("kustomize") is not None else {"kustomize"}
    tools = (tool for tool in _TOOLS if tool.name not in spare and (encrypts or tool.name != "sops"))
    return [
        Part("parseable-playbook", State.OK, f"{version}, Python {platform.python_version()}"),
        *(part for tool in tools for part in _guarded(tool.name, partial(_tool, tool), tool.tasks)),
        _schemas(),
    ]


def _tool(tool: _Tool) -> Iterator[Part]:
    program = shell.find(tool.name)
    state = State.MISSING if tool.tasks else State.OPTIONAL
    if program is None:
        use = f", {tool.use}" if tool.use else ""
        yield Part(tool.name, state, f"not installed{use}", tool.source, tool.tasks)
        return
    done = shell.run((tool.name, *tool.asked), cwd=Path(tempfile.gettempdir()), seconds=_SECONDS)
    found = _VERSION.search(done.text)
    if done.code != 0 or found is None:
        said = " ".join(done.said.split())[:100]
        yield Part(tool.name, state, f"{program} does not tell its version: {said}", tool.source, tool.tasks)
        return
    if tool.least and tuple(map(int, found[0].split("."))) < tool.least:
        least = ".".join(map(str, tool.least))
        yield Part(tool.name, state, f"{found[0]}, {least} or newer is needed", tool.source, tool.tasks)
        return
    yield Part(tool.name, State.OK, f"{found[0]} ({program})")


def _schemas() -> Part:
    if find_spec("kubernetes_validate") is not None:
        return Part("schemas of Kubernetes", State.OK, "kubernetes-validate")
    return Part(
        "schemas of Kubernetes",
        State.OPTIONAL,
        "not installed; objects are not checked against them",
        install_command("kubernetes-validate"),
    )


def examine_repository(workspace: Workspace) -> Iterator[Part]:
    """What the repository and what it leads to have: git, layout, secrets, S3, charts, cluster."""
    settings = workspace.settings
    there = (workspace.repository.root / FILE).exists()
    yield Part("repository", State.OK, str(workspace.repository.root))
    yield Part(
        "settings",
        State.OK if there else State.OPTIONAL,
        FILE if there else f"no {FILE}; the documented ones, and what was given",
        "invoke init",
    )
    yield from _guarded("versions", lambda: _versions(settings), _IN_REPOSITORY)
    yield from _guarded("layout", lambda: _layout(workspace), _IN_REPOSITORY)
    git = workspace.repository.git
    yield from _guarded("git identity", lambda: _identity(git), ("TASK-011",))
    yield from _guarded("branch and remote", lambda: _remote(git, settings), ("TASK-011",))
    yield from _guarded("sops rule", lambda: _rule(workspace), ("TASK-004",))
    yield from _guarded("S3 credentials", lambda: _credentials(workspace), _with_credentials(workspace))
    yield from _guarded("S3 server", lambda: _server(workspace), ("TASK-001",))
    yield from _guarded("chart repositories", lambda: _charts(workspace), (), State.OPTIONAL)
    yield from _guarded("cluster", lambda: _cluster(workspace), (), State.OPTIONAL)


def _with_credentials(workspace: Workspace) -> tuple[str, ...]:
    return ("TASK-001",) if is_given(workspace) else ("TASK-001", "TASK-004")


def not_found(error: PlaybookError | OSError) -> Part:
    """The repository or its settings that cannot be used, and why."""
    told = error if isinstance(error, PlaybookError) else refused_by_system("", error)
    return Part("repository", State.MISSING, told.summary, told.hint, _IN_REPOSITORY)


def _guarded(
    name: str,
    look: Callable[[], Iterator[Part]],
    tasks: tuple[str, ...] = (),
    state: State = State.MISSING,
) -> Iterator[Part]:
    """What ``look`` finds, or why it found nothing: no state of a machine ends the examination."""
    state = state if tasks else State.OPTIONAL
    try:
        yield from look()
    except PlaybookError as error:
        yield Part(name, state, " ".join(error.summary.split()), error.hint, tasks)
    except OSError as error:
        told = refused_by_system("", error)
        yield Part(name, state, told.summary, told.hint, tasks)
    except Exception as error:  # whatever it is, the rest is still to be looked at
        yield Part(
            name, State.MISSING, f"internal error: {raised_in(error)}", "report it (see the README)", tasks
        )


def _layout(workspace: Workspace) -> Iterator[Part]:
    layout = workspace.layout
    fields: tuple[tuple[str, Any, tuple[str, ...]], ...] = (
        ("apps", layout.apps, _IN_REPOSITORY),
        ("Flux source", layout.source, _IN_REPOSITORY),
        ("chart sources", layout.chart_sources, _IN_REPOSITORY),
        *(() if left_out(workspace.settings) else (("Grafana", layout.grafana, ("TASK-010", "TASK-011")),)),
    )
    for name, found, tasks in fields:
        if isinstance(found, MissingError):
            yield Part(name, State.MISSING, found.summary, found.hint, tasks)
        else:
            yield Part(name, State.OK, _told(found))
    yield Part("namespace", State.OK, layout.namespace)


def _told(found: Any) -> str:
    if isinstance(found, Source):
        return f"{found.kind} {found.namespace}/{found.name}"
    if isinstance(found, ChartSources):
        return "beside each app" if found.folder is None else f"HelmRepositories in {found.folder}"
    if isinstance(found, GrafanaInstance):
        return f"{found.path}, by its operator"
    if isinstance(found, GrafanaPlace):
        return f"{found.path}, values at {'.'.join(found.level)}"
    return str(found)


def _versions(settings: Settings) -> Iterator[Part]:
    """The set of versions, with what is deployed, and whether that was tested."""
    chosen = versions.resolved(settings)
    told = (
        f"{settings.versions.set}: Parseable {chosen.parseable.image_tag} (chart "
        f"{chosen.parseable.chart_version}), Vector (chart {chosen.vector.chart_version})"
    )
    others = versions.untested(settings)
    if not others:
        yield Part("versions", State.OK, f"{told}, a tested set")
        return
    one = "is" if len(others) == 1 else "are"
    yield Part(
        "versions",
        State.OPTIONAL,
        f"{told}; not tested: {', '.join(others)} {one} not of the set",
        f"delete {'it' if len(others) == 1 else 'them'} from the settings, or look closely at invoke verify",
    )


def _identity(git: Git) -> Iterator[Part]:
    git.check_identity()
    yield Part("git identity", State.OK, "set")


def _remote(git: Git, settings: Settings) -> Iterator[Part]:
    branch = git.branch()
    remote = git.remote(branch, settings.gitops.remote)
    yield Part("branch and remote", State.OK, f"{branch}, pushed to {remote}/{git.target(branch, remote)}")


def _rule(workspace: Workspace) -> Iterator[Part]:
    if is_given(workspace):
        yield Part("sops rule", State.OPTIONAL, "not needed: secret.manage is existing")
        return
    need(workspace.layout.apps)
    path = PARSEABLE.path(workspace, SECRET)
    document = secret_document(
        workspace.settings.parseable.secret, workspace.layout.namespace, {"key": "harmless"}
    )
    readers = workspace.sops.readers(path, document)
    config = workspace.sops.rules_file(path)
    yield Part("sops rule", State.OK, f"{config}: {readers} for {path}")
    if workspace.sops.opens_what_it_encrypts(path, document):
        yield Part("private key", State.OK, "one here opens what is encrypted by the rule")
        return
    named = ", ".join(sorted(readers.recipients)[:2])
    yield Part(
        "private key",
        State.OPTIONAL,
        "none here opens what is encrypted by the rule: a changed S3 key would not be noticed",
        f"set SOPS_AGE_KEY_FILE to the file with the identity of {named}"
        if named
        else "import the private PGP key, or log in to the key service",
    )


def _credentials(workspace: Workspace) -> Iterator[Part]:
    yield Part("S3 credentials", State.OK, f"from {workspace.credentials.origin}")


def _server(workspace: Workspace) -> Iterator[Part]:
    s3 = workspace.settings.s3
    if isinstance(workspace.found_credentials, SettingsError):
        http.ask(s3.asked)
        yield Part("S3 server", State.OK, f"{s3.asked} answers; not asked with a key")
        return
    facts = workspace.bucket_facts
    bucket = f"bucket {s3.bucket} {'exists' if facts.exists else 'will be made'}"
    yield Part("S3 server", State.OK, f"{s3.asked} takes the key; {bucket}")


def _charts(workspace: Workspace) -> Iterator[Part]:
    if workspace.network is Network.OFFLINE:
        yield Part("chart repositories", State.OPTIONAL, "not asked (--offline)")
        return
    mirrors = workspace.helm.mirrors
    for section in (workspace.settings.parseable, workspace.settings.vector):
        target = mirrors.get(section.chart_repository.rstrip("/"), section.chart_repository)
        name = f"charts of {section.name}"
        yield from _guarded(name, partial(_chart_repository, name, target))


def _chart_repository(name: str, target: str) -> Iterator[Part]:
    if "://" not in target:
        if not Path(target).is_dir():
            raise RefusedError(f"there is no folder {target}", "correct charts.mirrors")
        yield Part(name, State.OK, f"folder {target}")
        return
    if target.startswith("oci://"):
        yield Part(name, State.OPTIONAL, f"{target} was not asked: a registry answers for single charts only")
        return
    status = http.ask(f"{target.rstrip('/')}/index.yaml").status
    if status != 200:
        raise RefusedError(
            f"{target} answers {status} for its index", "correct the URL, or name a mirror in charts.mirrors"
        )
    yield Part(name, State.OK, target)


def _cluster(workspace: Workspace) -> Iterator[Part]:
    if shell.find("kubectl") is None:
        yield Part(
            "cluster",
            State.OPTIONAL,
            "no kubectl to look at it with",
            "https://kubernetes.io/docs/tasks/tools/",
        )
        return
    done = shell.run(
        ("kubectl", "config", "current-context"), cwd=workspace.repository.root, seconds=_SECONDS
    )
    if done.code != 0:
        yield Part(
            "cluster", State.OPTIONAL, "kubectl has no current context", "kubectl config use-context NAME"
        )
        return
    yield Part("cluster", State.OK, f"context {redacted(done.text)} (not asked anything)")


def task_lines(plans: Sequence[TaskPlan]) -> Iterator[str]:
    """What can run now, and what keeps the others."""
    able = [plan.spec.id for plan in plans if _is_able(plan)]
    yield f"can run now: {_span(able) if able else 'nothing'}"
    waiting: dict[str, list[str]] = {}
    for plan in plans:
        if plan.error is not None:
            yield f"{plan.spec.id} cannot: {' '.join(plan.error.summary.split())}"
        elif plan.blocked_by is not None:
            waiting.setdefault(plan.blocked_by, []).append(plan.spec.id)
    for blocker, names in waiting.items():
        yield f"waiting for {blocker}: {_span(names)}"


def task_data(plan: TaskPlan) -> dict[str, Any]:
    """A task for --json."""
    error = plan.error.summary if plan.error is not None else None
    return {"id": plan.spec.id, "can_run": _is_able(plan), "error": error, "blocked_by": plan.blocked_by}


def _is_able(plan: TaskPlan) -> bool:
    return plan.state != "blocked"


def _span(names: Sequence[str]) -> str:
    """Names of tasks, neighbours as a range: TASK-001, TASK-003 to TASK-005."""
    runs: list[list[str]] = []
    for name in names:
        if runs and _ALL.index(name) == _ALL.index(runs[-1][-1]) + 1:
            runs[-1].append(name)
        else:
            runs.append([name])
    return ", ".join(run[0] if len(run) == 1 else f"{run[0]} to {run[-1]}" for run in runs)
