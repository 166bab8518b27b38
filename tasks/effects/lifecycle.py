"""Lifecycle rules of a bucket as values: read from the server's XML, ours corrected, others untouched."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree
from xml.sax.saxutils import escape

RULE_ID = "parseable-expire-logs"

_NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"
_RULE = re.compile(r"<Rule(?:\s[^>]*)?>.*?</Rule>", re.DOTALL)
# In a versioned bucket an expiry only hides an object below a delete marker. Its bytes go with its noncurrent
# version; the marker, once it is alone, goes with the same expiry: S3 takes no ExpiredObjectDeleteMarker
# beside days, and does its work for rules with days ("Lifecycle configuration elements" in Amazon's guide).
_VERSIONED = "<NoncurrentVersionExpiration><NoncurrentDays>1</NoncurrentDays></NoncurrentVersionExpiration>"
# What is left of uploads that broke off is no object and no version. It is written with the rule and never
# asked for: MinIO forgets it (internal/bucket/lifecycle/rule.go), and deletes such uploads itself.
_UPLOADS = (
    "<AbortIncompleteMultipartUpload><DaysAfterInitiation>1</DaysAfterInitiation>"
    "</AbortIncompleteMultipartUpload>"
)
_LOGS = re.compile(r"(?P<stream>[^/]+)/date=")
# The parts of a rule that say when and to what it applies; every other element is something it does.
_CONDITIONS = frozenset({"ID", "Status", "Prefix", "Filter"})


@dataclass(frozen=True)
class LifecycleRule:
    """One rule.

    ``xml`` is its text as the server gave it, and what is sent back: servers have elements of their own that
    a model of Amazon's would drop. The rest is read from it: ``limits`` are the conditions beside the prefix
    in words (tags, sizes), ``actions`` the element names of what it does, ``days`` and ``date`` when it
    deletes current objects (None and empty when it does not), ``noncurrent_days`` how long after they were
    replaced or deleted it deletes versions (None when it does not, or keeps some of them).
    """

    xml: str
    id: str
    enabled: bool
    prefix: str
    limits: tuple[str, ...]
    actions: tuple[str, ...]
    days: int | None
    date: str
    noncurrent_days: int | None = None

    def deletes(self, name: str) -> bool:
        """Whether it certainly deletes the current object ``name`` sooner or later."""
        return self.enabled and not self.limits and self.expires and name.startswith(self.prefix)

    @property
    def expires(self) -> bool:
        """Whether deleting current objects is among what it does."""
        return self.days is not None or bool(self.date)

    def readable(self) -> Any:
        """Its elements as nested mappings, for a diff."""
        return _readable(_element(self.xml))


def parse_rules(document: str) -> tuple[LifecycleRule, ...]:
    """Read the rules of a ``LifecycleConfiguration`` document, in its order.

    Raises:
        ValueError: the text of a rule cannot be read on its own.
    """
    try:
        rules = tuple(parse_rule(text) for text in _RULE.findall(document))
    except ElementTree.ParseError as error:
        raise ValueError(str(error)) from None
    if len(rules) != len(re.findall(r"</(?:[\w.-]+:)?Rule>", document)):
        raise ValueError("a rule is not in the usual form")
    return rules


def parse_rule(text: str) -> LifecycleRule:
    """Read one ``<Rule>``; ``ValueError`` or ``ParseError`` when it is not one."""
    rule = _element(text)
    children = {_tag(child): child for child in rule}
    prefix, limits = _conditions(children)
    expiration = children.get("Expiration")
    days = _text(expiration, "Days")
    versions = children.get("NoncurrentVersionExpiration")
    noncurrent = "" if _text(versions, "NewerNoncurrentVersions") else _text(versions, "NoncurrentDays")
    return LifecycleRule(
        xml=text,
        id=_text(rule, "ID"),
        enabled=_text(rule, "Status") == "Enabled",
        prefix=prefix,
        limits=limits,
        actions=tuple(tag for tag in children if tag not in _CONDITIONS),
        days=int(days) if days else None,
        date=_text(expiration, "Date"),
        noncurrent_days=int(noncurrent) if noncurrent else None,
    )


def document(rules: Iterable[LifecycleRule]) -> str:
    """Give the ``LifecycleConfiguration`` that holds ``rules``."""
    texts = "".join(rule.xml for rule in rules)
    return f'<LifecycleConfiguration xmlns="{_NAMESPACE}">{texts}</LifecycleConfiguration>'


def log_prefix(stream: str) -> str:
    """Prefix of a stream's log data alone: its schema and metadata are in ``<stream>/.stream/``."""
    return f"{stream}/date="


def expires_logs(rule: LifecycleRule, prefix: str, days: int) -> bool:
    """Whether ``rule`` deletes what is under exactly ``prefix`` after exactly ``days`` days."""
    return rule.enabled and not rule.limits and rule.prefix == prefix and rule.days == days


def removes_versions(rules: Iterable[LifecycleRule], prefix: str, days: int) -> bool:
    """Whether one of ``rules`` deletes what a versioned bucket hides below ``prefix``, within ``days``."""
    return any(
        rule.enabled
        and not rule.limits
        and rule.noncurrent_days is not None
        and rule.noncurrent_days <= days
        and prefix.startswith(rule.prefix)
        for rule in rules
    )


