"""How Grafana is told which plugins to install: the variables it reads, and the form of an entry in each."""

import re

from tasks.core.settings import Grafana, Settings

# What Grafana reads: https://grafana.com/docs/grafana/latest/setup-grafana/configure-docker/, and
# pkg/setting/setting_plugins.go and packaging/docker/run.sh of https://github.com/grafana/grafana.
_OLD = "GF_INSTALL_PLUGINS"
_NEW = ("GF_PLUGINS_PREINSTALL_SYNC", "GF_PLUGINS_PREINSTALL")
VARIABLES = (_OLD, *_NEW)

# Since these versions a chart makes GF_PLUGINS_PREINSTALL_SYNC of its list of plugins
# (charts/grafana/templates/_pod.tpl of https://github.com/grafana-community/helm-charts). 81.6.2 of the stack
# has 11.1.1 of Grafana's chart (its Chart.yaml). The repository that Grafana's chart came from before,
# https://grafana.github.io/helm-charts, ends before that.
_SINCE = {"grafana": (11, 1, 1), "kube-prometheus-stack": (81, 6, 2)}
_OLD_REPOSITORY = "grafana.github.io/helm-charts"
_LATEST = (10**6, 0, 0)

# The forms of URLs of archives: the catalogue's, and the assets that the plugin's own release workflow makes
# (.github/workflows/release.yaml of https://github.com/parseablehq/parseable-datasource).
_CATALOGUE = "https://grafana.com/api/plugins/{id}/versions/{version}/download"
_PUBLISHED = (
    r"https://grafana\.com/api/plugins/{id}/versions/[\w.+-]+/download",
    r"https://github\.com/parseablehq/parseable-datasource/releases/download/v?(?P<v>[\w.+-]+)/{id}-(?P=v)\.zip",
)


def url_of(grafana: Grafana) -> str:
    """Where the plugin is downloaded from: the URL of the settings, else Grafana's catalogue.

    Raises:
        ValueError: the settings name no version; `tasks.flux.versions.resolved` gives them that of their set.
    """
    if grafana.plugin_version is None:
        raise ValueError("the version of the plugin is that of a set of versions, which is not filled in")
    return grafana.plugin_url or _CATALOGUE.format(id=grafana.datasource_type, version=grafana.plugin_version)


def is_published(grafana: Grafana, url: str) -> bool:
    """Whether ``url`` has a form in which the plugin is published."""
    plugin = re.escape(grafana.datasource_type)
    return any(re.fullmatch(form.replace("{id}", plugin), url) for form in _PUBLISHED)


def entry(grafana: Grafana, variable: str) -> str:
    """The plugin as an entry of ``variable``: ``id@version@url``, or ``url;folder`` in the older one.

    The folder is the plugin's id: newer versions of Grafana take it for that.
    """
    if variable in _NEW:
        return f"{grafana.datasource_type}@{grafana.plugin_version}@{url_of(grafana)}"
    return f"{url_of(grafana)};{grafana.datasource_type}"


def is_ours(grafana: Grafana, text: str) -> bool:
    """Whether an entry is the plugin, in whichever version or form."""
    return grafana.datasource_type in text or (grafana.plugin_url is not None and grafana.plugin_url in text)


def stays(settings: Settings, variable: str, text: str) -> bool:
    """Whether an entry that is there can stay: by the plugin's id only, where no version is set.

    One with a URL is of the form that the playbook writes, and says what the settings do.
    """
    if settings.chosen("grafana.plugin_version") or settings.chosen("grafana.plugin_url"):
        return False
    grafana = settings.grafana
    return is_ours(grafana, text) and url_in(text) is None and not problem(grafana, variable, text)


def url_in(text: str) -> str | None:
    """The URL in an entry of either form; None where the plugin is named by its id only."""
    found = re.search(r"https?://[^\s;]+", text)
    return found[0] if found else None


def entries(text: str) -> list[str]:
    """The entries of a variable's value."""
    return [part for part in (one.strip() for one in text.split(",")) if part]


def problem(grafana: Grafana, variable: str, text: str) -> str:
    """What is wrong with the form of the plugin's entry in ``variable``; empty if nothing is."""
    if variable in _NEW:
        is_right, form = text.partition("@")[0] == grafana.datasource_type, "id@version@url"
    elif "://" in text:
        url, _, folder = text.partition(";")
        is_right, form = bool(folder.strip()) and "@" not in url.partition("://")[0], "url;folder"
    else:
        is_right, form = text.partition(" ")[0] == grafana.datasource_type, "id version"
    return "" if is_right else f"{variable} has the entry '{text}', whose form is not {form}"


def variable_of(chart: str, version: str, repository: str) -> str:
    """The variable that a chart makes of its list of plugins, by its version alone.

    ``version`` is as a HelmRelease has it: a version, a range ("8.x", "^11.0.0"), or empty for the newest.
    """
    since = _SINCE.get(chart, _SINCE["grafana"])
    if chart == "grafana" and _OLD_REPOSITORY in repository:
        return _OLD
    return _NEW[0] if _highest(version) >= since else _OLD


def _highest(version: str) -> tuple[int, int, int]:
    """About the highest version that ``version`` allows."""
    text = version.strip()
    limit = re.search(r"<=?\s*v?(\d+)(?:\.(\d+))?(?:\.(\d+))?", text)
    if limit is not None:
        first, second, third = (int(part or 0) for part in limit.groups())
        is_whole = not second and not third and "=" not in limit[0]
        return (first - 1, _LATEST[0], 0) if is_whole else (first, second, third)
    found = re.search(r"(\d+)(?:\.(\d+))?(?:\.(\d+))?", text)
    if found is None or text.startswith(">"):
        return _LATEST
    widest = _LATEST[0]
    parts = [int(part) for part in found.groups() if part is not None]
    # What is written of the version, as far as its range keeps it.
    kept = parts[: 1 if text.startswith("^") else 2 if text.startswith("~") else 3]
    first, second, third = (*kept, widest, widest)[:3]
    return (first, second, third)
