"""What Flux leaves out of a source: the patterns of ``.sourceignore`` files and of ``spec.ignore``.

See https://fluxcd.io/flux/components/source/gitrepositories/#excluding-files; the details are those of
sourceignore/ in https://github.com/fluxcd/pkg, which is much like git, and not the same.
"""

import posixpath
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache

FILE = ".sourceignore"
# Left out unless there is a pattern of the repository's own, the first line always.
_ALWAYS = (".git/", ".gitignore", ".gitmodules", ".gitattributes")
_BY_DEFAULT = (
    *("*.jpg", "*.jpeg", "*.gif", "*.png", "*.wmv", "*.flv", "*.tar.gz", "*.zip"),
    *(".github/", ".circleci/", ".travis.yml", ".gitlab-ci.yml", "appveyor.yml", ".drone.yml"),
    *("cloudbuild.yaml", "codeship-services.yml", "codeship-steps.yml"),
    *("**/.goreleaser.yml", "**/.sops.yaml", "**/.flux.yaml"),
)


@dataclass(frozen=True)
class Pattern:
    """One line: ``text`` as it is written on ``line`` (from 1) of ``origin``, for what lies in ``folder``.

    ``origin`` is the file, empty for what Flux leaves out by itself.
    """

    text: str
    folder: str = ""
    origin: str = ""
    line: int = 0

    @property
    def is_exception(self) -> bool:
        """Whether it takes in what earlier ones leave out."""
        return self.text.startswith("!")

    def meets(self, path: str) -> bool:
        """Whether it is about the file ``path``, itself or a folder that it lies in."""
        if self.folder and not path.startswith(f"{self.folder}/"):
            return False
        names = path.removeprefix(f"{self.folder}/" if self.folder else "").split("/")
        text = self.text.removeprefix("!")
        text = text if text.endswith("\\ ") else text.rstrip(" ")
        is_folder = text.endswith("/")
        parts = text.removesuffix("/").split("/")
        if len(parts) > 1:
            return _is_path(parts, names, is_folder=is_folder)
        place = next((at for at, name in enumerate(names) if _is_name(parts[0], name)), None)
        return place is not None and not (is_folder and place == len(names) - 1)


def _is_path(parts: Sequence[str], names: Sequence[str], *, is_folder: bool) -> bool:
    """Whether a pattern with a slash in it matches ``names`` from the first on, or some folders of them."""
    rest, is_found, is_anywhere = list(names), False, False
    for at, part in enumerate(parts):
        if part == "":
            is_anywhere = False
        elif part == "**":
            if at == len(parts) - 1:
                break
            is_anywhere = True
        elif "**" in part or not rest:
            return False
        elif is_anywhere:
            # The first that fits is taken, though a later one might let the rest fit too.
            is_anywhere = False
            found = next((number for number, name in enumerate(rest) if _is_name(part, name)), None)
            is_found = found is not None
            rest = [] if found is None else rest[found + 1 :]
        elif _is_name(part, rest[0]):
            is_found, rest = True, rest[1:]
        else:
            return False
    return is_found and bool(rest or not is_folder)


def _is_name(pattern: str, name: str) -> bool:
    expression = _expression(pattern)
    return expression is not None and expression.fullmatch(name) is not None


@cache
def _expression(pattern: str) -> re.Pattern[str] | None:
    """A pattern of Go's path/filepath as an expression; None where it is malformed, which matches nothing."""
    signs = {"*": ".*", "?": "."}
    made, at = [], 0
    while at < len(pattern):
        if pattern[at] == "[":
            found = re.compile(r"\[(\^?)((?:(?:\\.|[^\\\]-])(?:-(?:\\.|[^\\\]-]))?)+)\]").match(pattern, at)
            if found is None:
                return None
            made.append(f"[{found[1]}{_class(found[2])}]")
            at = found.end()
        elif pattern[at] == "\\":
            if at + 1 == len(pattern):
                return None
            made.append(re.escape(pattern[at + 1]))
            at += 2
        else:
            made.append(signs.get(pattern[at]) or re.escape(pattern[at]))
            at += 1
    try:
        return re.compile("".join(made), re.DOTALL)
    except re.error:
        # A range that ends before it starts.
        return None


def _class(text: str) -> str:
    """The inside of a class of signs, each of them escaped."""
    signs = re.sub(r"\\(.)", lambda pair: f"\\x{ord(pair[1]):02x}" if ord(pair[1]) < 256 else pair[1], text)
    return signs.replace("[", "\\[").replace("&", "\\&").replace("~", "\\~").replace("|", "\\|")


def read_patterns(text: str, folder: str = "", origin: str = "") -> Iterator[Pattern]:
    """The patterns of a file or of ``spec.ignore``; comments and empty lines are none."""
    for number, line in enumerate(text.split("\n"), 1):
        pattern = line.removesuffix("\r")
        if pattern.strip() and not pattern.startswith("#"):
            yield Pattern(pattern, folder, origin, number)


def patterns_for(path: str, read: Callable[[str], str], more: Iterable[Pattern] = ()) -> list[Pattern]:
    """All patterns that count for the file ``path``, the last that meets it decides.

    ``read`` gives the text of a file, empty where there is none; ``more`` are those of ``spec.ignore``.
    """
    folders = [""]
    for name in path.split("/")[:-1]:
        folders.append(posixpath.join(folders[-1], name))
    files = [(posixpath.join(folder, FILE), folder) for folder in folders]
    own = [one for file, folder in files for one in read_patterns(read(file), folder, file)]
    return [*own, *more]


def leaves_out(path: str, patterns: Sequence[Pattern], *, has_defaults: bool = True) -> Pattern | None:
    """The pattern that keeps the file ``path`` out of what Flux downloads; None if it is in.

    Patterns of the repository's own replace those that Flux has by default. ``has_defaults`` says whether
    the source has them at all, which a Bucket has not.
    """
    always = [Pattern(text) for text in _ALWAYS] if has_defaults else []
    by_default = [Pattern(text) for text in _BY_DEFAULT] if has_defaults and not patterns else []
    for pattern in reversed([*always, *by_default, *patterns]):
        if pattern.meets(path):
            return None if pattern.is_exception else pattern
    return None
