"""The door to the S3 server: credentials, the bucket, its lifecycle rules, and every refusal in plain words.

boto3 is loaded when a bucket is first asked for, not when this module is.
"""

from __future__ import annotations

import base64
import hashlib
import logging
import os
import re
import secrets
import ssl
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from tasks.core.changes import Change
from tasks.core.console import told_if_slow
from tasks.core.credentials import ACCESS_KEY, SECRET_KEY, S3Credentials, checked
from tasks.core.errors import PlaybookError, RefusedError, SettingsError
from tasks.effects import s3_errors
from tasks.effects.lifecycle import LifecycleRule, document, parse_rules
from tasks.effects.s3_errors import NamedRefusalError, UnreachableError
from tasks.effects.tls import Distrust, distrust_of
from tasks.yaml.diff import unified_diff

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from boto3.session import Session
    from mypy_boto3_s3.client import S3Client

    from tasks.core.settings import S3

    Answer = TypeVar("Answer")

CONNECT_SECONDS = 5.0
READ_SECONDS = 15.0
ATTEMPTS = 3  # of a request that the server answered with "try again"


# --- credentials -----------------------------------------------------------------------------------------


def find_credentials(
    environment: Mapping[str, str] = os.environ, *, ask: Callable[[str], str] | None = None
) -> S3Credentials:
    """Find the key pair: ``S3_*`` variables of ``environment``, boto3's usual places, then ``ask``.

    boto3's places are those of this process (profile, ``AWS_*`` variables, shared files), without the
    metadata services of cloud machines. ``ask`` shows a prompt and returns what was typed, unseen.

    Raises:
        SettingsError: there is no key pair, half of one, a malformed or a temporary one.
    """
    access, secret = environment.get(ACCESS_KEY, ""), environment.get(SECRET_KEY, "")
    if access and secret:
        return checked(access, secret, f"{ACCESS_KEY} and {SECRET_KEY}")
    if access or secret:
        there, missing = (ACCESS_KEY, SECRET_KEY) if access else (SECRET_KEY, ACCESS_KEY)
        raise SettingsError(f"{there} is set, but {missing} is not", "set both, or neither")
    usual = _usual_credentials()
    if usual is not None:
        return usual
    if ask is not None:
        try:
            return checked(ask("S3 access key: "), ask("S3 secret key (not shown): "), "the prompt")
        except EOFError:
            pass  # Nobody is there to answer.
    raise SettingsError(
        "no S3 credentials",
        f"set {ACCESS_KEY} and {SECRET_KEY}, or AWS_PROFILE, or run on a terminal to be asked for them",
    )


def _usual_credentials() -> S3Credentials | None:
    from boto3.session import Session
    from botocore.exceptions import BotoCoreError

    problem = ""
    try:
        # Asking the metadata services takes seconds where there are none, and gives temporary keys. boto3
        # shows its chain of providers nowhere but through botocore's session.
        session = Session()
        providers = session._session.get_component("credential_provider")
        for name in ("container-role", "iam-role"):
            providers.remove(name)
        found = session.get_credentials()
    except BotoCoreError as error:
        problem = str(error)
    if problem:
        raise SettingsError(f"the AWS configuration cannot be used: {problem}", _CREDENTIALS_HINT)
    if found is None:
        return None
    # Refreshable credentials (roles, single sign-on) are fetched when first read: they need no asking here.
    if hasattr(found, "refresh_needed") or found.token:
        raise SettingsError(
            f"the AWS credentials found ({found.method}) are temporary: they would expire in the Secret",
            f"use a permanent key pair: set {ACCESS_KEY} and {SECRET_KEY}",
        )
    return checked(found.access_key or "", found.secret_key or "", f"the AWS configuration ({found.method})")


_CREDENTIALS_HINT = f"correct it, or set {ACCESS_KEY} and {SECRET_KEY}"


