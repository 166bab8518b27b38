"""A setting that is written out is obeyed, also where it says what is documented."""

from pathlib import Path

import pytest

from tasks.core.settings import Layer, Settings, load
from tasks.flux.grafana_plugins import stays
from tasks.flux.missing import MissingError
from tasks.flux.sources import Source
from tests import shapes
from tests.flux.test_layout import layout
from tests.flux.test_layout import root as root  # noqa: PLC0414 (a fixture)


def given(section: str, **values: object) -> Settings:
    return load([Layer("my.yaml", {section: values})])


def test_a_source_that_is_named_is_not_looked_for(root: Path) -> None:
    for path in root.rglob("*.yaml"):
        path.write_text(path.read_text().replace("home-kubernetes", "flux-system"))
    assert layout(root).source == Source("GitRepository", "flux-system", "flux-system")
    named = layout(root, given("flux", source="home-kubernetes"))
    assert named.source == Source("GitRepository", "home-kubernetes", "flux-system")


def test_a_folder_that_is_named_and_not_there_is_missing(root: Path) -> None:
    shapes.other_repositories_folder(root)
    assert not isinstance(layout(root).chart_sources, MissingError)
    named = layout(root, given("gitops", repositories="kubernetes/flux/meta/repos"))
    assert isinstance(named.chart_sources, MissingError)
    assert "kubernetes/flux/meta/repos has no kustomization.yaml" in named.chart_sources.summary


@pytest.mark.parametrize(("settings", "expected"), [(Settings(), True), ({"plugin_version": "1.1.0"}, False)])
def test_a_version_that_is_named_replaces_an_entry_without_one(
    settings: Settings | dict[str, object], expected: bool
) -> None:
    asked = settings if isinstance(settings, Settings) else given("grafana", **settings)
    assert stays(asked, "GF_INSTALL_PLUGINS", "parseable-parseable-datasource") is expected
