"""DoD-001 and DoD-003-04: the bucket, access to it, and what its lifecycle rules delete."""

from collections.abc import Sequence

from checks.model import AnsweredError, Cause, Model, Outcome, failed, passed, unknown
from tasks.core.errors import RefusedError
from tasks.effects.lifecycle import LifecycleRule, expires_logs, log_prefix, removes_versions
from tasks.effects.s3 import BucketFacts
from tasks.effects.s3_errors import UnreachableError

_NO_STORAGE = "Parseable could not use its storage: it would not get ready, and no log would be kept"
_NEVER_DELETED = "log data would never be deleted, and the bucket grow without end"
_COMMAND = "invoke task-001"


def bucket_exists(model: Model) -> Outcome:
    """DoD-001-01."""
    _existing(model)
    s3 = model.settings.s3
    also = "" if s3.asked == s3.endpoint else f", which Parseable gets as {s3.endpoint}"
    return passed(f"bucket '{s3.bucket}' exists at {s3.asked}{also}")


def access_is_path_style(model: Model) -> Outcome:
    """DoD-001-02: proved by a listing; with ``Workspace.probe`` also by writing, reading and deleting."""
    _existing(model)
    s3 = model.settings.s3
    evidence = (
        f"the server answered a path-style request for {s3.asked.rstrip('/')}/{s3.bucket} "
        f"signed for region '{s3.region}'"
    )
    if not model.workspace.probe:
        return passed(evidence)
    try:
        model.workspace.bucket.probe()
    except RefusedError as refused:
        # Also a server that gives up now: it answered a moment ago, and so would it to Parseable.
        return failed(refused.summary, _NO_STORAGE, refused.hint)
    return passed(f"{evidence}; a probe object was written, read back and deleted with these credentials")


def old_logs_expire(model: Model) -> Outcome:
    """DoD-001-03: a rule expires the log data in time, and none expires what Parseable cannot lose."""
    rules, found = _rules(model), _existing(model)
    harmless = [rule for rule in rules if not _lost_files(model, rule)]
    problems = [
        *_missing_expiry(model, rules),
        *_lost_metadata(model, rules),
        *_early_expiry(model, harmless),
        # Where rules cannot be read, the server may have ways of its own.
        *(_kept_versions(model, rules) if found.versioned and found.unread is None else []),
    ]
    if problems:
        evidence, consequence, remedy = zip(*problems, strict=True)
        return failed("; ".join(evidence), "; ".join(consequence), "; ".join(dict.fromkeys(remedy)))
    if _is_left(model) and _missing_rule(model, rules):
        return _left_to_parseable(model)
    if found.versioned is None:
        return unknown(
            f"{_expiry(model, rules)}; whether the bucket keeps versions of what is deleted is not "
            "known: this S3 key may not read that",
            Cause.TOOL,
            "grant it s3:GetBucketVersioning on the bucket",
        )
    doubtful = [rule for rule in rules if rule.enabled and rule.expires and rule.limits]
    notes = "".join(
        f"; rule '{rule.id}' also deletes objects, but only those {' and '.join(rule.limits)}: "
        "whether it meets Parseable's metadata is not known"
        for rule in doubtful
    )
    return passed(_expiry(model, rules) + notes)


def retention_applies(model: Model) -> Outcome:
    """DoD-003-04: the chart has no value for retention, the bucket's lifecycle rule does it."""
    rules = _rules(model)
    if _is_left(model) and _missing_rule(model, rules):
        return _left_to_parseable(model)
    problems = [*_missing_expiry(model, rules), *_early_expiry(model, rules)]
    return failed(*problems[0]) if problems else passed(_expiry(model, rules))


def _existing(model: Model) -> BucketFacts:
    """What is known of the bucket.

    Raises:
        AnsweredError: there is no such bucket, or the server refuses these credentials or this region.
        UnreachableError: the server did not answer.
        SettingsError: it could not be asked.
    """
    try:
        found = model.workspace.bucket_facts
    except UnreachableError:
        raise
    except RefusedError as refused:
        raise AnsweredError(failed(refused.summary, _NO_STORAGE, refused.hint)) from None
    if not found.exists:
        s3 = model.settings.s3
        raise AnsweredError(
            failed(f"bucket '{s3.bucket}' does not exist at {s3.asked}", _NO_STORAGE, _COMMAND)
        )
    return found


def _rules(model: Model) -> tuple[LifecycleRule, ...]:
    found = _existing(model)
    if found.unread is not None and not _is_left(model):
        raise AnsweredError(failed(found.unread.summary, _NEVER_DELETED, found.unread.hint))
    return found.rules


_Problem = tuple[str, str, str]
"""Evidence, consequence and remedy of a failure."""


