import io
import tarfile
from time import monotonic
from typing import Any

import pytest

from tasks.flux.chart_values import ChartFiles, read_chart, unknown_values

DEFAULTS = "app:\n  image:\n    tag: x\n  extra: {}\n"
READ = "{{ .Values.app.image.tag }}"


def packed(files: dict[str, str]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for path, text in files.items():
            member = tarfile.TarInfo(f"chart/{path}")
            member.size = len(text.encode())
            archive.addfile(member, io.BytesIO(text.encode()))
    return buffer.getvalue()


def chart(template: str = READ, defaults: str = DEFAULTS, **files: str) -> ChartFiles:
    own = {"Chart.yaml": "name: chart\n", "values.yaml": defaults, "templates/a.yaml": template}
    return read_chart(packed({**own, **files}))


def unknown(of: ChartFiles, values: dict[str, Any]) -> list[str]:
    return [".".join(one.path) for one in unknown_values(of, values)]


@pytest.mark.parametrize(
    ("template", "values", "expected"),
    [
        (READ, {"app": {"imag": {"tag": 1}}}, ["app.imag"]),
        (READ, {"app": {"image": {"tag": 1}}}, []),
        (READ, {"app": {"extra": {"a": 1}}}, []),
        (READ, {"app": {"image": {"x": {"y": 1}}}}, ["app.image.x"]),
        (READ, {"app": {"imag": None}}, []),
        (READ, {"global": {"a": 1}, "x-anchors": {"a": 1}}, []),
        (READ + "{{ .Values.app.more }}", {"app": {"more": {"a": 1}}}, []),
        (READ + "{{ .Values.other.more }}", {"app": {"more": {"a": 1}}}, ["app.more"]),
        # A relative name may belong to any path; text beside an action is no name.
        ("{{ .more }}", {"app": {"more": 1}}, []),
        ("a.more: {{ 1 }}", {"app": {"more": 1}}, ["app.more"]),
        ('{{ get $x "more" }}', {"app": {"more": 1}}, []),
        ('{{ get $x "moreover" }}', {"app": {"more": 1}}, ["app.more"]),
        ('{{ include "more" . }}', {"app": {"more": 1}}, ["app.more"]),
        ("{{/* .more */}}", {"app": {"more": 1}}, ["app.more"]),
        # Used as a whole, a map is open.
        ("{{ toYaml .Values.app }}", {"app": {"more": 1}, "top": 1}, ["top"]),
        ("{{ with $.Values.app.image }}{{ end }}", {"app": {"image": {"a": 1}, "more": 1}}, ["app.more"]),
        ("{{ $v := .Values }}", {"app": {"more": 1}, "top": 1}, []),
        ('{{ index . "Values" }}', {"top": 1}, []),
        ('{{ tpl "{{ .a }}" .Values.app }}', {"app": {"more": 1}}, []),
        # A test reads nothing below.
        ("{{- if and .Values.app (not $.Values.app.more) }}", {"app": {"more": {"a": 1}}}, ["app.more"]),
        ("{{- if .Values.app.more }}", {"app": {"more": True}}, []),
        ("{{- if .Values.app.more }}{{ .Values.app.more.a }}", {"app": {"more": {"a": 1}}}, []),
        ("{{- with .Values.app.more }}", {"app": {"more": {"a": 1}}}, []),
        # Values may be templates themselves.
        (READ, {"app": {"extra": {"a": "{{ .Values.mine }}"}}, "mine": 1}, []),
    ],
)
def test_what_no_template_reads_is_unknown(
    template: str, values: dict[str, Any], expected: list[str]
) -> None:
    assert unknown(chart(template), values) == expected


def test_where_the_name_is_known_instead() -> None:
    (found,) = unknown_values(chart(), {"image": {"tag": "y"}})
    assert (found.path, found.elsewhere) == (("image",), ("app.image",))


def test_without_defaults_nothing_is_unknown() -> None:
    assert unknown(chart(defaults="a: [\n"), {"b": 1}) == []
    assert unknown(chart(defaults="a: 1\n"), {"b": 1}) == ["b"]


DEPENDENCIES = (
    "name: chart\ndependencies:\n- {name: sub, alias: other, condition: feature.on}\n- {name: absent}\n"
)
SUB = {
    "Chart.yaml": DEPENDENCIES,
    "charts/sub/Chart.yaml": "name: sub\n",
    "charts/sub/values.yaml": "port: 1\n",
    "charts/sub/templates/a.yaml": "{{ .Values.port }}",
}


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"other": {"port": 2}}, []),
        ({"other": {"prt": 2}}, ["other.prt"]),
        ({"sub": {"port": 2}, "absent": {"any": 1}, "tags": {"a": True}}, []),
        ({"feature": {"on": True}}, []),
        ({"featur": {"on": True}}, ["featur"]),
        ({"port": 2}, ["port"]),
    ],
)
def test_subcharts_are_judged_by_their_own_files(values: dict[str, Any], expected: list[str]) -> None:
    assert unknown(chart(**SUB), values) == expected


