"""What an SQL query names, read without running it: its streams, and what it takes for columns.

It is read as DataFusion does, which Parseable asks: names without quotes are those in small letters. What
cannot be read for certain (Grafana's variables in place of a table, another statement) is not read.
"""

import re
from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

_VARIABLE = r"\$\{[^}]*\}|\$\w+|\[\[[^\]]*\]\]"
_TOKEN = re.compile(
    rf"""(?P<space>\s+|--[^\n]*|/\*.*?\*/)
    |(?P<text>'(?:[^']|'')*')
    |(?P<variable>\w*(?:(?:{_VARIABLE})\w*)+)
    |(?P<quoted>"(?:[^"]|"")*"|`[^`]*`)
    |(?P<number>\d[\w.]*)
    |(?P<name>[^\W\d]\w*)
    |(?P<sign>::|=>|.)""",
    re.VERBOSE | re.DOTALL,
)


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


# Names that are no columns: words of the language, types, and units of time.
_WORDS = _set("""
    all and any array as asc at between both by case cast collate cross cube current current_date current_time
    current_timestamp desc distinct else end escape except exclude excluding exists extract false fetch filter
    first following for from full group grouping groups having ignore ilike in inner intersect interval is
    join last lateral leading left like limit materialized natural next not null nulls of offset on only or
    order ordinality outer over overlaps partition preceding qualify range recursive regexp replace respect
    right rlike rollup row rows select semi anti separator sets similar simple some struct table tablesample
    then ties to top trailing true try_cast unbounded union unique unknown unnest using values when where
    window with within without zone symmetric asymmetric fill div mod xor
    bigint binary bool boolean bytea char character date decimal double float int integer json map numeric
    precision real smallint string text time timestamp timestamptz tinyint unsigned utf8 uuid varchar varying
    year years quarter quarters month months week weeks day days hour hours minute minutes second seconds
    millisecond milliseconds microsecond microseconds nanosecond nanoseconds epoch dow doy isodow century
    decade
    """)
# What ends the tables of a FROM.
_AFTER_TABLES = _set("where group having order limit offset union intersect except window qualify fetch")
_MATERIALIZED = ("materialized", "not")
# Words that end a value, so that a name behind them is its alias.
_VALUES = _set("end null true false current_date current_time current_timestamp")


class _Token(NamedTuple):
    kind: str
    text: str

    @property
    def word(self) -> str:
        """The word in small letters; empty for what is no bare name."""
        return self.text.lower() if self.kind == "name" else ""

    @property
    def is_name(self) -> bool:
        return self.kind == "quoted" or (self.kind == "name" and self.word not in _WORDS)

    @property
    def name(self) -> str:
        return self.text[1:-1].replace('""', '"') if self.kind == "quoted" else self.text.lower()


_END = _Token("end", "")
UNBOUNDED = -1
# Functions that make one value of many rows.
_AGGREGATES = re.compile(
    r"(?:approx_\w+|array_agg|avg|bit_(?:and|or|xor)|bool_(?:and|or)|corr|count|covar\w*|first_value|grouping"
    r"|last_value|max|mean|median|min|nth_value|percentile\w*|quantile\w*|regr_\w+|stddev\w*|string_agg|sum|var\w*)"
)
_SETS = ("union", "intersect", "except")


@dataclass(frozen=True)
class Query:
    """What a query names, each once.

    ``columns`` are names that are no alias of the query itself; they are columns of the ``streams`` only if
    ``is_plain``: nothing else (a table function, another schema) could have them. ``most_rows`` says how many
    whole rows of a stream the answer may hold: UNBOUNDED as many as the time range has, 0 where it holds
    none (counts, groups, some columns up to a limit), or that is not known.
    """

    streams: tuple[str, ...]
    columns: tuple[str, ...]
    is_plain: bool
    most_rows: int = 0


@dataclass
class _Frame:
    """What is known between two brackets."""

    has_select: bool = False
    is_in_from: bool = False
    wants_table: bool = False


