"""From Invoke's configuration to settings: which file said what, and plain errors instead of tracebacks."""

import os
import sys
import traceback
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, NoReturn

from invoke.config import Config
from invoke.context import Context

from tasks.core import settings
from tasks.core.console import Console, error_data
from tasks.core.errors import SettingsError
from tasks.core.settings import FILE
from tasks.effects.files import expanded, read_text
from tasks.flux import versions
from tasks.flux.nearby import repository_around
from tasks.yaml.documents import load_documents, syntax_error


def load(
    context: Context, repository: str | None, cluster: str = "", *, own: bool = True
) -> settings.Settings:
    """Settings from Invoke's layers, the flags --repo and --cluster, and the file of the repository.

    Without a repository in any of them it is the one around the current folder. ``own`` says whether the file
    of the repository counts.

    Raises:
        SettingsError: the file of ``invoke -f`` does not exist, a setting is unknown or wrong, or there is no
            repository.
        RefusedError: a file cannot be read, or git does not answer.
    """
    config: Config = context.config
    if config._runtime_path is not None and not config._runtime_found:
        raise SettingsError(f"no settings file {config._runtime_path}", "give an existing one to invoke -f")
    layers = _layers(config)
    if repository:
        layers.append(settings.Layer("--repo", {"gitops": {"path": repository}}))
    if cluster:
        layers.append(settings.Layer("--cluster", {"gitops": {"cluster": cluster}}))
    others = Config.global_defaults()
    path = settings.load(layers, others).gitops.path
    if not path:
        path = str(repository_around(Path.cwd()))
        layers.append(settings.Layer("the current folder", {"gitops": {"path": path}}))
    layer = _of_repository(path) if own else None
    if layer is not None:
        # It counts over what the user has for all repositories, and below what is given for one run.
        layers.insert(_SHARED, layer)
    found = settings.load(layers, others)
    versions.check(found)
    s3 = found.s3
    Console().looking_at(f"{found.gitops.path} and bucket {s3.bucket} at {s3.asked}")
    return found


def _of_repository(path: str) -> settings.Layer | None:
    """What the repository's own file says, None where it has none.

    Raises:
        SettingsError: it is not YAML, or names a repository.
        RefusedError: it cannot be read.
    """
    top = expanded(path)
    text = read_text(top, FILE) if top.is_dir() else None
    if text is None:
        return None
    file = top / FILE
    reason = syntax_error(text)
    if reason:
        raise SettingsError(f"settings file {file} cannot be loaded: {reason}", "correct it there")
    documents = load_documents(text)
    data = _checked(file, documents[0] if documents else None, text)
    gitops = data.get("gitops")
    if isinstance(gitops, Mapping) and "path" in gitops:
        raise SettingsError(
            f"gitops.path in {file}: the file lies in the repository that it is for", "delete the setting"
        )
    return settings.Layer(str(file), _beside(file, data))


def is_dry(context: Context) -> bool:
    """Whether to change nothing: Invoke's flag --dry, ``INVOKE_RUN_DRY``, or ``run.dry`` in a file.

    The variable counts over the file, as with our own settings.
    """
    config: Config = context.config
    layers = (config._overrides, config._env, {"run": config.run})
    given = (layer["run"]["dry"] for layer in layers if "dry" in layer.get("run", {}))
    return bool(next(given, False))


def _layers(config: Config) -> list[settings.Layer]:
    """The layers, the weaker first.

    In Invoke's own order a file given with -f counts over a variable; but who sets a variable for one run
    means it. And invoke.yaml holds a value for everything: nothing would count below it.
    """
    return [
        settings.Layer(
            str(config._project_path), _file(config._project_path, config._project), defaults=True
        ),
        settings.Layer(str(config._system_path), _file(config._system_path, config._system), shared=True),
        settings.Layer(str(config._user_path), _file(config._user_path, config._user), shared=True),
        # The repository's own file has its place here (_SHARED).
        settings.Layer(str(config._runtime_path), _runtime(config)),
        settings.Layer(settings.ENVIRONMENT, settings.environment(os.environ)),
    ]


def _runtime(config: Config) -> Mapping[str, Any]:
    """What the file of ``invoke -f`` says, with its relative folders taken from where it lies."""
    if config._runtime_path is None:
        return {}
    file = expanded(config._runtime_path)
    if file.suffix == ".py":
        raise SettingsError(f"settings file {file} is a program", "write the settings as YAML or JSON")
    return _beside(file, _file(file, config._runtime))