# --- the bucket ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class BucketFacts:
    """What the server says of the bucket.

    ``rules`` are its lifecycle rules in the server's order; if they could not be read, ``unread`` says why.
    ``versioned`` says that it keeps, or has kept, the versions of its objects; None if the key may not know.
    ``untrusted`` is why a client that knows the public authorities only, as Parseable does, would not trust
    the server's certificate; None if it would, or nobody knows.
    """

    exists: bool
    rules: tuple[LifecycleRule, ...] = ()
    unread: RefusedError | None = None
    versioned: bool | None = False
    untrusted: Distrust | None = None

    def known_rules(self) -> tuple[LifecycleRule, ...]:
        """Give the lifecycle rules.

        Raises:
            RefusedError: they could not be read.
        """
        if self.unread is not None:
            raise self.unread
        return self.rules


class Bucket:
    """The bucket of the settings on its server, seen with one key pair. Opening it sends nothing.

    Requests are path-style and signed for the region of the settings. Every method raises a
    ``RefusedError`` (``UnreachableError`` if there was no answer) or ``SettingsError`` that names the
    endpoint, region or bucket at fault, and never a key.
    """

    def __init__(self, settings: S3, credentials: S3Credentials) -> None:
        self.settings = settings
        self._credentials = credentials
        self._words = s3_errors.Words(settings, credentials)
        self._lifecycle = b""  # as last received, or as it is to be sent
        self._silence: UnreachableError | None = None

    def __repr__(self) -> str:
        return f"Bucket({self.settings.bucket!r} at {self.settings.asked!r})"

    def facts(self) -> BucketFacts:
        """Ask whether the bucket exists and what lifecycle rules it has.

        A server that did not answer is not asked again: each attempt may take seconds.
        """
        if self._silence is not None:
            raise self._silence
        try:
            exists = self._exists()
        except UnreachableError as error:
            self._silence = error
            raise
        untrusted = self._untrusted
        if not exists:
            return BucketFacts(exists=False, untrusted=untrusted)
        found = BucketFacts(exists=True, versioned=self.is_versioned(), untrusted=untrusted)
        try:
            return replace(found, rules=self.rules())
        except UnreachableError:
            raise
        except RefusedError as refused:
            return replace(found, unread=refused)

    def create(self) -> None:
        """Create the bucket; one that exists by now and belongs to this account is as good."""
        place: Any = {}
        if self.settings.region != "us-east-1":  # which S3 wants unnamed
            place = {"CreateBucketConfiguration": {"LocationConstraint": self.settings.region}}
        try:
            self._ask(s3_errors.CREATE, lambda s3: s3.create_bucket(Bucket=self.settings.bucket, **place))
        except NamedRefusalError as named:
            if named.server_code != "BucketAlreadyOwnedByYou":
                raise

    def rules(self) -> tuple[LifecycleRule, ...]:
        """Read the lifecycle rules, in the server's order."""
        try:
            self._ask(
                s3_errors.READ_RULES,
                lambda s3: s3.get_bucket_lifecycle_configuration(Bucket=self.settings.bucket),
            )
        except NamedRefusalError as named:
            if named.server_code == "NoSuchLifecycleConfiguration":
                return ()
            raise
        try:
            return parse_rules(self._lifecycle.decode())
        except ValueError as error:
            problem = str(error)
        raise RefusedError(
            f"the lifecycle rules of bucket '{self.settings.bucket}' cannot be read: {problem}",
            "they are not touched; look at them with another client",
        )

    def is_versioned(self) -> bool | None:
        """Whether the bucket keeps versions, or kept them until that was suspended; None if it is denied."""
        try:
            found = self._ask(
                s3_errors.READ_VERSIONING, lambda s3: s3.get_bucket_versioning(Bucket=self.settings.bucket)
            )
        except UnreachableError:
            raise
        except NamedRefusalError as named:
            return None if named.server_code in s3_errors.DENIED else False
        except RefusedError:
            # It has listed the bucket: it is an S3 server, and has no such call.
            return False
        return found.get("Status") in ("Enabled", "Suspended")

    def has_objects(self, prefix: str) -> bool:
        """Whether there is an object whose name begins with ``prefix``."""
        found = self._ask(
            s3_errors.LIST,
            lambda s3: s3.list_objects_v2(Bucket=self.settings.bucket, Prefix=prefix, MaxKeys=1),
        )
        return bool(found.get("Contents"))

    def put_rules(self, rules: Sequence[LifecycleRule]) -> None:
        """Replace the whole lifecycle configuration by ``rules``."""
        self._lifecycle = document(rules).encode()
        self._ask(
            s3_errors.SET_RULES,
            # The body is put in its place when the request has been prepared: see _keep_rules_verbatim.
            lambda s3: s3.put_bucket_lifecycle_configuration(
                Bucket=self.settings.bucket, LifecycleConfiguration={"Rules": []}
            ),
        )

    def probe(self) -> None:
        """Write, read back and delete one small object, as Parseable will have to.

        Its name cannot be one of Parseable's; it is deleted also when reading it fails.
        """
        bucket, name = self.settings.bucket, f".parseable-playbook-probe-{secrets.token_hex(8)}"
        body = secrets.token_bytes(32)
        checksum = base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()
        is_written = True
        try:
            try:
                self._ask(
                    s3_errors.WRITE,
                    lambda s3: s3.put_object(Bucket=bucket, Key=name, Body=body, ContentMD5=checksum),
                )
            except RefusedError:
                is_written = False
                raise
            found = self._ask(
                s3_errors.READ, lambda s3: s3.get_object(Bucket=bucket, Key=name)["Body"].read()
            )
        except BaseException:
            if is_written:  # or nobody knows, after an interrupt
                with suppress(RefusedError):
                    self._delete_probe(name)
            raise
        self._delete_probe(name)
        if found != body:
            raise RefusedError(
                f"bucket '{bucket}' at {self.settings.asked} gave back other bytes than were written",
                "something between here and the server changes what passes through",
            )

    def _delete_probe(self, name: str) -> None:
        try:
            self._ask(s3_errors.DELETE, lambda s3: s3.delete_object(Bucket=self.settings.bucket, Key=name))
        except RefusedError as refused:
            kind = UnreachableError if isinstance(refused, UnreachableError) else RefusedError
            problem = kind(f"{refused.summary}; the probe '{name}' is left in it", refused.hint)
        else:
            return
        raise problem

    def _exists(self) -> bool:
        # A listing, because the answer to HEAD has no body that tells a wrong key from a wrong secret.
        try:
            self._ask(s3_errors.LIST, lambda s3: s3.list_objects_v2(Bucket=self.settings.bucket, MaxKeys=1))
        except NamedRefusalError as named:
            if named.server_code == "NoSuchBucket":
                return False
            raise
        return True

    def _ask(self, action: s3_errors.Action, call: Callable[[S3Client], Answer]) -> Answer:
        from botocore.exceptions import BotoCoreError, ClientError
        from botocore.parsers import ResponseParserError

        problem: PlaybookError
        client = self._client
        through = f" through the proxy {self._words.proxy}" if self._words.proxy else ""
        waiting = f"asking {self.settings.asked} for bucket '{self.settings.bucket}'{through} …"
        try:
            with told_if_slow(waiting):
                return call(client)
        except ClientError as error:
            problem = self._words.refusal(action, error.response)
        except (BotoCoreError, ResponseParserError, ValueError) as error:  # the last of figures that are none
            problem = self._words.silence(error)
        # Raised here, so that botocore's exception, which quotes the request, is not even its context.
        raise problem

    @cached_property
    def _client(self) -> S3Client:
        from boto3.session import Session
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError

        # At debug level (invoke -d) they log what is signed, and with which key.
        for library in ("boto3", "botocore", "urllib3"):
            logging.getLogger(library).setLevel(logging.WARNING)
        config = Config(
            connect_timeout=CONNECT_SECONDS,
            read_timeout=READ_SECONDS,
            retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
            s3={"addressing_style": "path", "use_accelerate_endpoint": False},
            # Compatible servers and older MinIO know no others than the required ones.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        )
        problem: PlaybookError
        try:
            self._words = replace(self._words, proxy=_proxy(self.settings.asked))
            session = Session()
            self._check_bundle(session)
            # botocore would look into the folders of all services to find that it knows this one.
            loader = session._session.get_component("data_loader")
            loader.list_available_services = lambda _: ["s3"]
            client = session.client(
                "s3",
                region_name=self.settings.region,
                endpoint_url=self.settings.asked,
                aws_access_key_id=self._credentials.access_key.reveal(),
                aws_secret_access_key=self._credentials.secret_key.reveal(),
                config=config,
            )
        except BotoCoreError as error:
            problem = self._words.silence(error)
        except ValueError as error:
            problem = s3_errors.bad_endpoint(self.settings, str(error))
        else:
            client.meta.events.register_first("needs-retry.s3", _stop_at_final_answers)
            client.meta.events.register("before-parse.s3.ListObjectsV2", _expect_listing)
            self._keep_rules_verbatim(client)
            return client
        raise problem

    @cached_property
    def _untrusted(self) -> Distrust | None:
        """Why who knows the public authorities only would not trust the certificate that Parseable gets."""
        from botocore.httpsession import DEFAULT_CA_BUNDLE

        endpoint = self.settings.endpoint
        # Behind a proxy, what is shown there is not what Parseable sees.
        return None if _proxy(endpoint) else distrust_of(endpoint, file=DEFAULT_CA_BUNDLE)

    def _check_bundle(self, session: Session) -> None:
        """Check the file of authorities that the AWS configuration names, before it spoils every request.

        Raises:
            SettingsError: it is not there, or holds no certificates.
        """
        path = session._session.get_config_variable("ca_bundle")
        if not path or not self.settings.asked.startswith("https:"):
            return
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cafile=path)
        except ssl.SSLError:
            problem = "it holds no certificate in the PEM format"
        except OSError as error:
            problem = str(error.strerror)
        else:
            return
        name = "AWS_CA_BUNDLE" if "AWS_CA_BUNDLE" in os.environ else "ca_bundle in the AWS configuration"
        raise SettingsError(
            f"{name} names {path}, which cannot be used: {problem}",
            "name a PEM file with the certificate of the server's authority, or unset it",
        )

    def _keep_rules_verbatim(self, client: S3Client) -> None:
        """Let lifecycle rules pass as text: botocore drops elements that Amazon's model does not have."""

        def receive(http_response: Any, **_: object) -> None:
            self._lifecycle = http_response.content

        def send(params: dict[str, Any], **_: object) -> None:
            params["body"] = self._lifecycle
            # MinIO before 2025 insists on this checksum, botocore after 2024 prefers newer ones.
            params["context"].pop("checksum", None)
            digest = hashlib.md5(self._lifecycle, usedforsecurity=False).digest()
            params["headers"]["Content-MD5"] = base64.b64encode(digest).decode()

        client.meta.events.register("after-call.s3.GetBucketLifecycleConfiguration", receive)
        client.meta.events.register("before-call.s3.PutBucketLifecycleConfiguration", send)


