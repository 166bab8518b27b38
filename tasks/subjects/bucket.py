"""The bucket, with a lifecycle rule that expires Parseable's log data and nothing else."""

from collections.abc import Iterator

from tasks.core.changes import Change
from tasks.effects.lifecycle import log_prefix, wanted_rules
from tasks.effects.s3 import BucketFacts, CreateBucket, PutLifecycle
from tasks.workspace import Workspace


def facts(workspace: Workspace) -> BucketFacts:
    """What the S3 server says of the bucket.

    Raises:
        SettingsError: there are no usable credentials, or the endpoint or region is malformed.
        RefusedError: the server cannot be reached, or refuses the key, the region or a look at the bucket.
    """
    return workspace.bucket_facts


def plan(workspace: Workspace, found: BucketFacts) -> Iterator[Change]:
    """Create what is missing; correct the rule where it says something else, beside the rules of others.

    Raises:
        RefusedError: the rules could not be read, so that setting one would lose those of others.
    """
    if not found.exists:
        yield CreateBucket(workspace.bucket)
    before = found.known_rules()
    prefix = log_prefix(workspace.settings.parseable.stream)
    after = wanted_rules(before, prefix, workspace.settings.s3.retention_days)
    if after != before:
        yield PutLifecycle(workspace.bucket, before, after)