def _beside(file: Path, data: Mapping[str, Any]) -> Mapping[str, Any]:
    """``data`` of a settings file, with its relative folders taken from where it lies."""

    def beside(path: Any) -> Any:
        is_folder = isinstance(path, str) and path and "://" not in path
        return str(file.parent / expanded(path)) if is_folder else path

    changed = dict(data)
    charts = data.get("charts")
    for section, name in (("gitops", "path"), ("cluster", "kubeconfig")):
        given = data.get(section)
        if isinstance(given, Mapping) and name in given:
            changed[section] = {**given, name: beside(given[name])}
    if isinstance(charts, Mapping) and isinstance(charts.get("mirrors"), Mapping):
        mirrors = {url: beside(target) for url, target in charts["mirrors"].items()}
        changed["charts"] = {**charts, "mirrors": mirrors}
    return changed


def _file(path: str | Path | None, data: Any) -> Mapping[str, Any]:
    """The ``data`` that Invoke found in a settings file, which must say each thing once.

    A file that holds something else than settings is as wrong as an unknown setting.
    """
    if path is None or data is None:
        return {}
    if Path(path).suffix == ".py":
        return _checked(Path(path), data, "")
    return _checked(Path(path), data, Path(path).read_text(encoding="utf-8", errors="replace"))


def _checked(path: Path, data: Any, text: str) -> Mapping[str, Any]:
    """``data`` of the settings file ``path`` with this ``text``: a mapping that says each thing once."""
    if data is None:
        return {}
    if not isinstance(data, Mapping):
        raise SettingsError(f"settings file {path} must hold a mapping of sections", f"it holds {data!r:.60}")
    _check_keys(path, text)
    return data


def _check_keys(path: Path, text: str) -> None:
    """Check that no section or setting of ours is in ``text`` twice: readers take the last silently."""
    import yaml

    # JSON is YAML, but for tabs, which it has only around what it says.
    text = text.replace("\t", " ")
    top = yaml.compose(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    _check_once(top, path, "", set(settings.SECTIONS))


def _check_once(node: Any, path: Path, above: str, wanted: set[str] | None = None) -> None:
    """Check the keys of ``node`` and of what is in it; only ``wanted`` ones where those are given."""
    if not hasattr(node, "value") or not isinstance(node.value, list):
        return
    lines: dict[str, int] = {}
    for key, value in (pair for pair in node.value if isinstance(pair, tuple)):
        name, line = str(key.value), key.start_mark.line + 1
        if wanted is not None and name not in wanted:
            continue
        if name in lines:
            raise SettingsError(
                f"{above}{name} is set twice in settings file {path}: in lines {lines[name]} and {line}",
                "delete one of the two",
            )
        lines[name] = line
        _check_once(value, path, f"{above}{name}.")


def say_loading_errors_plainly() -> None:
    """Replace the traceback of configuration that Invoke itself cannot load by one line and exit code 2.

    Invoke reads settings files and variables outside of any task, where no task could catch the error.
    """
    original = sys.excepthook

    def hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        frames = [frame for frame, _ in traceback.walk_tb(trace) if frame.f_code.co_filename == _CONFIG]
        said = " ".join(str(getattr(error, "strerror", None) or error).split())[:_LONGEST]
        for frame in frames:
            if frame.f_code.co_name == "_load_file":
                file = frame.f_locals["filepath"]
                _exit(SettingsError(f"settings file {file} cannot be loaded: {said}"))
        config = next(
            (found for frame in frames if isinstance(found := frame.f_locals.get("self"), Config)), None
        )
        if config is not None:
            # Something is not of the form that Invoke can merge: say what, in the terms of settings.
            try:
                settings.load(_layers(config), Config.global_defaults())
            except SettingsError as known:
                _exit(known)
            _exit(SettingsError(f"Invoke's own settings cannot be used: {said}"))
        original(kind, error, trace)

    sys.excepthook = hook


def _exit(error: SettingsError) -> NoReturn:
    console = Console()
    if "--json" in sys.argv:
        console.write_json({"error": error_data(error)})
    console.fit(error)
    print(error.message, file=sys.stderr)  # noqa: T201
    # The interpreter honours this in its last hook.
    raise SystemExit(error.exit_code)


_CONFIG = sys.modules[Config.__module__].__file__
_SHARED = 3  # layers that are for all repositories
_LONGEST = 200  # characters of somebody else's text in one line of ours
