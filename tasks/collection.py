"""The commands a user types. Everything heavy is imported when a command runs, so that --list stays quick."""

from __future__ import annotations

from functools import partial
from inspect import Parameter, Signature
from typing import TYPE_CHECKING, Any

from invoke.collection import Collection
from invoke.context import Context
from invoke.exceptions import Exit
from invoke.tasks import Task, task

from tasks.configuration import is_dry, load, say_loading_errors_plainly
from tasks.configuration import load as load_settings  # where a flag is called load
from tasks.core.catalogue import CATALOGUE, TaskSpec
from tasks.core.errors import SettingsError
from tasks.core.graph import ancestors
from tasks.core.reporting import reported

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tasks.commands import Options

say_loading_errors_plainly()

_REPO = {
    "repo": "the GitOps repository (setting gitops.path)",
    "cluster": "which of its clusters: a folder or its name (setting gitops.cluster)",
}
_JSON = {"json": "write one JSON document to stdout"}
_RUN = {
    **_REPO,
    **_JSON,
    "yes": "do not ask before changing anything",
    "no-push": "commit, but do not push",
    "force": "overwrite, or commit, edits that were not committed",
    "adopt": "take over app folders that the playbook did not write",
    "unproved": "take untested versions although their charts cannot be rendered here",
    "overwrite": "FILE or FILE:PLACE where the settings win over what others committed; may be repeated",
    "new-login": "give Parseable a new password",
    "offline": "contact only S3 and the git remote; skip chart repositories and registries",
}


def _options(
    *,
    yes: bool,
    no_push: bool,
    force: bool,
    adopt: bool,
    json: bool,
    unproved: bool = False,
    new_login: bool = False,
    offline: bool = True,
    is_pushed: bool = True,
    overwrite: Sequence[str] = (),
) -> Options:
    """The common flags; registries are asked only where something ``is_pushed``."""
    from tasks.commands import Options
    from tasks.workspace import Network, Permissions

    permissions = Permissions(
        force=force,
        adopt=adopt,
        push=not no_push,
        unproved=unproved,
        overwrite=tuple(overwrite),
        new_login=new_login,
    )
    reach = Network.OFFLINE if offline else Network.ONLINE if is_pushed else Network.CHARTS
    return Options(yes=yes, as_json=json, permissions=permissions, network=reach)


_LACKING = 3


def _end(code: int) -> None:
    """End with an exit code that is no error's: a plan has changes, or something is lacking."""
    if code:
        raise Exit(code=code)


@task(name="all", help=_RUN, iterable=["overwrite"], auto_shortflags=False)
def all_tasks(
    context: Context,
    repo: str = "",
    cluster: str = "",
    yes: bool = False,
    no_push: bool = False,
    force: bool = False,
    adopt: bool = False,
    unproved: bool = False,
    overwrite: list[str] = [],  # noqa: B006 (Invoke fills a list of its own)
    new_login: bool = False,
    offline: bool = False,
    json: bool = False,
) -> None:
    """Run TASK-001 to TASK-011 in order, each applied and checked before the next."""
    with reported(as_json=json):
        found = load(context, repo, cluster)
        from tasks import commands

        options = _options(
            yes=yes,
            no_push=no_push,
            force=force,
            adopt=adopt,
            json=json,
            unproved=unproved,
            new_login=new_login,
            offline=offline,
            overwrite=overwrite,
        )
        if not is_dry(context):
            commands.run_all(found, options)
            return
        code = commands.plan(found, options)
    _end(code)


@task(
    help={
        key: _RUN[key]
        for key in (
            "repo",
            "cluster",
            "no-push",
            "force",
            "adopt",
            "overwrite",
            "unproved",
            "offline",
            "json",
        )
    },
    iterable=["overwrite"],
    auto_shortflags=False,
)
def plan(
    context: Context,
    repo: str = "",
    cluster: str = "",
    no_push: bool = False,
    force: bool = False,
    adopt: bool = False,
    unproved: bool = False,
    overwrite: list[str] = [],  # noqa: B006 (Invoke fills a list of its own)
    offline: bool = False,
    json: bool = False,
) -> None:
    """Show what `all` would change, with diffs, or what stops it; change nothing (exit code 5: changes)."""
    with reported(as_json=json):
        found = load(context, repo, cluster)
        from tasks import commands

        options = _options(
            yes=False,
            no_push=no_push,
            force=force,
            adopt=adopt,
            json=json,
            unproved=unproved,
            offline=offline,
            is_pushed=False,
            overwrite=overwrite,
        )
        code = commands.plan(found, options)
    _end(code)


