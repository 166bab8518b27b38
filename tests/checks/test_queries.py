"""What Grafana asks Parseable for, against what is sent: SQL, remap programs, and where queries stand."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from checks.model import Outcome, Stage
from checks.queries import queries_have_answers
from checks.rows import queries_have_limits
from checks.sent import columns_of
from checks.sql import UNBOUNDED, Query, read_query
from tasks.core.outcomes import Status
from tasks.core.settings import DOCUMENTED
from tasks.model import Model
from tests import shapes
from tests.checks.deployed import answers, deploy, edit, workspace_of, write
from tests.checks.deployed import deployed as deployed  # noqa: PLC0414 (a fixture)
from tests.checks.deployed import root as root  # noqa: PLC0414 (a fixture)
from tests.checks.memory import Memory, remember

APPS = "kubernetes/apps/monitoring"
TYPE = "parseable-parseable-datasource"
OURS = {"type": TYPE, "uid": "parseable"}
WRONG = "select * from nginx"


@pytest.fixture(scope="session")
def memory() -> Memory:
    return {}


@pytest.fixture(autouse=True)
def _remembered(memory: Memory, monkeypatch: pytest.MonkeyPatch) -> None:
    remember(memory, monkeypatch)


# --- SQL ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sql", "streams", "columns"),
    [
        ("select * from logs", "logs", ""),
        ("SELECT Host FROM Logs -- where x;\n;", "logs", "host"),
        ('select "Host" from "my-logs"', "my-logs", "Host"),
        ("select level as l, count(*) lines from logs group by l order by lines desc", "logs", "level"),
        ("select a, level as l from logs", "logs", "a level"),
        ('select 1 from logs where host = "web"', "logs", "host web"),
        ("select a from logs as x join other y on x.host = y.name", "logs other", "a host name"),
        ("select a from logs, (select b as c from other) o where o.c = a", "logs other", "a b"),
        ("with t as (select level l from logs) select l, max(c) from t", "logs", "level c"),
        ("select a from logs where b in (select c from other) union select d from third", None, "a b c d"),
        ("select extract(hour from seen) h, trim(both ' ' from a) from logs", "logs", "seen a"),
        ("select a is distinct from b from logs", "logs", "a b"),
        ("select a::int, cast(b as decimal(10, 2)), try_cast(c as double) from logs", None, "a b c"),
        ("select a from logs where b > now() - interval '5' minute or b < timestamp '2024'", None, "a b"),
        ("select row_number() over (partition by a order by b nulls last) n from logs", "logs", "a b"),
        ("select date_bin('$s', a, now()) as time from logs where b in ($h) group by time", None, "a b"),
        ("select count(*) filter (where k_${x} = 1), case when a = 'b' then 1 end bad from logs", None, "a"),
        ("select a from logs where b = 'it''s; from other' /* from more */", "logs", "a b"),
        ("select 1", "", ""),
    ],
)
def test_what_a_query_names(sql: str, streams: str | None, columns: str) -> None:
    found = read_query(sql)
    assert found is not None
    assert streams is None or " ".join(found.streams) == streams
    assert " ".join(found.columns) == columns


@pytest.mark.parametrize(
    "sql",
    [
        "",
        "show tables",
        "select * from $stream",
        "select * from ${stream}_logs",
        "select * from [[stream]]",
        "select * from my-logs",
        "select * from logs; select * from other",
        "select ((a) from logs",
        "select a) from logs",
        "select * from",
        "with t(a) as (select b from logs) select a from t",
        "select {{ columns }} from logs",
    ],
)
def test_what_cannot_be_read_for_certain_is_not(sql: str) -> None:
    assert read_query(sql) is None


def test_other_tables_may_have_the_columns() -> None:
    assert read_query("select a from information_schema.columns") == Query(
        (), ("a", "columns"), is_plain=False
    )
    found = read_query("select a from logs, generate_series(1, 3) limit 3")
    assert found == Query(("logs",), ("a",), is_plain=False)


# --- what is sent -------------------------------------------------------------------------------------------

LOOP = ". = {}\nc = {}\nfor_each(%s) -> |k, v| { c = set(c, [k], v) ?? c }\n.l = c"


@pytest.mark.parametrize(
    ("program", "names"),
    [
        (".a = 1", None),
        ('. = {"a": 1}', ["a"]),
        ('. = {"a": 1, "b": {"c": to_string(.x) ?? "", "d": {}}}\n.b.e = "x" # .f = 1', ["a", "b_c", "b_e"]),
        ('. = {"a": .x}', ["a", "a_…"]),
        ('. = {"a": get!(.x, ["y"])}', ["a", "a_…"]),
        ('x = .y\n. = {"a": x}', ["a", "a_…"]),
        ('x = to_string(.y) ?? ""\n. = {"a": x}', ["a"]),
        ('. = {"a": "}, . = {"}\nif true { .b = "y" }', ["a", "b"]),
        ('. = {"a": 1}\n.b |= {"c": 1}', ["a", "b", "b_…"]),
        ('. = {"a": 1}\n.b, err = to_int(.c)', ["a", "b"]),
        ('. = {"a": 1}\n.b."c d" = 1', None),
        ('. = {"a": 1}\n. |= {"b": 1}', None),
        ('. = {"a": 1}\n. = merge(., {"b": 1})', None),
        ('if .x == 1 {\n  . = {"a": 1}\n}', None),
        (". = parse_json!(.message)", None),
        (LOOP % '{"x": "y", "z": "y"}', ["l_x", "l_z"]),
        (f'f = {{"x": "y"}}\n{LOOP % "f"}', ["l_x"]),
        (LOOP % "object!(.labels)", ["l", "l_…"]),
    ],
)
def test_the_columns_of_a_program(program: str, names: list[str] | None) -> None:
    found = columns_of(program)
    assert (found if found is None else str(found).split(", ")) == names


# --- where queries stand ------------------------------------------------------------------------------------


def dashboard(sql: str, source: Any = OURS, **more: Any) -> str:
    panel = {"type": "table", "datasource": source, "targets": [{"refId": "A", "queryText": sql}]}
    return json.dumps({"title": "Logs", "panels": [{"type": "row", "panels": [panel]}], **more})


def labelled(text: str, **labels: str) -> str:
    meta = {"name": "board", "labels": labels or {"grafana_dashboard": "1"}}
    return yaml.safe_dump(
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": {"a.json": text}}
    )


def by_operator(spec: dict[str, Any], kind: str = "GrafanaDashboard") -> str:
    head = {"apiVersion": "grafana.integreatly.org/v1beta1", "kind": kind, "metadata": {"name": "board"}}
    return yaml.safe_dump(head | {"spec": {"instanceSelector": {}, **spec}})


def board(root: Path, text: str, folder: str = f"{APPS}/parseable/app") -> str:
    """Have Flux apply ``text`` beside Parseable, or in another folder."""
    path = f"{folder}/board.yaml"
    write(root, path, text)
    edit(root, f"{folder}/kustomization.yaml", "resources:\n", "resources:\n  - ./board.yaml\n")
    return path


@pytest.mark.parametrize(
    ("sql", "most"),
    [
        ("select * from logs", UNBOUNDED),
        ("select a, b from logs where c = 'limit 5' order by p_timestamp desc", UNBOUNDED),
        ("select * from logs limit 100000", 100_000),
        ("select a from logs limit 100000", 0),
        ("select a * 2 from logs limit 100000", 0),
        ("select * from logs limit $rows", 0),
        ("select * from logs limit all", UNBOUNDED),
        ("select * from logs fetch first 10 rows only", 0),
        ("select count(*) from logs", 0),
        ("select max(a) + 1 from logs", 0),
        ("select count(*) over () n, a from logs", UNBOUNDED),
        ("select row_number() over (partition by a) n from logs", UNBOUNDED),
        ("select upper(a) from logs", UNBOUNDED),
        ("select a, count(*) from logs group by a", 0),
        ("select distinct a from logs", 0),
        ("select a from logs join other on a = b", UNBOUNDED),
        ("select a from logs where b in (select b from other limit 10)", UNBOUNDED),
        ("select count(*) from logs union all select a from other", UNBOUNDED),
        ("select a from logs union all select b from other limit 10", 0),
        # What comes out of another query is not looked at.
        ("select * from (select * from logs limit 10) t", 0),
        ("select 1", 0),
    ],
)
def test_how_many_rows_a_query_gives(sql: str, most: int) -> None:
    found = read_query(sql)
    assert found is not None
    assert found.most_rows == most


@pytest.mark.parametrize(
    ("sql", "memory_limit", "problem"),
    [
        ("select message from kubernetes", "2Gi", "queries rows of kubernetes without a limit"),
        ("select message from kubernetes limit 1000", "2Gi", ""),
        ("select * from kubernetes limit 60000", "2Gi", "queries up to 60,000 whole rows"),
        ("select * from kubernetes limit 60000", "4Gi", ""),
    ],
)
def test_rows_of_a_dashboard(root: Path, sql: str, memory_limit: str, problem: str) -> None:
    path = board(root, labelled(dashboard(sql)))
    settings = replace(DOCUMENTED, parseable=replace(DOCUMENTED.parseable, memory_limit=memory_limit))
    (one, *_) = answers(queries_have_limits, Model(workspace_of(root, settings), Stage.BUILT))
    assert one.status is (Status.FAIL if problem else Status.PASS)
    assert problem in one.evidence
    if problem:
        assert one.place.startswith(f"{path}:")
        assert "limit 1000" in one.remedy


def test_rows_of_a_dashboard_of_others_are_a_note(root: Path) -> None:
    board(root, labelled(dashboard("select message from kubernetes")), f"{APPS}/grafana/app")
    (one, *_) = answers(queries_have_limits, Model(workspace_of(root), Stage.BUILT))
    assert one.status is Status.NOTE


def asked(root: Path, *, whole: bool = False) -> list[Outcome]:
    model = Model(workspace_of(root), Stage.BUILT, whole_repository=whole)
    return answers(queries_have_answers, model)


def told(root: Path) -> str:
    """What is wrong, without who asks; empty if nothing is."""
    (one,) = asked(root)
    assert one.status is (Status.PASS if one.evidence.endswith(("Parseable", "sent")) else Status.FAIL)
    return "" if one.status is Status.PASS else one.evidence.partition(" queries ")[2]


@pytest.mark.parametrize(
    ("sql", "problem"),
    [
        (WRONG, "stream nginx, which nothing in this repository fills"),
        ("select message from kubernetes where k8s_namespace = 'a'", ""),
        ("select p_timestamp, P_META, k8s_label_app_kubernetes_io_name as app from Kubernetes", ""),
        ("select k8s_label_app from kubernetes", "k8s_label_app of stream kubernetes, which has no such"),
        ("select message, level, host from kubernetes", "level, host of stream kubernetes, which has no"),
        ("select level from kubernetes, generate_series(1, 2)", ""),
        ("select max(parseable_events_ingested) from pmeta", ""),
        ("select level from $stream", ""),
    ],
)
def test_a_dashboard_of_ours(root: Path, sql: str, problem: str) -> None:
    path = board(root, labelled(dashboard(sql)))
    found = told(root)
    assert (found.startswith(problem), bool(found)) == (True, bool(problem))
    if found:
        assert asked(root)[0].place.startswith(f"{path}:")


@pytest.mark.parametrize(
    ("text", "is_asked"),
    [
        (labelled(dashboard(WRONG), other="label"), False),
        (labelled(dashboard(WRONG, {"type": "loki", "uid": "loki"})), False),
        (labelled(dashboard(WRONG, {"type": TYPE, "uid": "another"})), False),
        (labelled(dashboard(WRONG, "Parseable")), True),
        (labelled(dashboard(WRONG, None)), False),
        (labelled(dashboard(WRONG, {"type": TYPE, "uid": "${ds}"})), True),
        (
            labelled(
                dashboard(
                    WRONG,
                    "$ds",
                    templating={"list": [{"name": "ds", "type": "datasource", "query": TYPE}]},
                )
            ),
            True,
        ),
        (
            labelled(
                dashboard(
                    "select 1",
                    templating={"list": [{"type": "query", "datasource": OURS, "query": WRONG}]},
                )
            ),
            True,
        ),
        (by_operator({"json": dashboard(WRONG)}), True),
        (by_operator({"json": dashboard("select 1")}), False),
        (
            by_operator(
                {
                    "json": dashboard(WRONG, "${DS}"),
                    "datasources": [{"inputName": "DS", "datasourceName": "Parseable"}],
                }
            ),
            True,
        ),
        (
            by_operator(
                {
                    "json": dashboard(WRONG, "${DS}", __inputs=[{"name": "DS", "pluginId": TYPE}]),
                    "datasources": [{"inputName": "DS", "datasourceName": "Another"}],
                }
            ),
            False,
        ),
        (
            labelled(dashboard(WRONG), none="")
            + "---\n"
            + by_operator({"configMapRef": {"name": "board", "key": "a.json"}}),
            True,
        ),
        (
            by_operator(
                {
                    "rules": [
                        {
                            "data": [
                                {"datasourceUid": "parseable", "model": {"queryText": WRONG, "refId": "A"}}
                            ]
                        }
                    ]
                },
                "GrafanaAlertRuleGroup",
            ),
            True,
        ),
    ],
)
def test_the_forms_of_a_query(root: Path, text: str, is_asked: bool) -> None:
    board(root, text)
    assert told(root).startswith("stream nginx") is is_asked


def test_a_variable_that_may_stand_for_another_data_source(root: Path) -> None:
    board(root, labelled(dashboard(WRONG, {"type": TYPE, "uid": "${ds}"})))
    assert told(root).startswith("stream nginx")
    write(root, "kubernetes/apps/default/source.yaml", f"spec:\n  name: Another\n  type: {TYPE}\n")
    assert told(root) == ""


def test_grafanas_own_values(root: Path) -> None:
    path = f"{APPS}/grafana/app/helmrelease.yaml"
    release = yaml.safe_load((root / path).read_text())
    values = release["spec"]["values"]
    values["dashboards"] = {"default": {"logs": {"json": dashboard("select level from kubernetes")}}}
    to_logs = {"datasourceUid": "parseable", "customQuery": True, "query": WRONG}
    values["datasources"]["datasources.yaml"]["datasources"].append(
        {"name": "Tempo", "type": "tempo", "jsonData": {"tracesToLogsV2": to_logs}}
    )
    (root / path).write_text(yaml.safe_dump(release))
    found = asked(root)
    assert {one.status for one in found} == {Status.NOTE}
    assert sorted(one.evidence.split(",")[0] for one in found) == [
        "Grafana's release queries stream nginx",
        "dashboard logs of Grafana's release queries level of stream kubernetes",
    ]
    assert {one.status for one in asked(root, whole=True)} == {Status.FAIL}
    to_logs["datasourceUid"] = "loki"
    values["dashboards"]["default"]["logs"]["json"] = dashboard("select message from kubernetes")
    (root / path).write_text(yaml.safe_dump(release))
    assert {one.status for one in asked(root, whole=True)} == {Status.PASS}


def test_a_dashboard_of_others(root: Path) -> None:
    board(root, labelled(dashboard(WRONG)), "kubernetes/apps/default/podinfo/app")
    assert [one.status for one in asked(root)] == [Status.NOTE]
    assert [one.status for one in asked(root, whole=True)] == [Status.FAIL]


SENDER = """\
apiVersion: v1
kind: ConfigMap
metadata: {name: sender}
data: {headers: "X-P-Stream: %s"}
"""


@pytest.mark.parametrize(
    ("stream", "problem"), [("nginx", ""), ("${STREAM}", ""), ("nginx-old", "stream nginx, which nothing")]
)
def test_a_stream_that_others_fill(root: Path, stream: str, problem: str) -> None:
    board(root, labelled(dashboard(WRONG)))
    write(root, "kubernetes/apps/default/sender.yaml", SENDER % stream)
    found = told(root)
    assert (found.startswith(problem), bool(found)) == (True, bool(problem))


def test_columns_that_others_may_send(root: Path) -> None:
    board(root, labelled(dashboard("select level from kubernetes")))
    assert told(root).startswith("level of stream")
    write(root, "kubernetes/apps/default/sender.yaml", SENDER % "kubernetes")
    assert told(root) == ""


def test_the_stream_and_the_columns_of_the_settings(tmp_path: Path) -> None:
    settings = replace(
        DOCUMENTED,
        parseable=replace(DOCUMENTED.parseable, stream="pods"),
        vector=replace(DOCUMENTED.vector, json_columns="level"),
    )
    root = tmp_path / "repository"
    deploy(root, shapes.documented, settings)
    board(root, labelled(dashboard("select json_level from pods")))

    def answer() -> list[Status]:
        return [
            one.status
            for one in answers(queries_have_answers, Model(workspace_of(root, settings), Stage.BUILT))
        ]

    assert answer() == [Status.PASS]
    edit(root, f"{APPS}/parseable/app/board.yaml", "json_level", "json_host")
    assert answer() == [Status.FAIL]


def test_columns_that_a_changed_program_sends(root: Path) -> None:
    board(root, labelled(dashboard("select cluster from kubernetes")))
    path = f"{APPS}/vector/app/configmap.yaml"
    edit(
        root,
        path,
        "          .k8s.namespace = namespace\n",
        '          .k8s.namespace = namespace\n          .cluster = "a"\n',
    )
    assert told(root) == ""
    edit(root, path, '          .cluster = "a"\n', '          .region = "a"\n')
    assert told(root).startswith("cluster of stream kubernetes")
    edit(root, path, '          .region = "a"\n', "          . = merge(., pod)\n")
    assert told(root) == ""
