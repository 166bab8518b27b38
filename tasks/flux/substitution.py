"""Post-build substitution as Flux does it: where variables come from, and how ``${…}`` is replaced.

See https://fluxcd.io/flux/components/kustomize/kustomizations/#post-build-variable-substitution; what that
leaves open is taken from kustomize/kustomize_varsub.go and envsubst/ of https://github.com/fluxcd/pkg.
"""

import base64
import binascii
import re
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

_KEY = "kustomize.toolkit.fluxcd.io/substitute"
_NAME = re.compile(r"[_A-Za-z][_A-Za-z0-9]*")
_WORD = re.compile(r"\w+")
# Longer ones are none to Go (strconv.Atoi).
_INTEGER = re.compile(r"[+-]?\d{1,18}", re.ASCII)
_OPERATOR = re.compile(r":[=?+-]|=|,,|,\^|\^\^|\^,|,|\^|##?|%%?|/[/#%]?|:")
# Text of an argument: up to the brace, or a sign of its own; "${" starts an expression inside.
_UNTIL = {stop: re.compile(rf"(?:(?!\$\{{)[^{re.escape(stop)}])+") for stop in ("}", ":}")}
_ESCAPED = {
    stop: re.compile(rf"(?:\$\$|\\[/\\]|(?!\$\{{)[^{re.escape(stop)}])+", re.DOTALL) for stop in ("}", "/")
}

_PLAIN: dict[str, Callable[[str], str]] = {
    "length": lambda value: str(len(value.encode())),
    ",": lambda value: value[:1].lower() + value[1:],
    ",,": str.lower,
    "^": lambda value: value[:1].upper() + value[1:],
    "^^": str.upper,
}

_DEFAULTS = ("=", ":=", ":-", ":+", ":?")

# No API server takes an object of more than about 1.5 MiB; a few lines can ask for terabytes.
_LONGEST = 16 << 20

Find = Callable[[str, str], Mapping[str, Any] | None]


class SubstitutionError(ValueError):
    """Flux would refuse the text or the variables, and apply nothing of the Kustomization."""


@dataclass(frozen=True)
class Variables:
    """What a Kustomization substitutes.

    ``hidden`` are names without a value that is known (it is encrypted), unless ``known`` has a later one.
    ``missing`` are the sources that were not seen, by kind and name: then there may be other variables than
    those named. ``is_forced`` says that Flux substitutes even without any.
    """

    known: Mapping[str, str] = field(default_factory=dict)
    hidden: frozenset[str] = frozenset()
    is_forced: bool = False
    missing: tuple[tuple[str, str], ...] = ()

    @property
    def is_certain(self) -> bool:
        """Whether Flux certainly substitutes: with no variable at all it leaves every text as it is."""
        return bool(self.known or self.hidden or self.is_forced)

    def value(self, name: str) -> str | None:
        """The value of a variable, empty where there is none of that name; None where it is not known."""
        if name in self.known:
            return self.known[name]
        return None if self.missing or name in self.hidden else ""


def collect(post_build: Mapping[str, Any], find: Find) -> Variables:
    """The variables of ``spec.postBuild``; ``find`` gives the object of a kind and name, None if unseen.

    Later sources win over earlier ones, ``substitute`` over all of them. A source that is not seen may exist
    in the cluster, ``optional`` or not, and may hold any name: what earlier ones say is then not certain.

    Raises:
        SubstitutionError: a name is none that Flux takes.
    """
    known: dict[str, str] = {}
    hidden: set[str] = set()
    missing: list[tuple[str, str]] = []
    references = post_build.get("substituteFrom")
    for reference in references if isinstance(references, list) else ():
        if not isinstance(reference, dict):
            continue
        kind, name = str(reference.get("kind")), str(reference.get("name"))
        source = find(kind, name)
        if source is None:
            known, hidden = {}, set()
            missing.append((kind, name))
            continue
        for key, value in _data(source):
            known.pop(key, None)
            if value is None:
                hidden.add(key)
            else:
                known[key] = value
    own = post_build.get("substitute")
    if isinstance(own, dict):
        known |= {str(key): _text(value) for key, value in own.items()}
    for key in (*known, *sorted(hidden)):
        if not _NAME.fullmatch(key):
            raise SubstitutionError(f"variable name {key!r} is invalid: letters, digits and _ only")
    is_forced = post_build.get("substituteStrategy") == "Always"
    return Variables(known, frozenset(hidden), is_forced, tuple(missing))


def is_exempt(metadata: Mapping[str, Any]) -> bool:
    """Whether an object's metadata says that nothing is to be substituted in it."""
    maps = (metadata.get("labels"), metadata.get("annotations"))
    return any(isinstance(one, dict) and one.get(_KEY) == "disabled" for one in maps)