def test_a_helper_of_a_library_reads_the_values_of_its_caller() -> None:
    helper = '{{ define "lib.all" }}{{ .Values.port }}{{ end }}'
    files = {**SUB, "charts/sub/templates/a.yaml": helper}
    assert unknown(chart('{{ include "lib.all" . }}', **files), {"port": 1}) == []
    assert unknown(chart('{{ include "lib.none" . }}', **files), {"port": 1}) == ["port"]
    assert unknown(chart("{{ include $name . }}", **files), {"port": 1}) == []


@pytest.mark.parametrize("archive", [b"", b"not a chart", packed({"values.yaml": "a: 1\n"})])
def test_what_is_no_chart_is_refused(archive: bytes) -> None:
    with pytest.raises(ValueError, match="not a packed chart"):
        read_chart(archive)


def filled(piece: str) -> str:
    return piece * ((1 << 19) // len(piece))


AGES = {
    "a word": filled("a"),
    "dots": filled("a."),
    "open actions": filled("{{ "),
    "open quotes": filled('{{"'),
    "quotes about ends": filled('{{"}}"'),
    "open raw strings": filled("{{`"),
    "open comments": filled("{{/*"),
    "comments with no end": filled("{{/*") + "*/x",
    "spaces": "{{" + filled(" ") + "x",
    "values": "{{ if " + filled(".Values") + "! }}",
    "a long path": "{{ .Values" + filled(".a") + " }}",
    "many values": filled("{{ if .Values.a }}{{ .Values.b }}"),
    "escapes": '{{ "' + filled('\\"'),
    "includes": "{{" + filled('include "') + "}}",
    "definitions": filled('{{ define "a'),
}


@pytest.mark.parametrize("name", AGES)
def test_no_template_takes_ages(name: str) -> None:
    start = monotonic()
    unknown(chart(AGES[name]), {"app": {"imag": 1}, "text": AGES[name]})
    assert monotonic() - start < 30


def test_a_chain_of_subcharts_takes_no_ages() -> None:
    files = {"templates/a.yaml": '{{ include "t0" . }}'}
    for number in range(1500):
        name = f"charts/s{number}"
        files[f"{name}/Chart.yaml"] = f"name: s{number}\n"
        include = f'{{{{ include "t{number + 1}" . }}}}'
        files[f"{name}/templates/a.yaml"] = (
            f'{{{{ define "t{number}" }}}}{include}{{{{ .Values.v{number} }}}}{{{{ end }}}}'
        )
    start = monotonic()
    assert unknown(chart(**files), {"v1499": 1, "v1500": 1}) == ["v1500"]
    assert monotonic() - start < 30


def test_what_is_too_much_to_look_through_is_refused() -> None:
    files = {f"templates/{number}.yaml": "x" * (4 << 20) for number in range(5)}
    with pytest.raises(ValueError, match="more than 16 MiB of templates"):
        chart(**files)


def test_values_that_refer_to_themselves_or_are_deep_are_none() -> None:
    for defaults in ("a: &a {b: *a}", "a: " + "{b: " * 3000 + "1" + "}" * 3000):
        assert unknown(chart(defaults=defaults), {"c": 1}) == []