@task(
    help={
        **_REPO,
        **_JSON,
        "set": "the value of a setting, as in --set s3.endpoint=https://s3.example.com; may be repeated",
        "force": "overwrite the file that is there",
    },
    iterable=["set"],
    auto_shortflags=False,
)
def init(
    context: Context,
    repo: str = "",
    cluster: str = "",
    set: list[str] = [],  # noqa: A002, B006 (a flag, and Invoke fills a list of its own)
    force: bool = False,
    json: bool = False,
) -> None:
    """Look at the repository and write a settings file for it; ask for what cannot be found."""
    with reported(as_json=json):
        if is_dry(context):
            hint = "run it without invoke --dry"
            raise SettingsError("the settings file cannot be shown without being written", hint)
        found = load(context, repo, cluster, own=False)
        from tasks import commands

        options = _options(yes=False, no_push=False, force=force, adopt=False, json=json)
        commands.init(found, options, set)


@task(
    help={key: _RUN[key] for key in _RUN if key not in ("adopt", "new-login")},
    iterable=["overwrite"],
    auto_shortflags=False,
)
def upgrade(
    context: Context,
    repo: str = "",
    cluster: str = "",
    yes: bool = False,
    no_push: bool = False,
    force: bool = False,
    unproved: bool = False,
    overwrite: list[str] = [],  # noqa: B006 (Invoke fills a list of its own)
    offline: bool = False,
    json: bool = False,
) -> None:
    """Show what the settings change in the cluster, the steps and the way back; then commit and push."""
    with reported(as_json=json):
        found = load(context, repo, cluster)
        from tasks import commands

        options = _options(
            yes=yes,
            no_push=no_push,
            force=force,
            adopt=False,
            json=json,
            unproved=unproved,
            offline=offline,
            overwrite=overwrite,
        )
        code = commands.upgrade(found, options, is_dry=is_dry(context))
    _end(code)


@task(
    help={**_REPO, **_JSON, "offline": "contact only S3; do not ask the chart repositories"},
    auto_shortflags=False,
)
def doctor(
    context: Context, repo: str = "", cluster: str = "", offline: bool = False, json: bool = False
) -> None:
    """Show what this machine and the repository have and lack, and how to fix it."""
    from tasks import commands
    from tasks.core.version import version

    with reported(as_json=json):
        reach = commands.network(offline=offline, online=False)
        options = commands.Options(as_json=json, network=reach)
        lacks = commands.examine(lambda: load(context, repo, cluster), options, version())
    _end(_LACKING if lacks else 0)


@task(help={**_REPO, **_JSON}, auto_shortflags=False)
def status(context: Context, repo: str = "", cluster: str = "", json: bool = False) -> None:
    """Show the state of the eleven tasks, according to the repository and the bucket."""
    with reported(as_json=json):
        found = load(context, repo, cluster)
        from tasks import commands

        commands.status(found, commands.Options(as_json=json))


