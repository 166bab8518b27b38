"""What arrives in the running cluster: from everywhere, with its columns, once, soon, and fast enough."""

from collections import Counter
from collections.abc import Mapping
from datetime import timedelta

from checks.answers import restart_both
from checks.model import Cause, Model, Outcome, passed, unknown
from tasks.core.errors import UnavailableError
from tasks.core.outcomes import failing
from tasks.live.arrivals import COLUMNS, Arrived
from tasks.live.deployed import WINDOW, Deployed
from tasks.live.load import Report
from tasks.live.parseable import NoColumnError, NoStreamError

LOAD = "--load"
_ENOUGH = 1000  # events a second
_OLD = timedelta(minutes=5)
# Of the rows, that may be of a line that was there: what Vector reads again after it was killed.
_REPEATED = 0.1
_MOST = 5  # names in one sentence


def come_from_everywhere(model: Model) -> Outcome:
    """DoD-008-01: something came of each namespace in which a pod that runs wrote something."""
    deployed = model.deployed
    try:
        found = deployed.arrivals().namespaces
    except NoStreamError:
        return nothing_came(model, deployed)
    except NoColumnError as error:
        return _without_column(error)
    if not any(one.rows for one in found.values()):
        return nothing_came(model, deployed)
    return everywhere(model, deployed, found, "Parseable")


def everywhere(model: Model, deployed: Deployed, found: Mapping[str, Arrived], where: str) -> Outcome:
    """Whether ``found``, which came of each namespace, leaves none out that should be there."""
    silent, unseen = deployed.silent(found)
    if silent:
        told = "; ".join(
            f"{one.namespace}, where pod {one.pod} wrote at {one.at:%H:%M:%S} UTC" for one in silent
        )
        return failing(
            f"{where} has nothing of the last {WINDOW} minutes of {told}{_because(deployed)}",
            f"kubectl logs -n {model.layout.namespace} -l app.kubernetes.io/name=vector --tail=50; "
            "what it collects: invoke task-008",
            consequence="the logs of these pods are lost",
        )
    if unseen:
        return unknown(
            f"whether pods in {_listed(unseen)} wrote anything in the last {WINDOW} minutes: nothing came, "
            "and their logs were not looked at",
            Cause.CLUSTER,
            f"kubectl logs -n {unseen[0]} POD --since={WINDOW}m shows it",
        )
    names = sorted(name for name in found if name)
    quiet = sorted(set(deployed.running_pods()) - set(names))
    more = f"; pods in {_listed(quiet)} wrote nothing" if quiet else ""
    return passed(f"lines of {_listed(names)} came in the last {WINDOW} minutes{more}")


def have_columns(model: Model) -> Outcome:
    """DoD-008-02: each row tells where it comes from."""
    deployed = model.deployed
    try:
        found = deployed.arrivals()
    except NoStreamError:
        return nothing_came(model, deployed)
    except NoColumnError as error:
        return _without_column(error)
    if not found.rows:
        return nothing_came(model, deployed)
    bare = {name or "no namespace": one.bare for name, one in found.namespaces.items() if one.bare}
    if bare:
        of = ", ".join(f"{count} of {name}" for name, count in sorted(bare.items())[:_MOST])
        return failing(
            f"{sum(bare.values())} of {found.rows} rows of the last {WINDOW} minutes lack one of "
            f"{', '.join(COLUMNS)}: {of}",
            "invoke task-008; rows from before a changed configuration are gone from this window in "
            f"{WINDOW} minutes",
            consequence="these lines cannot be found by where they come from",
        )
    return passed(f"all {found.rows} rows of the last {WINDOW} minutes have {', '.join(COLUMNS)}")


def come_now(model: Model) -> Outcome:
    """DoD-008-03: lines come now, and each once."""
    deployed = model.deployed
    try:
        found = deployed.arrivals()
        repeated = deployed.repeated()
    except NoStreamError:
        return nothing_came(model, deployed)
    except NoColumnError as error:
        return _without_column(error)
    age = found.age
    if age is None or age > _OLD:
        return nothing_came(model, deployed)
    twice = repeated.rows - repeated.lines
    if twice > repeated.rows * _REPEATED:
        return failing(
            f"{twice} of {repeated.rows} rows of the last minutes are of a line that was there already",
            "an array in an event makes a row for each of its elements: invoke task-008; or Vector was "
            f"killed and read again: kubectl get pods -n {model.layout.namespace}",
            consequence="every figure that is counted is too high, and the bucket grows faster",
        )
    refused = _refused(deployed)
    worst = [f"{count} times {code}" for code, count in refused.most_common() if 400 <= code < 500]
    if worst:
        return failing(
            f"lines come, the newest {_seconds(age)} ago, but Vector's log has {', '.join(worst)}",
            _remedy_for(model, deployed),
            consequence="batches that are answered so are dropped: their lines are lost",
        )
    more = f", {twice} of {repeated.rows} rows of a line that was there" if twice else ", each line once"
    return passed(f"lines come, the newest {_seconds(age)} ago{more}")


