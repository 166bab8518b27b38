"""The forms of an entry of Grafana's plugins, and which of them a chart hands over."""

import pytest

from tasks.core.settings import Grafana
from tasks.flux.grafana_plugins import entry, is_published, problem, url_of, variable_of

OLD, NEW = "GF_INSTALL_PLUGINS", "GF_PLUGINS_PREINSTALL_SYNC"
PLUGIN = "parseable-parseable-datasource"
GRAFANA = Grafana(plugin_version="1.1.0")
BEFORE, COMMUNITY = "https://grafana.github.io/helm-charts", "https://grafana-community.github.io/helm-charts"


@pytest.mark.parametrize(
    ("chart", "version", "repository", "variable"),
    [
        ("grafana", "8.8.2", BEFORE, OLD),
        ("grafana", "", BEFORE, OLD),
        ("grafana", "11.1.0", COMMUNITY, OLD),
        ("grafana", "11.1.1", COMMUNITY, NEW),
        ("grafana", "v12.0.0", COMMUNITY, NEW),
        ("grafana", "", COMMUNITY, NEW),
        ("grafana", "*", COMMUNITY, NEW),
        ("grafana", "11.x", COMMUNITY, NEW),
        ("grafana", "^11.0.0", COMMUNITY, NEW),
        ("grafana", "~11.0.0", COMMUNITY, OLD),
        ("grafana", "~11.1.0", COMMUNITY, NEW),
        ("grafana", "10.x", COMMUNITY, OLD),
        ("grafana", ">=8.0.0", COMMUNITY, NEW),
        ("grafana", ">=8.0.0 <9", COMMUNITY, OLD),
        ("grafana", ">=8.0.0 <12.0.0", COMMUNITY, NEW),
        ("grafana", "12.11.1", "oci://ghcr.io/grafana-community/helm-charts/grafana", NEW),
        ("kube-prometheus-stack", "67.4.0", "", OLD),
        ("kube-prometheus-stack", "81.6.1", "", OLD),
        ("kube-prometheus-stack", "81.6.2", "", NEW),
        ("kube-prometheus-stack", "82.12.0", "", NEW),
    ],
)
def test_the_version_of_the_chart_tells_the_variable(
    chart: str, version: str, repository: str, variable: str
) -> None:
    assert variable_of(chart, version, repository) == variable


@pytest.mark.parametrize("variable", [OLD, NEW, "GF_PLUGINS_PREINSTALL"])
def test_what_is_written_is_right(variable: str) -> None:
    assert problem(GRAFANA, variable, entry(GRAFANA, variable)) == ""


@pytest.mark.parametrize(
    ("variable", "text", "is_right"),
    [
        (OLD, PLUGIN, True),
        (OLD, f"{PLUGIN} 1.1.0", True),
        (OLD, f"https://example.com/{PLUGIN}.zip;any", True),
        (OLD, f"https://example.com/{PLUGIN}.zip", False),
        (OLD, f"{PLUGIN}@1.1.0", False),
        (OLD, f"{PLUGIN}@1.1.0@https://example.com/a.zip", False),
        (NEW, PLUGIN, True),
        (NEW, f"{PLUGIN}@1.1.0", True),
        (NEW, f"{PLUGIN}@@https://example.com/a.zip", True),
        (NEW, f"{PLUGIN} 1.1.0", False),
        (NEW, f"https://example.com/{PLUGIN}.zip;{PLUGIN}", False),
    ],
)
def test_the_form_of_an_entry(variable: str, text: str, is_right: bool) -> None:
    assert (problem(Grafana(), variable, text) == "") is is_right


@pytest.mark.parametrize(
    ("url", "is_known"),
    [
        (url_of(GRAFANA), True),
        (
            f"https://github.com/parseablehq/parseable-datasource/releases/download/v1.2.0/{PLUGIN}-1.2.0.zip",
            True,
        ),
        (
            f"https://github.com/parseablehq/parseable-datasource/releases/download/v1.2.0/{PLUGIN}-1.2.1.zip",
            False,
        ),
        (
            f"https://github.com/parseablehq/parseable-datasource-plugin/releases/download/v1.0.0/{PLUGIN}-1.0.0.zip",
            False,
        ),
        (f"https://mirror.example.com/{PLUGIN}-1.1.0.zip", False),
        ("https://grafana.com/api/plugins/another-datasource/versions/1.1.0/download", False),
    ],
)
def test_the_forms_of_urls_that_are_known(url: str, is_known: bool) -> None:
    assert is_published(Grafana(), url) is is_known