@task(
    help={
        **_REPO,
        **_JSON,
        "only": "one check or several, as in DoD-004-02,charts",
        "task": "the items of one task, as in 004",
        "stage": "how far to look: written, built, rendered, static (all three), or live (the cluster alone)",
        "wait": "first wait until what was pushed runs in the cluster or fails, at most so long, as in 10m",
        "reconcile": "ask Flux to look for the push now (needs the right to annotate its sources)",
        "print-rbac": "only print the least rights that it needs to read the cluster, for kubectl apply",
        "format": "text, or github (annotations for a workflow run)",
        "strict": "count unknown as failed",
        "offline": "contact only S3, not the cluster; charts come from the cache or local mirrors",
        "online": "also ask whether charts, images and the plugin still exist where they come from",
        "unproved": _RUN["unproved"],
        "whole-repo": "build and render all apps, and count the faults in them",
        "read-logins": "read the logins of Parseable and Grafana from the cluster, to query them",
        "load": "write lines and look for them: lines a second and seconds, as in 1200,60 (the default)",
        "fix": "set Parseable's retention if it differs from the settings",
        "yes": _RUN["yes"],
    },
    optional=["load"],
    auto_shortflags=False,
)
def verify(
    context: Context,
    repo: str = "",
    cluster: str = "",
    only: str = "",
    task: str = "",
    stage: str = "",
    wait: str = "",
    reconcile: bool = False,
    print_rbac: bool = False,
    format: str = "text",  # noqa: A002 (a flag)
    strict: bool = False,
    offline: bool = False,
    online: bool = False,
    unproved: bool = False,
    whole_repo: bool = False,
    read_logins: bool = False,
    load: str | bool | None = None,
    fix: bool = False,
    yes: bool = False,
    json: bool = False,
) -> None:
    """Check the Definition of Done and what must hold between documents, with evidence."""
    with reported(as_json=json):
        found = load_settings(context, repo, cluster)
        from tasks import commands
        from tasks.live.load import asked as load_asked
        from tasks.verifying.answers import Questions
        from tasks.verifying.trial import Trial
        from tasks.workspace import Permissions

        wanted = load_asked("" if load is True else str(load)) if load else None
        trial = Trial(wanted, fix=fix, reconcile=reconcile, yes=yes, is_dry=is_dry(context))
        asked = Questions(only, task, stage, format, strict, whole_repo, wait)
        options = commands.Options(
            as_json=json,
            permissions=Permissions(unproved=unproved),
            network=commands.network(offline=offline, online=online),
            may_read_logins=read_logins or not trial.is_empty,
        )
        if print_rbac:
            commands.print_rbac(found, options)
        else:
            commands.verify(found, options, asked, trial, probe=not is_dry(context))


@task(
    help={
        "repo": _REPO["repo"],
        **_JSON,
        "yes": _RUN["yes"],
        "no-push": _RUN["no-push"],
        "cluster": "change nothing in git; delete the Flux Kustomizations in the running cluster",
        "wait": "wait until Flux has deleted what it applied, at most so long, as in 10m",
    },
    auto_shortflags=False,
)
def rollback(
    context: Context,
    repo: str = "",
    yes: bool = False,
    no_push: bool = False,
    cluster: bool = False,
    wait: str = "",
    json: bool = False,
) -> None:
    """Take the playbook's commits back in one commit, and push it; the bucket and its logs stay."""
    with reported(as_json=json):
        found = load(context, repo)
        from tasks import commands
        from tasks.closing import cluster as in_cluster
        from tasks.closing import rollback as in_git

        options = _options(yes=yes, no_push=no_push, force=False, adopt=False, json=json)
        planned = partial((in_cluster if cluster else in_git).planned, wait=in_cluster.checked_time(wait))
        name = "rollback --cluster" if cluster else "rollback"
        code = commands.end(found, options, name, planned, is_dry=is_dry(context))
    _end(code)


@task(
    help={"repo": _REPO["repo"], **_JSON, "yes": _RUN["yes"], "no-push": _RUN["no-push"]},
    auto_shortflags=False,
)
def archive(
    context: Context, repo: str = "", yes: bool = False, no_push: bool = False, json: bool = False
) -> None:
    """Move specs/parseable-deployment, if the repository has it, to specs/done in one commit, and push it."""
    with reported(as_json=json):
        found = load(context, repo)
        from tasks import commands
        from tasks.closing.archive import planned

        options = _options(yes=yes, no_push=no_push, force=False, adopt=False, json=json)
        code = commands.end(found, options, "archive", planned, is_dry=is_dry(context))
    _end(code)


@task(help={key: _RUN[key] for key in ("repo", "cluster", "yes", "no-push", "json")}, auto_shortflags=False)
def remove(
    context: Context,
    repo: str = "",
    cluster: str = "",
    yes: bool = False,
    no_push: bool = False,
    json: bool = False,
) -> None:
    """Take Parseable and Vector out of the repository in one commit, and push it; bucket and logs stay."""
    with reported(as_json=json):
        found = load(context, repo, cluster)
        from tasks import commands
        from tasks.closing import removal

        options = _options(yes=yes, no_push=no_push, force=False, adopt=False, json=json)
        code = commands.end(found, options, "remove", removal.planned, is_dry=is_dry(context))
    _end(code)