def has_variable(value: object) -> bool:
    """Whether ``value`` is a text with a ``${…}`` left: nothing can be said of it."""
    return isinstance(value, str) and "${" in value


def substitute(text: str, variables: Variables) -> str:
    """``text`` with its ``${…}`` replaced; those whose value is not known are left as they are.

    Raises:
        SubstitutionError: Flux cannot parse it.
    """
    try:
        return _Reader(text, variables).whole()
    except RecursionError:
        raise SubstitutionError("variables are nested too deeply") from None


def unset(text: str, variables: Variables) -> tuple[str, ...]:
    """The names in ``text`` that certainly nobody sets and that have no default: nothing is put there.

    Raises:
        SubstitutionError: Flux cannot parse it.
    """
    reader = _Reader(text, variables)
    reader.whole()
    return tuple(dict.fromkeys(reader.unset))


def _data(source: Mapping[str, Any]) -> list[tuple[str, str | None]]:
    """The names that a ConfigMap or Secret defines, with None for a value that is not to be read."""
    found: dict[str, str | None] = {}
    is_secret, is_encrypted = source.get("kind") == "Secret", "sops" in source
    # What a Secret says as text wins, as in the API server.
    for where in ("data", "stringData") if is_secret else ("data",):
        values = source.get(where)
        for key, value in values.items() if isinstance(values, dict) else ():
            if is_encrypted or has_variable(value):
                found[str(key)] = None
            else:
                found[str(key)] = _decoded(value) if is_secret and where == "data" else _text(value)
    return list(found.items())


def _decoded(value: object) -> str | None:
    try:
        return _text(base64.b64decode(str(value), validate=True).decode())
    except (binascii.Error, UnicodeDecodeError):
        return None


def _text(value: object) -> str:
    return str(value).replace("\n", "")


class _Reader:
    """Reads one text from left to right, as envsubst/parse does, and replaces while it reads."""

    def __init__(self, text: str, variables: Variables) -> None:
        self._text = text
        self._variables = variables
        self._at = 0
        self._made = 0
        self._depth = 0
        self.unset: list[str] = []

    def whole(self) -> str:
        parts: list[str] = []
        while self._at < len(self._text):
            end = self._text.find("$", self._at)
            if end < 0:
                end = len(self._text)
            parts.append(self._text[self._at : end])
            self._at = end
            if self._take("$$"):
                parts.append("$")
            elif self._text.startswith("${", end):
                parts.append(self._expression())
            else:
                parts.append(self._text[end : end + 1])
                self._at = end + 1
        return "".join(parts)

    def _expression(self) -> str:
        start = self._at
        self._at += 2
        self._depth += 1
        if self._take("#"):
            name, operator, arguments = self._name(), "length", list[str]()
        else:
            name = self._name()
            operator, arguments = self._operation()
        if not self._take("}"):
            raise self._error(start, "no closing brace")
        self._depth -= 1
        value = self._variables.value(name)
        if value is None:
            return self._text[start : self._at]
        # What stands inside another expression is only its default, or a part of it.
        is_known = name in self._variables.known
        if not self._depth and not is_known and operator not in _DEFAULTS:
            self.unset.append(name)
        result = _apply(operator, value, arguments)
        self._made += len(result)
        if self._made > _LONGEST:
            raise SubstitutionError("its variables make it longer than any object can be")
        return result

    def _operation(self) -> tuple[str, list[str]]:
        found = _OPERATOR.match(self._text, self._at)
        if found is None:
            return "", []
        operator, self._at = found[0], found.end()
        if operator[0] in ",^":
            return operator, []
        if operator[-1] in "=?-+" and operator[0] in ":=":
            return operator, self._default()
        if operator == ":":
            return operator, self._slice()
        if operator[0] == "/":
            return operator, self._replacement()
        return operator, [self._argument(_UNTIL["}"])]

    def _default(self) -> list[str]:
        parts = []
        while not self._text.startswith("}", self._at):
            parts.append(self._argument(_UNTIL["}"]))
        return ["".join(parts)]

    def _slice(self) -> list[str]:
        arguments = [self._argument(_UNTIL[":}"])]
        if self._repeated(":"):
            arguments.append(self._argument(_UNTIL["}"]))
        return arguments

    def _replacement(self) -> list[str]:
        pattern = self._argument(_ESCAPED["/"])
        if not self._repeated("/"):
            raise self._error(self._at, "no second / in a replacement")
        if self._text.startswith("}", self._at):
            return [pattern]
        return [pattern, self._argument(_ESCAPED["}"])]

    def _argument(self, pattern: re.Pattern[str]) -> str:
        """One argument: an expression of its own, or text as far as ``pattern`` goes."""
        if self._text.startswith("${", self._at):
            return self._expression()
        found = pattern.match(self._text, self._at)
        if found is None:
            raise self._error(self._at, "an argument is missing")
        self._at = found.end()
        if pattern in _ESCAPED.values():
            return re.sub(r"\$(\$)|\\([/\\])", lambda pair: pair[1] or pair[2], found[0])
        return found[0]

    def _name(self) -> str:
        found = _WORD.match(self._text, self._at)
        if found is None:
            raise self._error(self._at, "no name of a variable")
        self._at = found.end()
        return found[0]

    def _take(self, sign: str) -> bool:
        is_there = self._text.startswith(sign, self._at)
        self._at += len(sign) if is_there else 0
        return is_there

    def _repeated(self, sign: str) -> bool:
        is_there = False
        while self._take(sign):
            is_there = True
        return is_there

    def _error(self, at: int, what: str) -> SubstitutionError:
        start = max(self._text.rfind("${", 0, at + 2), 0)
        shown = self._text[start : start + 40].splitlines()[0] if self._text[start:] else ""
        return SubstitutionError(f"{what} in {shown!r}")