def _proxy(endpoint: str) -> str:
    """The host and port of the proxy that requests to ``endpoint`` go through; empty if there is none."""
    from botocore.utils import get_environ_proxies

    url: str = get_environ_proxies(endpoint).get(urlsplit(endpoint).scheme, "")
    return url.rpartition("://")[2].rpartition("@")[2].strip("/")


def _stop_at_final_answers(
    response: tuple[Any, Mapping[str, Any]] | None,
    operation: Any,
    caught_exception: Exception | None,
    **_: object,
) -> None:
    """End a request that neither a retry nor another region should follow, by raising its error.

    botocore would sign again for the region that a refusal names, and succeed: Parseable's client does not,
    so the refusal has to be seen. A connection that cannot be made is not tried three times.
    """
    from botocore import exceptions as known

    if isinstance(
        caught_exception,
        known.EndpointConnectionError
        | known.ConnectTimeoutError
        | known.ReadTimeoutError
        | known.ProxyConnectionError,
    ):
        raise caught_exception
    if response is None:
        return
    http, parsed = response
    redirected = 300 <= http.status_code < 400
    if redirected or parsed.get("Error", {}).get("Code") in s3_errors.REGION_CODES:
        raise known.ClientError(dict(parsed), operation.name)  # type: ignore[arg-type]