@dataclass
class _Tables:
    """The names that stand where tables do, and whether all that stands there is one."""

    names: list[str] = field(default_factory=list)
    is_plain: bool = True
    frames: list[_Frame] = field(default_factory=lambda: [_Frame()])

    def take(self, before: _Token, previous: _Token, token: _Token, following: _Token) -> bool:
        """Go on by one token; False where it cannot be told what follows."""
        frame = self.frames[-1]
        if frame.wants_table and token.word not in ("lateral", "only"):
            return self._table(frame, token, following)
        if token.text == "(":
            self.frames.append(_Frame())
        elif token.text == ")":
            self.frames.pop()
        elif token.word == "select":
            frame.has_select, frame.is_in_from = True, False
        elif token.word == "from" and frame.has_select and not _compares(before, previous):
            frame.has_select, frame.is_in_from, frame.wants_table = False, True, True
        elif token.word == "join" or (token.text == "," and frame.is_in_from):
            frame.wants_table = True
        elif token.word in _AFTER_TABLES:
            frame.is_in_from = False
        return bool(self.frames)

    def _table(self, frame: _Frame, token: _Token, following: _Token) -> bool:
        frame.wants_table = False
        if token.text == "(":
            is_query = following.word in ("select", "with", "values")
            self.frames.append(_Frame(is_in_from=not is_query, wants_table=not is_query))
        elif token.word == "unnest" or (token.is_name and following.text in ("(", ".")):
            self.is_plain = False
        elif not token.is_name or (following.kind == "sign" and following.text not in (",", ")")):
            return False
        else:
            self.names.append(token.name)
        return True


def read_query(text: str) -> Query | None:
    """What the query ``text`` names; None where that cannot be told.

    >>> read_query("select host, count(*) as lines from kubernetes group by host order by lines")
    Query(streams=('kubernetes',), columns=('host',), is_plain=True, most_rows=0)
    """
    tokens = list(_tokens(text))
    while tokens and tokens[-1].text == ";":
        tokens.pop()
    if not tokens or tokens[0].word not in ("select", "with") or any(one.text in ";{}" for one in tokens):
        return None
    tables = _tables(tokens)
    if tables is None or _lists_columns(tokens):
        return None
    own = {one.name.lower() for one in _expressions(tokens)}
    streams = dict.fromkeys(name for name in tables.names if name.lower() not in own)
    known = {one.lower() for one in (*own, *tables.names, *(alias.name for alias in _aliases(tokens)))}
    columns = dict.fromkeys(name for name in _columns(tokens) if name.lower() not in known)
    return Query(tuple(streams), tuple(columns), tables.is_plain, _most_rows(tokens, set(streams)))


def _tokens(text: str) -> Iterator[_Token]:
    for found in _TOKEN.finditer(text):
        kind = str(found.lastgroup)
        if kind == "quoted" and re.search(_VARIABLE, found[0]):
            kind = "variable"
        if kind != "space":
            yield _Token(kind, found[0])


def _around(tokens: list[_Token]) -> Iterator[tuple[_Token, _Token, _Token, _Token]]:
    """Each token with the two before it and the one behind it: before, previous, token, next."""
    padded = [_END, _END, *tokens, _END]
    return zip(padded, padded[1:], padded[2:], padded[3:], strict=False)


def _tables(tokens: list[_Token]) -> _Tables | None:
    """What stands where tables do; None where a variable does, or brackets do not match."""
    found = _Tables()
    if not all(found.take(*around) for around in _around(tokens)):
        return None
    return found if len(found.frames) == 1 and not found.frames[0].wants_table else None


def _compares(before: _Token, previous: _Token) -> bool:
    """Whether a FROM is that of `IS [NOT] DISTINCT FROM`."""
    return previous.word == "distinct" and before.word in ("is", "not")


def _aliases(tokens: list[_Token]) -> Iterator[_Token]:
    """Names that the query gives to values and tables."""
    for _, previous, token, following in _around(tokens):
        is_behind_value = token.is_name and following.text not in ("(", ".") and _ends_value(previous)
        if is_behind_value or (previous.word == "as" and token.kind in ("name", "quoted")):
            yield token


