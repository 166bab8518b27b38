"""Secrets in plain text: by the name before them, or by their look. Nothing is parsed here."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from tasks.core.secret_names import is_pointer, is_reference, says_where, sounds_secret

HIDDEN = "(not shown)"

Span = tuple[int, int]

# Each hides its group "x", or all it finds.
_LOOKS = tuple(
    re.compile(pattern)
    for pattern in (
        # Logins in addresses, with or without a scheme, also with a password that should be encoded.
        r"(?<=://)(?!git@)[^\s/'\"<>]+(?=@)",
        r"(?<=://)[^\s/@:'\"]*:(?!\d+(?:[/?#]|$))[^\s'\"]*(?=@)",
        r"(?<![\w/:.+-])(?!mailto:)[\w.+-]+:[^\s@'\"/:]+(?=@(?!sha\d))",
        # Headers. "Basic authentication" and the like are words.
        r"(?i)\b(?:bearer|basic|digest|splunk|apikey)\s+(?!(?-i:[A-Z]?[a-z]{1,15})(?![\w+/=]))(?P<x>[\w.~+/=:-]{6,})",
        r"(?<!\S)(?:-u|--user)[ =]*[^\s:]*:(?P<x>\S+)",
        # Keys that show what they are.
        r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----[\s\S]*?(?:-----END [^-]*-----|\Z)",
        r"(?i)AGE-SECRET-KEY-[\w-]+",
        r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b",
        r"\b(?:gh[pousr]_|github_pat_|glpat-|glsa_|hvs\.|xox[a-z]-|sk_(?:live|test)_|AIza|sk-)[\w-]{16,}",
        r"\beyJ[\w-]{5,}\.[\w-]{5,}(?:\.[\w-]*)?",
        r"\$(?:2[abxy]|apr1|[156y]|argon2\w*)\$[^\s'\",:]+",
    )
)

# Addresses that are the secret themselves.
_ADDRESS = re.compile(r"(?<=://)[^\s'\"]+")
_HOOK = re.compile(r"(?i)(?:^|[./])hooks\.|/webhooks?/|webhook\.office|/bot\d+:")
_ASSIGNED = re.compile(
    r"(?<![\w./@-])(?P<key>[\w./@-]*\w)\\*[\"'`]?[\])]?[ \t]*(?P<sign>=>|:=|==|[:=]|\bis\b)[ \t]*"
)
_QUOTED = re.compile(r"(?P<q>\\*[\"'`])(?:(?!(?P=q))(?:\\.|[^\n])|'')*(?:(?P=q))?")
# "Password=p w;User=me" goes on to the semicolon where another pair follows.
_CHAINED = re.compile(r"[^;\n'\"]+(?=;\s*\w[\w ]*=)")
_TOKEN = re.compile(r"[^\s;&'\"]+")
_PLAIN_WORD = re.compile(r"[A-Z]?[a-z]{1,15}[,.;:)]*")
# Words about a name, that quote no value: not 'Invalid value: "…"'.
_WORDS_FOLLOW = re.compile(r"(?!.*value:)[A-Z]?[a-z]{1,15},? [\w(][^\"'`]*")
_FILE_NAME = re.compile(r"(?i)\.(?:ya?ml|json|toml|tpl|tgz|go|py|sh|txt)$")
# The name of an object (parseable-s3-secret), or the code of an error (ExpiredToken).
_OBJECT_NAME = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)+|(?:[A-Z][a-z]+){2,}")
_FLAG = re.compile(r"(?<![^\s\[(,\"'`])--?(?P<key>[A-Za-z][\w-]*)[\"'`]?,?[ \t]+(?P<x>[^\s-]\S*)")
_ELEMENT = re.compile(r"<(?P<key>[\w.-]+)[^<>]*>(?P<x>[^<]+)")
# "requirepass PASSWORD", "login ME password PASSWORD"
_DIRECTIVE = re.compile(r"^\W*(?:[\w.-]+ \S+ )*(?P<key>[\w.-]+)[ \t]+(?P<x>\S+)\s*$")
_LONE_FLAG = re.compile(r"[-+\s\"',\[]*--?(?P<key>[A-Za-z][\w-]*)[\"',]*\s*")
_PAIR = re.compile(
    r"(?i)\b(?:name|key|header|field|variable|param(?:eter)?|property|path)\\*[\"']?\s*[:=]\s*\\*[\"']?"
    r"(?P<name>[\w./-]+)"
)
# What the value of such a pair is called; some only where it follows at once ("values:" of a Helm chart).
_ALWAYS_VALUES = frozenset(("value", "val", "defaultvalue"))
VALUE_NAMES = _ALWAYS_VALUES | {"values", "default", "content", "contents", "data"}
_HEADER = re.compile(r"(?i)(?:authorization|cookie)$")
_CERTIFICATE = re.compile(r"(?i)\b(?:tls|ssl|crt|cert|certificate)\b")
_TO_ALIAS = re.compile(r"(?<![\w./-])(?P<key>[\w./-]+)[\"']?\s*:\s*\*(?P<alias>[^\s,\]}]+)")
_ANCHOR = re.compile(r"&(?P<name>[^\s,\]}]+)[ \t]*")
_SECRET_KIND = re.compile(r"\bkind[\"']?\s*:\s*[\"']?Secret\b")
_NOTHING = re.compile(r"(?:true|false|null|~|\"\"|''|\{\}|\[\])?[,;)\]}]*", re.IGNORECASE)
_OPENS_BLOCK = re.compile(r"(?:[&!]\S+\s+)*[|>][-+0-9]*\s*")
_MARKS_NO_END = re.compile(r"\s*$|<{7}|={7}|>{7}|\|{7}|\s*\{[{%]")


# Secrets that this run has read, by their value: no look of theirs would tell.
_known: set[str] = set()
_SHORTEST = 6  # characters; words of fewer are in too many others


def hide(value: str) -> None:
    """Have ``value`` hidden from now on wherever ``redacted`` is asked."""
    if len(value) >= _SHORTEST:
        _known.add(value)


def _by_value(text: str) -> Iterator[Span]:
    for value in _known:
        yield from (found.span() for found in re.finditer(re.escape(value), text))


def redacted(text: str) -> str:
    """A sentence, or what a program said, without the secrets that it quotes, or that were read.

    >>> redacted("cannot reach https://me:pw@host.test/x: password=hunter2; try again")
    'cannot reach https://(not shown)@host.test/x: password=(not shown); try again'
    """
    return with_hidden(text, (*text_spans(text, sentence=True), *_by_value(text)))


def with_hidden(text: str, spans: Iterable[Span]) -> str:
    """``text`` with ``HIDDEN`` in place of ``spans``, once on each of their lines; indents stay."""
    parts, position = [], 0
    for start, end in merged(spans):
        parts.append(text[position:start])
        for line in text[start:end].splitlines(keepends=True):
            content = line.strip()
            before, _, after = line.partition(content) if content else (line, "", "")
            parts.append(f"{before}{HIDDEN}{after}" if content else line)
        position = end
    return "".join((*parts, text[position:]))


def merged(spans: Iterable[Span]) -> list[Span]:
    """``spans`` in order, those that overlap or touch made one, empty ones left out."""
    found: list[Span] = []
    for start, end in sorted(span for span in spans if span[0] < span[1]):
        if found and start <= found[-1][1]:
            found[-1] = (found[-1][0], max(end, found[-1][1]))
        else:
            found.append((start, end))
    return found


def text_spans(text: str, *, sentence: bool = False) -> list[Span]:
    """Where ``text`` holds secrets.

    After a name that sounds secret that is the rest of the line, and the lines below it that are indented
    deeper. In a ``sentence``, where words about a name can follow it, only what looks like its value.
    """
    spans = list(_by_look(text))
    names = _Names(text, sentence=sentence)
    block = _Block()
    start = 0
    for line in text.splitlines(keepends=True):
        content = line.rstrip("\r\n")
        if block.goes_on(content):
            spans.append((start, start + len(content)))
        else:
            for value in _by_name(content, names, sentence=sentence):
                spans.append((start + value[0], start + value[1]))
                block.open(content, content[value[0] :].rstrip(), sentence=sentence)
            lone = _LONE_FLAG.fullmatch(content)
            block.takes_next |= lone is not None and sounds_secret(lone["key"])
        start += len(line)
    return spans


def _by_look(text: str) -> Iterator[Span]:
    yield from (found.span() for found in _ADDRESS.finditer(text) if _HOOK.search(found[0]))
    for look in _LOOKS:
        for found in look.finditer(text):
            group = "x" if "x" in look.groupindex else 0
            if not is_reference(found[group]):
                yield found.span(group)


class _Names:
    """Which names hold secrets in one text, as far as that depends on what else stands in it."""

    def __init__(self, text: str, *, sentence: bool) -> None:
        self.is_block = "\n" in text
        aliases = () if sentence else _TO_ALIAS.finditer(text)
        self.anchors = {found["alias"] for found in aliases if sounds_secret(found["key"])}
        self._has_certificate = not sentence and _CERTIFICATE.search(text) is not None
        self._has_pair = any(sounds_secret(found["name"]) for found in _PAIR.finditer(text))
        self._is_secret = _SECRET_KIND.search(text) is not None

    def sounds_secret(self, name: str, value: str) -> bool:
        last = name.rpartition(".")[2].lower()
        return (
            sounds_secret(name)
            or (self._has_pair and last in (VALUE_NAMES if value.strip() else _ALWAYS_VALUES))
            or (self._is_secret and last == "data")
            or (self._has_certificate and name == "key")
        )


@dataclass
class _Block:
    """Whether the value of one line goes on below it."""

    column: int | None = None
    quote: str = ""
    takes_next: bool = False

    def open(self, line: str, value: str, *, sentence: bool) -> None:
        """Begin with the ``value`` that stands at the end of ``line``."""
        opening = re.match(r"\"\"\"|'''|[\"'`]", value)
        self.quote = opening[0] if opening and opening[0] not in value[len(opening[0]) :] else ""
        if not sentence or not value or _OPENS_BLOCK.fullmatch(value):
            self.column = _column(line)
        self.takes_next = value.endswith("\\")

    def goes_on(self, line: str) -> bool:
        """Whether ``line`` belongs to the value, too."""
        if not line.strip():
            return False
        if self.takes_next:
            self.takes_next = line.endswith("\\")
            return True
        if self.quote:
            self.quote = "" if self.quote in line else self.quote
            return True
        if self.column is None:
            return False
        if _column(line) > self.column and not line.startswith("---"):
            return True
        if not _MARKS_NO_END.match(line):
            self.column = None
        return False


def _column(line: str) -> int:
    """Where a line begins, after what makes it a comment, an item of a list or a line of a diff."""
    return len(line) - len(line.lstrip(" \t-+#"))


def _by_name(line: str, names: _Names, *, sentence: bool) -> Iterator[Span]:
    patterns = (_FLAG, _ELEMENT) if sentence or not names.is_block else (_FLAG, _ELEMENT, _DIRECTIVE)
    for found in (found for pattern in patterns for found in pattern.finditer(line)):
        is_shown = line.startswith(HIDDEN, found.start("x")) or _says_nothing(found["key"], found["x"])
        if sounds_secret(found["key"]) and not is_shown:
            yield found.span("x")
    for found in _ANCHOR.finditer(line):
        if found["name"] in names.anchors:
            yield found.end(), len(line)
    position = 0
    while assigned := _ASSIGNED.search(line, position):
        position = start = assigned.end()
        key, sign = assigned["key"], assigned["sign"]
        if not names.sounds_secret(key, line[start:]):
            continue
        if "/" in key and (sentence or line[: assigned.start()].strip(" \t-\"'") or sign != ":"):
            continue
        if sentence or sign == "is":
            end = start + _value_length(key, sign, line[start:])
        else:
            end = start if _says_nothing(key, line[start:]) else len(line)
        # Where nothing follows, the value may stand below; what is below a reference has names of its own.
        if start < end or (start == len(line) and sign != "is" and not says_where(key)):
            yield start, end
            position = max(position, end)


def _says_nothing(key: str, value: str) -> bool:
    bare = value.strip().rstrip(",;").strip("\"'`")
    if _NOTHING.fullmatch(value.strip()) or is_reference(bare) or is_pointer(key, bare):
        return True
    # secretRef: {name: …}; what is in it has names of its own.
    return says_where(key) and bare.startswith("{")


def _value_length(key: str, sign: str, rest: str) -> int:
    """How much of ``rest``, which follows a name and its sign in a sentence, is its value."""
    if rest.startswith(HIDDEN):
        return 0
    quoted, token = _QUOTED.match(rest), _TOKEN.match(rest)
    if quoted:
        shown, length = quoted[0].replace("\\", ""), quoted.end()
    else:
        shown = token[0].rstrip(",.)") if token else ""
        length = _unquoted_length(key, sign, rest, shown)
    return 0 if _FILE_NAME.search(key) or _says_nothing(key, shown) else length


def _unquoted_length(key: str, sign: str, rest: str, token: str) -> int:
    if _HEADER.search(key):
        return len(rest.partition('"')[0].partition("'")[0])
    if sign == "is":
        # "the Secret is monitoring/login": its name.
        return 0 if _PLAIN_WORD.fullmatch(token) or key == "Secret" else len(token)
    if sign in ("=", "=="):
        chained = _CHAINED.match(rest)
        return chained.end() if chained else len(token)
    return 0 if _OBJECT_NAME.fullmatch(key) and _WORDS_FOLLOW.fullmatch(rest) else len(rest)
