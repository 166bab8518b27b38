"""What a build by kustomize may load: nothing outside of the repository, as Flux has it.

See https://github.com/fluxcd/pkg/blob/main/kustomize/filesys/fs_secure.go (MakeFsOnDiskSecure).
"""

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import yaml

from tasks.core.errors import RefusedError
from tasks.yaml import limits
from tasks.yaml.anchors import read_all
from tasks.yaml.documents import syntax_error

NAMES = ("kustomization.yaml", "kustomization.yml", "Kustomization")
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_HINT = "keep all that is built inside the repository"
_LONGEST = 100
# What holds no path: at the top of a kustomization or of a plugin's configuration, and further down. Helm's
# charts are refused by kustomize itself. Any other spelling is no exception: Go takes names in any case.
_PLAIN = {
    "apiVersion",
    "kind",
    "metadata",
    "literals",
    "options",
    "patch",
    "jsonOp",
    "source",
    "target",
    "targets",
}
_PLAIN |= {"labels", "annotations", "fieldSpecs", "value"}
_PLAIN_AT_TOP = _PLAIN | {
    "namePrefix",
    "nameSuffix",
    "namespace",
    "commonLabels",
    "commonAnnotations",
    "images",
}
_PLAIN_AT_TOP |= {"imageTags", "replicas", "vars", "sortOptions", "generatorOptions", "buildMetadata"}
_PLAIN_AT_TOP |= {"helmGlobals", "helmCharts", "helmChartInflationGenerator"}
# Lists of configurations of plugins: files, folders that are built, or texts in place; they name files too.
_PLUGINS = ("generators", "transformers", "validators")


class BuildError(RefusedError):
    """Kustomize refused, or Flux would: what it applies with the same library would be refused as well."""


class Confinement:
    """Looks through all kustomizations that one build reaches, before it.

    Flux lets kustomize load any file in or below the root of its source, links resolved. kustomize itself
    knows two restrictions, none and the folder of each kustomization, which is less than Flux allows; a copy
    of the repository would not help against /etc/hostname and ../../.., and there is no sandbox on every
    system. So the kustomizations are read here. Each of their texts counts as a path unless it is known to be
    none, so that an entry which kustomize learns one day is confined as well.

    ``run`` builds a folder: that is how the configuration of plugins in a folder is known. ``unread`` are the
    files that cannot be read here, with the reason: what they name is not known.
    """

    def __init__(self, root: Path, run: Callable[[Path], str]) -> None:
        self._root = root
        self._run = run
        self._folders: list[Path] = []
        self._plugins: list[tuple[Path, str, str]] = []
        self._seen: set[tuple[Path, ...]] = set()
        self.unread: dict[str, str] = {}

    def check(self, folder: Path, name: str, place: str) -> None:
        """Check the path ``name``, taken from ``folder``, and all that is loaded with it; ``place`` names it.

        Raises:
            BuildError: something outside of the repository would be loaded.
            RefusedError: kustomize cannot build a folder of plugins.
        """
        self._look(folder, name, place)
        while self._folders or self._plugins:
            if self._folders:
                self._check_folder(self._folders.pop())
            else:
                self._check_plugin(*self._plugins.pop())

    def _look(self, folder: Path, name: str, place: str) -> None:
        if "\0" in name:
            # No file is called so.
            return
        target = os.path.normpath(folder / name)
        real = Path(os.path.realpath(target))
        said = f"{place}: {_shown(name)}"
        if Path(name).is_absolute() or not Path(target).is_relative_to(self._root):
            raise BuildError(f"{said} is outside of the repository: Flux loads nothing there", _HINT)
        if not real.is_relative_to(self._root):
            raise BuildError(f"{said} leads out of the repository through a link", _HINT)
        if real.relative_to(self._root).parts[:1] == (".git",):
            raise BuildError(f"{said} is in .git, which Flux does not fetch", _HINT)
        if (real,) not in self._seen:
            self._seen.add((real,))
            self._folders.append(real)

    def _check_folder(self, folder: Path) -> None:
        """Check what the kustomization in ``folder`` loads, if it is a folder and has one."""
        for name in NAMES:
            if _is_file(folder / name):
                place = (folder / name).relative_to(self._root).as_posix()
                self._look(folder, name, place)
                self._check_nodes(folder, self._read(folder / name, place), place)

    def _check_plugin(self, folder: Path, text: str, where: str) -> None:
        """Check what a plugin loads that is configured by ``text``: in place, in a file, or in a folder."""
        roots = self._composed(text, where)
        self._check_nodes(folder, [one for one in roots if isinstance(one, yaml.MappingNode)], where)
        target = Path(os.path.realpath(folder / text.replace("\0", "")))
        if (folder, target) in self._seen:
            return
        self._seen.add((folder, target))
        # All paths are taken from the folder of the kustomization that lists the plugin.
        if _is_file(target):
            place = target.relative_to(self._root).as_posix()
            self._check_nodes(folder, self._read(target, place), place)
        elif any(_is_file(target / name) for name in NAMES):
            self._check_nodes(folder, self._composed(self._run(target), where), where)

    def _check_nodes(self, folder: Path, roots: Iterable[Any], place: str) -> None:
        """Check the texts of kustomizations or configurations of plugins."""
        for text, line, is_plugin in (found for root in roots for found in _texts(root)):
            where = place if place.rpartition(":")[2].isdigit() else f"{place}:{line}"
            for name in {text, text.partition("=")[2]} - {""}:
                # A text of many lines is a patch in place, say, unless there is such a file.
                if "\n" not in name or os.path.lexists(os.path.normpath(folder / name)):
                    self._look(folder, name, where)
            if is_plugin:
                self._plugins.append((folder, text, where))

    def _read(self, path: Path, place: str) -> list[Any]:
        try:
            return self._composed(path.read_text(encoding="utf-8"), place)
        except (OSError, UnicodeDecodeError):
            self.unread[place] = "it is no text"
            return []

    def _composed(self, text: str, place: str) -> list[Any]:
        """The nodes of the documents of ``text``: unlike its data they show a key that is there twice."""
        try:
            limits.check(text)
            return [root for root in read_all(yaml.compose_all, text, _LOADER) if root is not None]
        except (yaml.YAMLError, ValueError):
            self.unread[place] = syntax_error(text) or "it is not YAML"
            return []


def _texts(root: Any) -> Iterator[tuple[str, int, bool]]:
    """The texts that may be paths, with their lines, and whether they stand in a list of plugins."""
    waiting: list[tuple[Any, set[str], bool]] = [(root, _PLAIN_AT_TOP, False)]
    while waiting:
        node, plain, is_plugin = waiting.pop()
        if isinstance(node, yaml.ScalarNode):
            yield node.value, node.start_mark.line + 1, is_plugin
        elif isinstance(node, yaml.SequenceNode):
            waiting += ((one, _PLAIN, is_plugin) for one in node.value)
        elif isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                name = str(key.value)
                if name == "<<":
                    merged = value.value if isinstance(value, yaml.SequenceNode) else [value]
                    waiting += ((one, plain, is_plugin) for one in merged)
                elif name not in plain:
                    waiting.append((value, _PLAIN, is_plugin or name.casefold() in _PLUGINS))


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name that is too long, say
        return False


def _shown(name: str) -> str:
    line = " ".join(name.split())
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST]}…"