def _expressions(tokens: list[_Token]) -> Iterator[_Token]:
    """Names of common table expressions (and windows): ``WITH name AS (…)``."""
    for name, word, behind in zip(tokens, tokens[1:], tokens[2:], strict=False):
        if name.is_name and word.word == "as" and (behind.text == "(" or behind.word in _MATERIALIZED):
            yield name


def _ends_value(token: _Token) -> bool:
    """Whether a name that stands behind ``token`` is an alias, without AS."""
    return (
        token.is_name
        or token.kind in ("text", "number", "variable")
        or token.text in (")", "]")
        or token.word in _VALUES
    )


def _columns(tokens: list[_Token]) -> Iterator[str]:
    for before, previous, token, following in _around(tokens):
        is_part_of_date = previous.text == "(" and before.word == "extract"
        if (
            token.is_name
            and following.text not in ("(", ".", "=>")
            and not (token.kind == "name" and following.kind == "text")
            and previous.word != "as"
            and previous.text != "::"
            and not is_part_of_date
        ):
            yield token.name


def _lists_columns(tokens: list[_Token]) -> bool:
    """Whether a list of columns stands behind an alias: ``AS t (a, b)``, ``WITH t (a) AS (…)``."""
    return any(
        (before.text == ")" and previous.word == "as" and token.text == "(")
        or (token.is_name and following.text == "(" and (previous.word == "as" or previous.text == ")"))
        for before, previous, token, following in _around(tokens)
    )


def _most_rows(tokens: list[_Token], streams: Set[str]) -> int:
    """The most rows of the ``streams`` that come out as they are."""
    outer = _outer(tokens)
    words = [token.word for token, _ in outer]
    limit = next((number for number, word in enumerate(words) if word in ("limit", "fetch")), None)
    parts = _split(outer, _SETS)
    if not any(_gives_rows(part, streams) for part in parts):
        return 0
    if limit is None or words[limit : limit + 2] == ["limit", "all"]:
        return UNBOUNDED
    given = outer[limit + 1][0] if limit + 1 < len(outer) else _END
    is_whole = any(token.text == "*" and not behind for token, behind in outer)
    # Of some columns more rows have room; what a variable holds is not known.
    return int(given.text) if is_whole and given.kind == "number" and given.text.isdecimal() else 0


def _outer(tokens: list[_Token]) -> list[tuple[_Token, bool]]:
    """The tokens outside of brackets; of each, whether it stands behind a value, as the sign of a product."""
    found: list[tuple[_Token, bool]] = []
    depth = 0
    previous = _END
    for token in tokens:
        depth -= token.text == ")"
        if depth == 0:
            found.append((token, _ends_value(previous)))
        depth += token.text == "("
        previous = token
    return found


def _split(outer: list[tuple[_Token, bool]], words: Sequence[str]) -> list[list[_Token]]:
    parts: list[list[_Token]] = [[]]
    for token, _ in outer:
        if token.word in words:
            parts.append([])
        else:
            parts[-1].append(token)
    return parts


def _gives_rows(part: list[_Token], streams: Set[str]) -> bool:
    """Whether a SELECT gives the rows of a stream one by one; what another query gives is not looked at."""
    words = [token.word for token in part]
    if "select" not in words or "from" not in words or "group" in words:
        return False
    start, end = words.index("select"), words.index("from")
    if words[start + 1 : start + 2] == ["distinct"]:
        return False
    asked = part[start:end]
    is_counted = any(
        _AGGREGATES.fullmatch(token.word) and bracket.text == "(" and _after(asked, number).word != "over"
        for number, (token, bracket) in enumerate(pairwise(asked))
    )
    stop = next((n for n in range(end + 1, len(part)) if words[n] in _AFTER_TABLES), len(part))
    return not is_counted and any(token.name in streams for token in part[end:stop] if token.is_name)


def _after(part: list[_Token], number: int) -> _Token:
    """What stands behind the call of a function: its brackets are the next two tokens."""
    return part[number + 3] if number + 3 < len(part) else _END