def _expect_listing(response_dict: dict[str, Any], **_: object) -> None:
    """Refuse a web page in place of a listing: botocore would take it for an empty one, or ask again."""
    from botocore.parsers import ResponseParserError

    # By now botocore has made a 500 of a page that is not well-formed.
    status, body = response_dict["status_code"], response_dict["body"]
    if (status == HTTPStatus.OK or (status == HTTPStatus.INTERNAL_SERVER_ERROR and body)) and not re.search(
        rb"<(\w+:)?(ListBucketResult|Error)\b", body
    ):
        raise ResponseParserError


# --- changes ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class CreateBucket(Change):
    """Create the bucket of the settings."""

    bucket: Bucket

    @property
    def summary(self) -> str:
        """One line in the imperative."""
        settings = self.bucket.settings
        return f"create bucket '{settings.bucket}' at {settings.asked} (region {settings.region})"

    def apply(self) -> None:
        """Create it."""
        self.bucket.create()


@dataclass(frozen=True)
class PutLifecycle(Change):
    """Replace the lifecycle rules ``before`` by ``after``; rules that are in both pass through unchanged.

    ``if_versioned`` is there for a bucket that is made just before, of which it is not known whether it keeps
    versions: then it gets these rules.
    """

    bucket: Bucket
    before: tuple[LifecycleRule, ...]
    after: tuple[LifecycleRule, ...]
    if_versioned: tuple[LifecycleRule, ...] | None = None

    @property
    def summary(self) -> str:
        """One line in the imperative."""
        new = [rule for rule in self.after if rule not in self.before]
        words = ", ".join(
            f"'{rule.id}' deletes {rule.prefix}… after {_days(rule.days or 0)}"
            + (
                ""
                if rule.noncurrent_days is None
                else f", and what is left of it in older versions {_days(rule.noncurrent_days)} later"
            )
            for rule in new
        )
        kept = len(self.after) - len(new)
        others = f" ({kept} other {'rule' if kept == 1 else 'rules'} kept)" if kept else ""
        return f"set the lifecycle of bucket '{self.bucket.settings.bucket}': rule {words}{others}"

    def diff(self) -> str:
        """Show the rules before and after as a unified diff of YAML."""
        before = _readable(self.before) if self.before else None
        difference = unified_diff(f"{self.bucket.settings.bucket}/lifecycle", before, _readable(self.after))
        if self.if_versioned is None:
            return difference
        return (
            f"{difference.rstrip()}\n  if the new bucket keeps versions, older ones are deleted after 1 day"
        )

    def apply(self) -> None:
        """Set the rules, if they still are what was shown.

        Raises:
            RefusedError: the server refused, or somebody changed the rules meanwhile.
        """
        try:
            self._set()
        except RefusedError as refused:
            if self.if_versioned is None:
                raise
            made = f"{refused.summary}; the bucket '{self.bucket.settings.bucket}' was made, without a rule"
            problem = type(refused)(made, refused.hint)
        else:
            return
        raise problem

    def _set(self) -> None:
        if self.bucket.rules() != self.before:
            raise RefusedError(
                f"the lifecycle rules of bucket '{self.bucket.settings.bucket}' changed meanwhile",
                "run again; nothing was set",
            )
        is_versioned = self.if_versioned is not None and self.bucket.is_versioned()
        self.bucket.put_rules((self.if_versioned or self.after) if is_versioned else self.after)


def after_changes(found: BucketFacts, changes: Iterable[Change]) -> BucketFacts:
    """What the server would say of the bucket once ``changes`` were made."""
    for change in changes:
        if isinstance(change, CreateBucket):
            found = replace(found, exists=True)
        elif isinstance(change, PutLifecycle):
            found = replace(found, rules=change.after, unread=None)
    return found


def _days(count: int) -> str:
    return "1 day" if count == 1 else f"{count} days"


def _readable(rules: Sequence[LifecycleRule]) -> str:
    import yaml

    return yaml.safe_dump([rule.readable() for rule in rules], sort_keys=False, allow_unicode=True)