def wanted_rules(
    rules: Sequence[LifecycleRule], prefix: str, days: int, *, versioned: bool = False
) -> tuple[LifecycleRule, ...]:
    """Give ``rules`` with the one that expires the logs right; the same rules when it already is.

    Ours to correct, at its place, is a rule with our id. One that expires another stream's logs stays, under
    an id of its own: the stream had that name before, and its logs are still there. Every other rule stays as
    it is, also one for the same prefix. In a ``versioned`` bucket ours also deletes what an expiry leaves
    behind.
    """
    rules = _by_stream(rules, prefix)
    if versioned and not removes_versions(rules, prefix, days):
        return _with_ours(rules, prefix, days, _VERSIONED)
    return _with_ours(rules, prefix, days, "")


def _by_stream(rules: Sequence[LifecycleRule], prefix: str) -> tuple[LifecycleRule, ...]:
    """``rules``, of which ours have the id that goes with their stream; two for one stream are one."""
    found: dict[str, LifecycleRule] = {}
    for number, rule in enumerate(rules):
        logs = _LOGS.fullmatch(rule.prefix)
        own = f"{RULE_ID}-{logs['stream']}" if logs else ""
        if rule.id in (RULE_ID, own) and logs and expires_logs(rule, rule.prefix, rule.days or 0):
            name = RULE_ID if rule.prefix == prefix else own
            found.setdefault(name, _named(rule, name))
        else:
            # An id need not be there, nor be the only one of its kind.
            found[f"{number}/{rule.id}"] = rule
    return tuple(found.values())


def _named(rule: LifecycleRule, name: str) -> LifecycleRule:
    if rule.id == name:
        return rule
    return parse_rule(
        re.sub(r"(<ID(?:\s[^>]*)?>)[^<]*(</ID>)", rf"\g<1>{escape(name)}\g<2>", rule.xml, count=1)
    )


def _with_ours(
    rules: Sequence[LifecycleRule], prefix: str, days: int, more: str
) -> tuple[LifecycleRule, ...]:
    """``rules`` with ours right; it also does what ``more`` says, in the XML of actions."""
    # Amazon refuses a configuration in which some rules have the older form without a filter and some not.
    older_form = any("<Prefix" in rule.xml and "<Filter" not in rule.xml for rule in rules)
    wanted = tuple(
        _corrected(rule, prefix, days, older_form, more)
        if rule.id == RULE_ID and (more or not expires_logs(rule, prefix, days))
        else rule
        for rule in rules
    )
    if any(rule.id == RULE_ID or (not more and expires_logs(rule, prefix, days)) for rule in wanted):
        return wanted
    return (*wanted, parse_rule(_log_rule(RULE_ID, prefix, days, older_form, more + _UPLOADS)))


def _corrected(rule: LifecycleRule, prefix: str, days: int, older_form: bool, more: str) -> LifecycleRule:
    """Rewrite a rule of ours under its id; what else somebody made it do stays, unless ``more`` says it."""
    others = "".join(
        ElementTree.tostring(child, encoding="unicode")
        for child in _element(rule.xml)
        if _tag(child) not in {*_CONDITIONS, "Expiration"} and f"<{_tag(child)}>" not in more + _UPLOADS
    )
    return parse_rule(_log_rule(RULE_ID, prefix, days, older_form, more + _UPLOADS + others))


def _log_rule(rule_id: str, prefix: str, days: int, older_form: bool, others: str = "") -> str:
    where = f"<Prefix>{escape(prefix)}</Prefix>"
    return (
        f"<Rule><Expiration><Days>{days}</Days></Expiration><ID>{escape(rule_id)}</ID>"
        f"{where if older_form else f'<Filter>{where}</Filter>'}<Status>Enabled</Status>{others}</Rule>"
    )


def _conditions(
    children: dict[str, ElementTree.Element],
) -> tuple[str, tuple[str, ...]]:
    """Prefix and limits of a rule, wherever they are written: beside or in the filter, or in an ``And``."""
    parts = [children[tag] for tag in ("Prefix", "Filter") if tag in children]
    prefix, limits = "", []
    while parts:
        part = parts.pop(0)
        tag = _tag(part)
        if tag in {"Filter", "And"}:
            parts.extend(part)
        elif tag == "Prefix":
            prefix = prefix or part.text or ""
        elif tag == "Tag":
            limits.append(f"with the tag {_text(part, 'Key')}={_text(part, 'Value')}")
        else:
            limits.append(f"with {tag} {(part.text or '').strip()}".rstrip())
    return prefix, tuple(limits)


def _element(text: str) -> ElementTree.Element:
    # botocore reads the same answer with the same parser; it loads nothing from outside.
    return ElementTree.fromstring(text)  # noqa: S314


def _tag(element: ElementTree.Element) -> str:
    return element.tag.rpartition("}")[2]


def _text(parent: ElementTree.Element | None, tag: str) -> str:
    found = next((child for child in parent if _tag(child) == tag), None) if parent is not None else None
    return (found.text or "").strip() if found is not None else ""


def _readable(element: ElementTree.Element) -> Any:
    if not len(element):
        return (element.text or "").strip()
    result: dict[str, Any] = {}
    for child in element:
        tag = _tag(child)
        if tag in result:
            same = result[tag] if isinstance(result[tag], list) else [result[tag]]
            result[tag] = [*same, _readable(child)]
        else:
            result[tag] = _readable(child)
    return result
