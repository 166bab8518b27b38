"""What tests need around a bucket: accounts of the real server, doors to it, and a workspace that has one."""

from dataclasses import dataclass, replace
from typing import Any, cast

from tasks.core.credentials import S3Credentials, Secret
from tasks.core.settings import S3, Settings
from tasks.demo.s3_server import EVERYTHING, Identity
from tasks.effects.lifecycle import LifecycleRule, parse_rule
from tasks.effects.s3 import Bucket
from tasks.workspace import Workspace


def _account(name: str, *actions: str) -> Identity:
    return Identity(name, Secret(f"access-of-{name}"), Secret(f"secret-of-{name}"), actions)


ACCOUNTS = (
    _account("owner", *EVERYTHING),
    _account("stranger", "Read:theirs", "Write:theirs", "List:theirs"),
    _account("reader", "Read", "List"),
    _account("lister", "List"),
    _account("writer", "Read", "Write", "List"),
    _account("rival", *EVERYTHING),
)


@dataclass(frozen=True)
class Storage:
    """The real S3 server of this worker: its URLs without and with TLS."""

    endpoint: str
    tls_endpoint: str

    def bucket(self, name: str, account: str = "owner", **settings: Any) -> Bucket:
        """The bucket ``name`` as ``account`` sees it."""
        return Bucket(
            replace(S3(), **{"endpoint": self.endpoint, "bucket": name, **settings}), credentials(account)
        )


def credentials(account: str) -> S3Credentials:
    """The key pair of an account, which need not exist."""
    return S3Credentials(Secret(f"access-of-{account}"), Secret(f"secret-of-{account}"), "the test")


def workspace_of(bucket: Bucket, *, probe: bool = False, days: int = 30) -> Workspace:
    """A workspace that has this bucket, and no repository."""
    settings = Settings(s3=replace(bucket.settings, retention_days=days))
    workspace = Workspace(settings, cast("Any", None), probe=probe)
    workspace.bucket = bucket
    return workspace


def rule(rule_id: str, where: str, what: str = "", status: str = "Enabled") -> LifecycleRule:
    """A lifecycle rule of somebody else; ``where`` and ``what`` are XML, or ``what`` is days to expire."""
    actions = f"<Expiration><Days>{what}</Days></Expiration>" if what.isdecimal() else what
    return parse_rule(f"<Rule><ID>{rule_id}</ID>{where}<Status>{status}</Status>{actions}</Rule>")


def prefix(text: str) -> str:
    """The XML of a filter by prefix."""
    return f"<Filter><Prefix>{text}</Prefix></Filter>"
