"""Grafana in the running cluster: plugin, data source, and what a panel is answered."""

from checks.live_arrivals import everywhere, nothing_came
from checks.model import Cause, Model, Outcome, passed, skipped, unknown
from tasks.core.outcomes import failing
from tasks.live.arrivals import BY_NAMESPACE, arrived
from tasks.live.deployed import WINDOW, Deployed
from tasks.live.grafana import DataSource, Grafana
from tasks.subjects.grafana import left_out

_SECONDS = 5.0
_RUNS = 20  # of which one may be slower: the 95th percentile
_SLOW = _RUNS // 20
# What somebody who looks at the last logs asks for.
_NEWEST = (
    "select p_timestamp, message, k8s_namespace, k8s_pod_name from {stream} order by p_timestamp desc "
    "limit 500"
)


def has_plugin(model: Model) -> Outcome:
    """DoD-010-01: the plugin is installed in the Grafana that runs."""
    skip = left_out(model.settings)
    if skip:
        return skipped(skip)
    deployed = model.deployed
    plugin = model.settings.grafana.datasource_type
    version = _grafana(model, deployed).plugin_version(plugin)
    if version is None:
        return failing(
            f"Grafana has no plugin {plugin}",
            f"see why it was not installed: kubectl logs -n {model.grafana_namespace} "
            "-l app.kubernetes.io/name=grafana | grep -i plugin; then invoke task-010",
            consequence="it does not know the data source's type, and shows no log",
        )
    return passed(f"Grafana has {plugin} {version}")


def reaches_parseable(model: Model) -> Outcome:
    """DoD-010-02: through the data source, Parseable answers what needs a login."""
    skip = left_out(model.settings)
    if skip:
        return skipped(skip)
    deployed = model.deployed
    grafana = _grafana(model, deployed)
    source = _source(model, grafana)
    if isinstance(source, Outcome):
        return source
    problem = grafana.health_problem(source)
    if problem:
        return failing(
            f"data source {source.name} ({source.url}): {problem}",
            (
                "the login: restart Grafana, which reads it when it starts; URL and login: invoke task-010"
                if "login" in problem
                else "its URL: invoke task-010; Parseable: invoke verify --only DoD-003-02"
            ),
            consequence="Grafana shows no log",
        )
    return passed(f"data source {source.name} reaches Parseable at {source.url}, and its login is taken")


def answers_fast(model: Model) -> Outcome:
    """DoD-010-03: the last lines of 15 minutes, asked for as a panel does, again and again."""
    skip = left_out(model.settings)
    if skip:
        return skipped(skip)
    deployed = model.deployed
    grafana = _grafana(model, deployed)
    source = _source(model, grafana)
    if isinstance(source, Outcome):
        return source
    statement = deployed.parseable.statement(_NEWEST)
    times: list[float] = []
    rows = 0
    for _ in range(_RUNS):
        found = grafana.query(source, statement, WINDOW)
        if found.problem:
            return _unanswered(source, found.problem)
        times.append(found.seconds)
        rows = len(found.rows)
        if sum(one >= _SECONDS for one in times) > _SLOW:
            return failing(
                f"{len(times)} queries over {WINDOW} minutes took up to {max(times):.1f} s",
                "more memory or CPU for Parseable: parseable.memory_limit, parseable.cpu_limit; then invoke "
                "task-003",
                consequence=f"whoever looks at logs waits longer than {_SECONDS:g} s",
            )
    if not rows:
        return nothing_came(model, deployed)
    slowest = sorted(times)[_RUNS - _SLOW - 1]
    return passed(
        f"{_RUNS} queries for {rows} rows of the last {WINDOW} minutes: 95 % within {slowest:.2f} s, the "
        f"slowest {max(times):.2f} s"
    )


def finds_all_namespaces(model: Model) -> Outcome:
    """DoD-011-03: what Grafana is answered has recent lines of every namespace that wrote some."""
    skip = left_out(model.settings)
    if skip:
        return skipped(skip)
    deployed = model.deployed
    grafana = _grafana(model, deployed)
    source = _source(model, grafana)
    if isinstance(source, Outcome):
        return source
    found = grafana.query(source, deployed.parseable.statement(BY_NAMESPACE), WINDOW)
    if found.problem:
        return _unanswered(source, found.problem)
    namespaces = arrived(found.rows, "Grafana")
    if not namespaces:
        return nothing_came(model, deployed)
    return everywhere(model, deployed, namespaces, "Grafana")


def _grafana(model: Model, deployed: Deployed) -> Grafana:
    return deployed.grafana(model.grafana_namespace)


def _source(model: Model, grafana: Grafana) -> DataSource | Outcome:
    settings = model.settings.grafana
    found = grafana.data_source(settings.datasource_name, settings.datasource_type)
    if found is None:
        return failing(
            f"Grafana has no data source {settings.datasource_name}, nor one of its type",
            "invoke task-010; a Grafana that was not restarted since does not have it yet",
            consequence="it shows no log",
        )
    if found.kind != settings.datasource_type:
        return failing(
            f"data source {found.name} is of type {found.kind}, not {settings.datasource_type}",
            "invoke task-010",
            consequence="it shows no log",
        )
    return found


def _unanswered(source: DataSource, problem: str) -> Outcome:
    if "not found" in problem.lower() and "table" in problem.lower():
        return unknown(
            f"data source {source.name}: {problem}: nothing was ever stored",
            Cause.CLUSTER,
            "see what arrives: invoke verify --only DoD-008-03",
        )
    return failing(
        f"a query through data source {source.name} fails: {problem}",
        "invoke verify --only DoD-010-02,DoD-003-02",
        consequence="Grafana shows no log",
    )