def _apply(operator: str, value: str, arguments: list[str]) -> str:
    """The result of ``${value<operator>arguments}``, as envsubst/funcs.go has it."""
    if operator in _PLAIN:
        return _PLAIN[operator](value)
    if operator == ":":
        return _sliced(value, arguments)
    if operator.startswith("/"):
        return _replaced(operator, value, *arguments)
    if operator.startswith("#"):
        return value[_trimmed(value, arguments[0], longest=operator == "##") :]
    if operator.startswith("%"):
        # Flux turns text and pattern round, so that a class of letters in the pattern never matches.
        return value[: len(value) - _trimmed(value[::-1], arguments[0][::-1], longest=operator == "%%")]
    return value or "".join(arguments)


def _sliced(value: str, arguments: list[str]) -> str:
    if not all(_INTEGER.fullmatch(one) for one in arguments):
        return value
    start = int(arguments[0])
    if start < 0:
        start = max(len(value) + start, 0)
    end = start + int(arguments[1]) if len(arguments) > 1 else len(value)
    return value[start : max(end, start)]


def _replaced(operator: str, value: str, old: str, new: str | None = None) -> str:
    if operator in ("/", "//"):
        if value.count(old) * len(new or "") > _LONGEST:
            raise SubstitutionError("a replacement makes it longer than any object can be")
        return value.replace(old, new or "", 1 if operator == "/" else -1)
    # Unlike bash, a prefix or suffix stays where there is nothing to put in its place.
    if operator == "/#" and new is not None and value.startswith(old):
        return new + value.removeprefix(old)
    if operator == "/%" and new is not None and value.endswith(old):
        return value.removesuffix(old) + new
    return value


def _trimmed(value: str, pattern: str, *, longest: bool) -> int:
    """How many signs at the start of ``value`` the pattern matches; a malformed one matches nothing.

    It is a pattern of file names, in which ``*`` matches any sign, a slash too. All its positions are
    followed at once, as bits of a number: a regular expression would need ages for ``*a*a*a*a*b``.
    """
    parts = re.findall(r"\\.|\[\^?.[^\]]*\]|.", pattern, re.DOTALL)
    try:
        # Of "[[" and "--" Python warns that they may mean something else one day: that is our business.
        with warnings.catch_warnings(action="ignore", category=FutureWarning):
            classes = {part: re.compile(part, re.DOTALL) for part in parts if len(part) > 2}
    except re.error:
        return 0
    stars = sum(1 << at for at, part in enumerate(parts) if part == "*")

    def matching(sign: str) -> int:
        """The positions whose part matches ``sign``."""
        found = 0
        for at, part in enumerate(parts):
            if part in classes:
                is_match = classes[part].fullmatch(sign) is not None
            else:
                is_match = sign != "/" if part == "?" else part != "*" and part[-1] == sign
            found |= is_match << at
        return found

    def opened(positions: int) -> int:
        """``positions``, and those behind a star, which may match nothing."""
        while (more := positions | ((positions & stars) << 1)) != positions:
            positions = more
        return positions

    known: dict[str, int] = {}
    positions, found = opened(1), 0
    for length, sign in enumerate(value, 1):
        if sign not in known:
            known[sign] = matching(sign)
        positions = opened(((positions & known[sign]) << 1) | (positions & stars))
        if positions >> len(parts):
            found = length
            if not longest:
                break
        if not positions:
            break
    return found
