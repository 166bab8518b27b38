"""From Invoke's configuration to settings: which file said what, and plain errors instead of tracebacks."""

import os
import sys
import traceback
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, NoReturn

from invoke.config import Config
from invoke.context import Context

from tasks.core import settings
from tasks.core.errors import SettingsError


def load(context: Context, repository: str | None) -> settings.Settings:
    """Settings from Invoke's layers and the flag --repo.

    Raises:
        SettingsError: the file of ``invoke -f`` does not exist, or a setting is unknown or wrong.
    """
    settings.check_environment(os.environ)
    config: Config = context.config
    if config._runtime_path is not None and not config._runtime_found:
        raise SettingsError(f"no settings file {config._runtime_path}", "give an existing one to invoke -f")
    layers = _layers(config)
    if repository:
        layers.append(settings.Layer("--repo", {"gitops": {"path": repository}}))
    return settings.load(layers, Config.global_defaults())


def _layers(config: Config) -> list[settings.Layer]:
    """Invoke's layers, the weaker first, as Invoke itself merges them."""
    return [
        settings.Layer(str(config._system_path), _data(config._system), shared=True),
        settings.Layer(str(config._user_path), _data(config._user), shared=True),
        settings.Layer(str(config._project_path), _data(config._project)),
        settings.Layer(settings.ENVIRONMENT, _data(config._env)),
        settings.Layer(str(config._runtime_path), _beside(config._runtime_path, _data(config._runtime))),
    ]


def _beside(file: Any, data: Mapping[str, Any]) -> Mapping[str, Any]:
    """``data`` of a settings file, with its relative folders taken from the folder of the file."""
    folder = Path(str(file)).expanduser().parent

    def beside(path: Any) -> Any:
        is_folder = isinstance(path, str) and path and "://" not in path
        return str(folder / Path(path).expanduser()) if is_folder else path

    changed = dict(data)
    gitops, charts = data.get("gitops"), data.get("charts")
    if isinstance(gitops, Mapping) and "path" in gitops:
        changed["gitops"] = {**gitops, "path": beside(gitops["path"])}
    if isinstance(charts, Mapping) and isinstance(charts.get("mirrors"), Mapping):
        mirrors = {url: beside(target) for url, target in charts["mirrors"].items()}
        changed["charts"] = {**charts, "mirrors": mirrors}
    return changed


def _data(layer: Any) -> Mapping[str, Any]:
    """A layer's data; a file that holds something else than settings is as wrong as an unknown setting."""
    if layer is None:
        return {}
    if not isinstance(layer, Mapping):
        raise SettingsError("a settings file must hold a mapping of sections", f"it holds {layer!r:.60}")
    return layer


def say_loading_errors_plainly() -> None:
    """Replace the traceback of configuration that Invoke itself cannot load by one line and exit code 2.

    Invoke reads settings files and variables outside of any task, where no task could catch the error.
    """
    original = sys.excepthook

    def hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        frames = {(frame.filename, frame.name) for frame in traceback.extract_tb(trace)}
        if (_CONFIG, "merge") in frames:
            # Something is not of the form that Invoke can merge: say what, in the terms of settings.
            config = next(iter(_locals(trace, Config)), None)
            try:
                settings.load(_layers(config) if config is not None else [], Config.global_defaults())
            except SettingsError as known:
                _exit(known)
        if {(_CONFIG, "_load_file"), (_CONFIG, "merge")} & frames:
            detail = " ".join(str(error).split())
            _exit(SettingsError(f"a settings file cannot be loaded: {detail}"))
        if (_CONFIG, "load_shell_env") in frames:
            try:
                settings.check_environment(os.environ)
            except SettingsError as known:
                _exit(known)
        original(kind, error, trace)

    sys.excepthook = hook


def _locals(trace: TracebackType | None, kind: type[Config]) -> Iterator[Config]:
    """The objects of ``kind`` whose methods are in ``trace``."""
    for frame, _ in traceback.walk_tb(trace):
        found = frame.f_locals.get("self")
        if isinstance(found, kind):
            yield found


def _exit(error: SettingsError) -> NoReturn:
    print(error.message, file=sys.stderr)  # noqa: T201
    # The interpreter honours this in its last hook.
    raise SystemExit(error.exit_code)


_CONFIG = sys.modules[Config.__module__].__file__
