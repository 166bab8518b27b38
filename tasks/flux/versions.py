"""The sets of versions, and the one that the settings choose: charts, images, and how its charts are told."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from string import Template
from typing import Any

from tasks.core.errors import SettingsError
from tasks.core.settings import DOCUMENTED, Settings
from tasks.yaml.documents import load_documents
from tasks.yaml.templates import MANIFESTS

# Of these settings a set has a value each; the others of its file say how the charts are told.
VERSIONS = (
    ("parseable", "chart_version"),
    ("parseable", "image_tag"),
    ("vector", "chart_version"),
    ("grafana", "plugin_version"),
)
_FOLDER = MANIFESTS / "versions"
_SETTINGS = (*VERSIONS, ("parseable", "image"), ("parseable", "port"))


@dataclass(frozen=True)
class Mode:
    """How a chart deploys Parseable in one mode.

    ``release`` is the template of the HelmRelease, below manifests/; ``budget`` that of a
    PodDisruptionBudget, None where there is one pod only. ``ingest`` and ``query`` are the names of the
    Services that take logs and that answer queries.
    """

    release: str
    ingest: str
    query: str
    budget: str | None = None


@dataclass(frozen=True)
class Metrics:
    """Where Prometheus scrapes Parseable: a path, and a port of the Service by name or of the container."""

    path: str
    port: str | None = None
    target_port: int | None = None


def resolved(settings: Settings) -> Settings:
    """The settings with the values of their set of versions wherever they name none."""
    data = _set_of(settings)
    for section, name in _SETTINGS:
        fields = getattr(settings, section)
        if getattr(fields, name) is None:
            value = data[section][name]
            settings = replace(settings, **{section: replace(fields, **{name: value})})
    return settings


def untested(settings: Settings) -> tuple[str, ...]:
    """The settings that name another version than their set has, which was not tested; dotted names.

    >>> untested(Settings())
    ()
    """
    data = _set_of(settings)
    return tuple(
        f"{section}.{name}"
        for section, name in VERSIONS
        if getattr(getattr(settings, section), name) not in (None, data[section][name])
    )


def tested(section: str, name: str) -> tuple[str, ...]:
    """The values of a setting in all sets, those of the documented one first; none where the sets have none.

    >>> tested("vector", "chart_version")[0]
    '0.35.0'
    """
    sets = sorted(_names(), key=lambda one: one != DOCUMENTED.versions.set)
    return tuple(dict.fromkeys(str(value) for one in sets if (value := _loaded(one)[section].get(name))))


def is_tested(section: str, **values: str) -> bool:
    """Whether one and the same set has these values.

    >>> is_tested("parseable", chart_version="1.6.5", image_tag="v1.7.3")
    True
    """
    return any(
        all(_loaded(one)[section].get(name) == value for name, value in values.items()) for one in _names()
    )


def metrics_of(settings: Settings) -> Metrics:
    """Where the server of the set has its metrics."""
    return Metrics(**_set_of(settings)["parseable"]["metrics"])


def vector_variable(settings: Settings) -> Mapping[str, str] | None:
    """The variable that Vector of the set needs beside those of the login, as an entry of ``env``."""
    found: Mapping[str, str] | None = _set_of(settings)["vector"].get("variable")
    return found


def mode_of(settings: Settings) -> Mode:
    """How the chart of the set deploys Parseable in the mode of the settings.

    Raises:
        SettingsError: the set has no such mode.
    """
    modes, wanted = _set_of(settings)["parseable"]["modes"], settings.parseable
    if wanted.mode not in modes:
        raise SettingsError(
            f"the set of versions '{settings.versions.set}' has no mode '{wanted.mode}' (parseable.mode)",
            f"set versions.set to {' or '.join(_with_mode(wanted.mode))}",
        )
    found = modes[wanted.mode].items()
    return Mode(**{key: Template(text).substitute(name=wanted.name) for key, text in found})


def check(settings: Settings) -> None:
    """Check that there is such a set, that it has the mode that is set, and what that mode needs.

    Raises:
        SettingsError: something is missing; it says what there is.
    """
    mode_of(settings)
    if settings.parseable.mode == "distributed" and settings.parseable.staging_class is None:
        raise SettingsError(
            "parseable.mode is distributed, and parseable.staging_class is not set",
            "set it to a StorageClass (kubectl get storageclass): what an ingestor has not uploaded yet must "
            "outlive its pod",
        )


def _set_of(settings: Settings) -> Mapping[str, Any]:
    name = settings.versions.set
    if name not in _names():
        hint = f"set versions.set to one of: {', '.join(_names())}"
        raise SettingsError(f"there is no set of versions '{name}'", hint)
    return _loaded(name)


def _with_mode(mode: str) -> list[str]:
    return [name for name in _names() if mode in _loaded(name)["parseable"]["modes"]]


@cache
def _names() -> tuple[str, ...]:
    return tuple(sorted(path.stem for path in _FOLDER.glob("*.yaml")))


@cache
def _loaded(name: str) -> Mapping[str, Any]:
    (data,) = load_documents((_FOLDER / f"{name}.yaml").read_text(encoding="utf-8"))
    found: Mapping[str, Any] = data
    return found
