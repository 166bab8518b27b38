"""The bucket, with a lifecycle rule that expires Parseable's log data and nothing else."""

from collections.abc import Iterator

from tasks.core.changes import Change, Remark
from tasks.core.errors import RefusedError
from tasks.effects.lifecycle import log_prefix, wanted_rules
from tasks.effects.s3 import BucketFacts, CreateBucket, PutLifecycle
from tasks.effects.tls import Distrust
from tasks.subjects.parseable import retention_days
from tasks.workspace import Workspace


def facts(workspace: Workspace) -> BucketFacts:
    """What the S3 server says of the bucket.

    Raises:
        SettingsError: there are no usable credentials, or the endpoint or region is malformed.
        RefusedError: the server cannot be reached, or refuses the key, the region or a look at the bucket.
    """
    return workspace.bucket_facts


def plan(workspace: Workspace, found: BucketFacts) -> Iterator[Change | Remark]:
    """Create what is missing; correct the rule where it says something else, beside the rules of others.

    Where Parseable is to delete old logs itself, no rule is set, and how to tell it is said.

    Raises:
        RefusedError: the rules could not be read, so that setting one would lose those of others; or
            Parseable would not trust the server.
    """
    s3 = workspace.settings.s3
    if found.untrusted is not None and s3.tls == "verify":
        _check_trust(workspace, found.untrusted)
    if not found.exists:
        yield CreateBucket(workspace.bucket)
    if s3.retention == "parseable":
        yield Remark(
            "no lifecycle rule is set (s3.retention: parseable): a Job of the rollout has Parseable delete "
            f"logs after {retention_days(s3)} days"
        )
        return
    before = found.known_rules()
    prefix = log_prefix(workspace.settings.parseable.stream)
    after = wanted_rules(before, prefix, s3.retention_days, versioned=found.versioned is True)
    # Some servers make no others than versioned ones.
    other = None if found.exists else wanted_rules(before, prefix, s3.retention_days, versioned=True)
    if after != before:
        yield PutLifecycle(workspace.bucket, before, after, other)


def _check_trust(workspace: Workspace, distrust: Distrust) -> None:
    """Check that Parseable is told what to make of a certificate that is of no public authority.

    Raises:
        RefusedError: it is not, or what it is told does not help.
    """
    s3 = workspace.settings.s3
    told = f"Parseable would not trust the certificate of {s3.endpoint}: {distrust}"
    if distrust.is_authority:
        raise RefusedError(
            f"{told}; it is an authority's own, which Parseable refuses for a server whatever it trusts",
            "give the server a certificate that an authority signed, or set s3.tls to skip-verify: then "
            "Parseable takes any certificate",
        )
    if s3.ca_config_map is None:
        raise RefusedError(
            f"{told}; it knows the public authorities only",
            "put the certificate of the server's authority into a ConfigMap of namespace "
            f"{workspace.layout.namespace}, under the key ca.crt, and set s3.ca_config_map to its name",
        )
