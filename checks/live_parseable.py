"""Parseable in the running cluster: it reaches S3, takes its login, deletes in time."""

from checks.answers import restart_both
from checks.model import AnsweredError, Cause, Model, Outcome, passed, unknown
from tasks.core.errors import PlaybookError
from tasks.core.outcomes import failing
from tasks.effects.api_errors import PodError
from tasks.effects.kubectl import NotFoundError
from tasks.live.asking import LoginRefusedError
from tasks.live.deployed import Deployed
from tasks.live.parseable import NoStreamError
from tasks.subjects.parseable import RETENTION_MARGIN, retention_days

FIX = "--fix"


def reaches_s3(model: Model) -> Outcome:
    """DoD-003-02: it is ready, which it is only if S3 answers, and its objects are in the bucket."""
    deployed = model.deployed
    _check_ready(model, deployed)
    s3, stream = model.settings.s3, model.settings.parseable.stream
    told = f"Parseable is ready: S3 answers it at {s3.endpoint}"
    try:
        has_objects = model.workspace.bucket.has_objects(f"{stream}/")
    except PlaybookError as error:
        return passed(f"{told} (its bucket was not looked at: {error.summary})")
    if has_objects:
        return passed(f"{told}, and bucket '{s3.bucket}' has objects under {stream}/")
    return unknown(
        f"{told}, but bucket '{s3.bucket}' has nothing under {stream}/ yet: the first upload comes a minute "
        "after the first line",
        Cause.CLUSTER,
        "see what arrives: invoke verify --only DoD-008-03",
    )


def is_authenticated(model: Model) -> Outcome:
    """DoD-004-03: it is ready, which it is only if S3 takes its key."""
    deployed = model.deployed
    _check_ready(model, deployed)
    return passed("Parseable is ready: S3 takes the key that it has from its Secret")


def _check_ready(model: Model, deployed: Deployed) -> None:
    """Go on if Parseable is ready.

    Raises:
        AnsweredError: it is not, or nothing there runs it.
        UnavailableError: it cannot be asked, whatever the reason, or it is the wrong cluster.
    """
    namespace, name = model.layout.namespace, model.settings.parseable.name
    try:
        is_ready = deployed.is_ready()
    except (NotFoundError, PodError) as error:
        # Every other error is about the way there, and says nothing of what was deployed; nor does it that
        # nothing of ours is in another cluster, which is an error of this question.
        if isinstance(error, NotFoundError):
            model.live.objects  # noqa: B018
        raise AnsweredError(
            failing(
                error.summary,
                f"{error.hint}; invoke verify --only DoD-011-01,DoD-011-02",
                consequence="no log is taken, and none is found",
            )
        ) from None
    if not is_ready:
        raise AnsweredError(
            failing(
                f"Parseable is not ready (503): S3 does not answer it at {model.settings.s3.endpoint}",
                f"kubectl logs -n {namespace} -l app.kubernetes.io/name={name}; endpoint: invoke "
                "task-003; key: invoke task-004",
                consequence="it takes lines for a while, uploads none, and answers no query",
            )
        )


def takes_its_login(model: Model) -> Outcome:
    """The login in the Secret is the one that the running server has."""
    deployed = model.deployed
    namespace = model.layout.namespace
    try:
        deployed.streams()
    except LoginRefusedError as error:
        return failing(
            error.summary,
            f"the Secret changed after the pods had started: {restart_both(model)}",
            consequence="Vector is refused with 403 and drops every line; Grafana shows nothing",
        )
    return passed(f"Parseable takes the login of Secret {namespace}/{model.settings.parseable.secret}")


def deletes_in_time(model: Model) -> Outcome:
    """DoD-003-04: its own retention is set, and ends before the rule of the bucket."""
    deployed = model.deployed
    s3, stream = model.settings.s3, model.settings.parseable.stream
    wanted = retention_days(s3)
    remedy = f"invoke verify {FIX}; or let the Job set it again: invoke task-003"
    try:
        days = deployed.retention_days()
    except NoStreamError as error:
        return unknown(error.summary, Cause.CLUSTER, "see what arrives: invoke verify --only DoD-008-03")
    if days is None:
        by_bucket = "the bucket deletes first, and queries that touch its last day answer 500"
        return failing(
            f"Parseable deletes nothing of stream {stream}: no retention is set",
            remedy,
            consequence=by_bucket if s3.retention == "bucket" else "logs are kept for ever",
        )
    if days < wanted:
        return failing(
            f"Parseable deletes stream {stream} after {days} days, before the {wanted} that were set",
            remedy,
            consequence="logs are lost early",
        )
    if days > wanted:
        too_late = (
            f"the bucket deletes after {s3.retention_days} days, and Parseable must be {RETENTION_MARGIN} "
            "days ahead of it: queries that touch its last day answer 500"
        )
        return failing(
            f"Parseable deletes stream {stream} after {days} days, not {wanted}",
            remedy,
            consequence=too_late if s3.retention == "bucket" else "logs are kept longer than was set",
        )
    return passed(f"Parseable deletes stream {stream} after {days} days")