@task(help={**_JSON, "mermaid": "print a Mermaid flowchart"}, auto_shortflags=False)
def graph(context: Context, mermaid: bool = False, json: bool = False) -> None:
    """Show which task depends on which."""
    from tasks import commands

    with reported(as_json=json):
        commands.graph(as_mermaid=mermaid, as_json=json)


@task(auto_shortflags=False)
def settings_schema(context: Context) -> None:
    """Write the JSON schema of a settings file, for editors."""
    from tasks import commands

    with reported():
        commands.settings_schema()


@task(
    help={"path": "folder of the sandbox", "stop": "stop the sandbox's S3 server and delete the folder"},
    auto_shortflags=False,
)
def demo(context: Context, path: str = ".demo", stop: bool = False) -> None:
    """Run everything in a sandbox with its own repository, age key and S3 server."""
    from tasks.demo import sandbox

    with reported():
        if is_dry(context):
            raise SettingsError("the demo cannot be shown without being run", "run it without invoke --dry")
        if stop:
            sandbox.stop(path)
        else:
            sandbox.run(path)


def _single(spec: TaskSpec) -> Task[Any]:
    """The command of one task, with the flags that do something for it."""
    offered = ["repo", "json"]
    if spec.needs:
        offered += ["with_prerequisites", "yes"]
    if spec.id != _FIRST:
        offered += ["cluster", "force", "adopt", "overwrite", "offline"]
    if {"TASK-003", "TASK-009"} & {*ancestors(spec.id), spec.id}:
        offered += ["unproved"]
    if spec.id == "TASK-004":
        offered += ["new_login"]
    if spec.id == _LAST:
        offered += ["no_push"]

    def run(
        context: Context,
        repo: str = "",
        cluster: str = "",
        json: bool = False,
        with_prerequisites: bool = False,
        overwrite: Sequence[str] = (),
        **given: bool,
    ) -> None:
        with reported(as_json=json):
            found = load(context, repo, cluster)
            from tasks import commands

            names = ("yes", "no_push", "force", "adopt", "unproved", "new_login", "offline")
            flags = dict.fromkeys(names, False) | given
            options = _options(json=json, is_pushed=spec.id == _LAST, overwrite=overwrite, **flags)
            if not is_dry(context):
                commands.run_one(found, options, spec.id, with_prerequisites=with_prerequisites)
                return
            code = commands.plan_one(found, options, spec.id, with_prerequisites=with_prerequisites)
        _end(code)

    run.__doc__ = f"Phase {spec.phase}: {spec.title}."
    described = {**_RUN, "with-prerequisites": "first run the tasks that it depends on"}
    # Invoke reads the flags off the signature.
    run.__signature__ = Signature(  # type: ignore[attr-defined]
        [
            Parameter("context", Parameter.POSITIONAL_OR_KEYWORD),
            *(Parameter(name, Parameter.POSITIONAL_OR_KEYWORD, default=_default(name)) for name in offered),
        ]
    )
    helped = {name: described[name] for flag in offered if (name := flag.replace("_", "-"))}
    lists = [name for name in offered if name == "overwrite"]
    made = task(name=spec.command, help=helped, iterable=lists, auto_shortflags=False)
    return made(run)  # type: ignore[no-any-return]


def _default(flag: str) -> str | bool | list[str]:
    """What a flag of a single task is when it is not given."""
    if flag == "overwrite":
        return []
    return "" if flag in _REPO else False


# It makes the bucket, and writes no file; the last one commits and pushes what all others wrote.
_FIRST, _LAST = min(CATALOGUE), max(CATALOGUE)
ns = Collection()
_PLAIN = (
    init,
    doctor,
    all_tasks,
    plan,
    upgrade,
    status,
    verify,
    rollback,
    remove,
    archive,
    graph,
    settings_schema,
    demo,
)
for command in (*_PLAIN, *map(_single, CATALOGUE.values())):
    ns.add_task(command)