def _expiry(model: Model, rules: Sequence[LifecycleRule]) -> str:
    prefix, days = log_prefix(model.settings.parseable.stream), model.settings.s3.retention_days
    rule = next(rule for rule in rules if expires_logs(rule, prefix, days))
    return f"rule '{rule.id}' deletes {prefix}… after {_days(days)}"


def _is_left(model: Model) -> bool:
    """Whether the settings leave the deletion of old logs to Parseable."""
    return model.settings.s3.retention == "parseable"


def _left_to_parseable(model: Model) -> Outcome:
    return unknown(
        "Parseable deletes old logs itself (s3.retention: parseable), once the Job that says so has run",
        Cause.CLUSTER,
        f"kubectl -n {model.layout.namespace} get job {model.settings.parseable.name}-retention",
    )


def _kept_versions(model: Model, rules: Sequence[LifecycleRule]) -> list[_Problem]:
    """What a versioned bucket keeps of the logs that are deleted in it."""
    prefix, s3 = log_prefix(model.settings.parseable.stream), model.settings.s3
    if removes_versions(rules, prefix, s3.retention_days):
        return []
    hides = "a deletion" if _is_left(model) else "the rule"
    return [
        (
            f"bucket '{s3.bucket}' keeps every version: {hides} only hides the objects",
            "their bytes are kept for ever",
            _COMMAND
            if not _is_left(model)
            else f"give the bucket a rule with NoncurrentVersionExpiration for {prefix}",
        )
    ]


def _missing_rule(model: Model, rules: Sequence[LifecycleRule]) -> bool:
    """Whether no rule deletes the logs in time."""
    prefix, days = log_prefix(model.settings.parseable.stream), model.settings.s3.retention_days
    return not any(expires_logs(rule, prefix, days) for rule in rules)


def _missing_expiry(model: Model, rules: Sequence[LifecycleRule]) -> list[_Problem]:
    if _is_left(model) or not _missing_rule(model, rules):
        return []
    prefix, days = log_prefix(model.settings.parseable.stream), model.settings.s3.retention_days
    there = [rule for rule in rules if rule.prefix == prefix]
    found = "; it has " + " and ".join(_told(rule) for rule in there) if there else ""
    evidence = (
        f"no lifecycle rule of bucket '{model.settings.s3.bucket}' deletes {prefix}… after {_days(days)}"
    )
    return [(evidence + found, "log data would be kept for another time than was set, or for ever", _COMMAND)]


def _lost_metadata(model: Model, rules: Sequence[LifecycleRule]) -> list[_Problem]:
    """Rules that delete Parseable's own files, which lie in the same bucket and are rarely rewritten."""
    problems = []
    for rule in rules:
        lost = _lost_files(model, rule)
        if lost:
            when = f"about {_days(rule.days)} after the push" if rule.days else f"from {rule.date} on"
            problems.append(
                (
                    f"rule {_told(rule)}, Parseable's own metadata included",
                    f"{when} Parseable loses {' and '.join(lost)}: a restart then begins empty or fails",
                    f"remove rule '{rule.id}', or limit it to a prefix that is not Parseable's",
                )
            )
    return problems


def _lost_files(model: Model, rule: LifecycleRule) -> list[str]:
    """What ``rule`` would certainly delete of Parseable's metadata, in words."""
    stream = model.settings.parseable.stream
    files = {
        ".parseable/.parseable.json": "its deployment id, users and roles",
        f"{stream}/.stream/.stream.json": f"the description of stream '{stream}'",
        f"{stream}/.stream/.schema": f"the schema of stream '{stream}'",
    }
    return [what for name, what in files.items() if rule.deletes(name)]


def _early_expiry(model: Model, rules: Sequence[LifecycleRule]) -> list[_Problem]:
    """Rules that delete the log data before its time."""
    prefix, days = log_prefix(model.settings.parseable.stream), model.settings.s3.retention_days
    return [
        (
            f"rule {_told(rule)}, before the {_days(days)} that logs are to be kept",
            "logs would be lost early",
            f"remove rule '{rule.id}', or give it {_days(days)}",
        )
        for rule in rules
        if rule.deletes(prefix) and rule.days is not None and rule.days < days
    ]


def _told(rule: LifecycleRule) -> str:
    what = f"{rule.prefix}…" if rule.prefix else "every object of the bucket"
    when = f"after {_days(rule.days)}" if rule.days else f"from {rule.date} on" if rule.date else "at no time"
    state = "" if rule.enabled else " (disabled)"
    return f"'{rule.id}'{state} deletes {what} {when}"


def _days(count: int | None) -> str:
    return "1 day" if count == 1 else f"{count} days"