def nothing_came(model: Model, deployed: Deployed) -> Outcome:
    """The failure that nothing came, with why as far as Vector tells."""
    return failing(
        f"nothing came into stream {model.settings.parseable.stream} in the last minutes{_because(deployed)}",
        _remedy_for(model, deployed),
        consequence="no log is kept",
    )


def _because(deployed: Deployed) -> str:
    """What Vector's log says of it; empty where it says nothing, or cannot be read."""
    refused = _refused(deployed)
    if not refused:
        return ""
    code, count = refused.most_common(1)[0]
    meaning = {
        401: "it sends no login",
        403: "the login in its Secret is not the one that the server has",
        400: "Parseable takes its batches for wrong",
        413: "its batches are too big",
    }.get(code, "Parseable has trouble itself" if code >= 500 else "it is refused")
    return f"; Vector's log has {code} {count} times: {meaning}"


def _refused(deployed: Deployed) -> Counter[int]:
    """The statuses that Vector's log has, as far as it can be read."""
    try:
        return deployed.refusals()
    except UnavailableError:
        return Counter()


def _remedy_for(model: Model, deployed: Deployed) -> str:
    """What to do about what Vector's log says."""
    namespace = model.layout.namespace
    refused = _refused(deployed)
    code = refused.most_common(1)[0][0] if refused else 0
    if code in (401, 403):
        return f"{restart_both(model)}; another login: invoke task-004"
    if code in (400, 413):
        return "what is sent: invoke task-008"
    return (
        f"kubectl logs -n {namespace} -l app.kubernetes.io/name=vector --tail=50; its pods: "
        "invoke verify --only DoD-011-02"
    )


def _without_column(error: NoColumnError) -> Outcome:
    return failing(
        f"no row has a column {error.column}",
        "invoke task-008, and see that Vector's pods have its configuration: invoke verify --only rollout",
        consequence="lines cannot be found by where they come from",
    )


def are_fast(model: Model) -> Outcome:
    """DoD-011-04: from a load if there was one, else from what the cluster itself wrote."""
    deployed = model.deployed
    if model.load is not None:
        return of_load(model.load)
    try:
        rate = deployed.rate()
    except NoStreamError:
        return nothing_came(model, deployed)
    told = f"{rate:,.1f} events a second came in the busiest of the last {WINDOW} minutes"
    if rate > _ENOUGH:
        return passed(told)
    return unknown(
        f"{told}: no more was written, which does not show whether more than {_ENOUGH:,} could be taken",
        Cause.CLUSTER,
        f"write a load: invoke verify {LOAD}",
    )


def of_load(report: Report) -> Outcome:
    """What a load showed: rate, loss, rows of lines that were there, delay."""
    plan = report.plan
    told = (
        f"{report.written:,} lines written at {plan.rate:,} a second, {report.found.lines:,} found "
        f"({report.lost:,} lost, {report.repeated:,} twice), taken at {report.rate:,.0f} a second, "
        f"95 % within {report.found.delay:.1f} s"
    )
    if report.fresh:
        told = f"{told}, found after {report.fresh:.1f} s"
    if report.problem:
        told = f"{told}; {report.problem}"
    if report.lost:
        return failing(
            told,
            "see what Vector says: kubectl logs -l app.kubernetes.io/name=vector; task-008",
            consequence="lines are lost",
        )
    if report.repeated > report.found.rows * _REPEATED:
        return failing(told, ("invoke task-008"), consequence=("lines are stored twice"))
    if report.rate > _ENOUGH:
        return passed(told)
    if plan.rate <= _ENOUGH or report.problem:
        return unknown(
            f"{told}: that does not show more than {_ENOUGH:,} a second",
            Cause.CLUSTER,
            f"invoke verify {LOAD} {_ENOUGH + 200}",
        )
    return failing(
        told,
        "give them more CPU: vector.cpu_request, parseable.cpu_limit; then invoke task-003, task-009",
        consequence=(
            "the lines that come faster wait on the nodes, and are lost when their files are rotated away"
        ),
    )


def _seconds(age: timedelta) -> str:
    return f"{age.total_seconds():.0f} s"


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - _MOST} more namespaces" if len(names) > _MOST else ""
    return f"{', '.join(names[:_MOST])}{more}" or "no namespace"
