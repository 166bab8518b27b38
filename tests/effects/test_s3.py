"""The bucket's door, against a real server where one can do it, else against doubles of its protocol."""

import ast
import itertools
import logging
import re
import socket
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import trustme
from botocore.exceptions import IncompleteReadError
from invoke.exceptions import Exit

from tasks.core import console
from tasks.core.credentials import S3Credentials, Secret
from tasks.core.errors import PlaybookError, RefusedError, SettingsError
from tasks.core.settings import S3, Layer, load
from tasks.demo.s3_server import Identity
from tasks.effects import s3
from tasks.effects.s3 import Bucket, CreateBucket, PutLifecycle, find_credentials
from tasks.effects.s3_errors import READ, UnreachableError, UntrustedError
from tests import registry_double as web
from tests.s3_double import Minio, Reply, Request, error, listing, serving
from tests.storage import ACCOUNTS, Storage, credentials, prefix, rule

KEYS = S3Credentials(Secret("AKIASECRETLYMINE"), Secret("wJalrXUtnFEMI"), "the test")

FOREIGN = (
    rule("tmp", prefix("tmp/"), "7"),
    rule("old-form", "<Prefix>old/</Prefix>", "5"),
    rule(
        "tagged",
        "<Filter><And><Prefix>a/</Prefix><Tag><Key>k &amp; l</Key><Value>v</Value></Tag></And></Filter>",
        "3",
        "Disabled",
    ),
    rule(
        "versions",
        prefix(""),
        "<NoncurrentVersionExpiration><NoncurrentDays>9</NoncurrentDays></NoncurrentVersionExpiration>",
    ),
)


def door(endpoint: str, **settings: Any) -> Bucket:
    return Bucket(replace(S3(), endpoint=endpoint, **settings), KEYS)


def refusal(call: Callable[[], object], kind: type[PlaybookError] = RefusedError) -> PlaybookError:
    """The error of ``call``, which has the right exit code and shows no key anywhere."""
    with pytest.raises(kind) as caught:
        call()
    found = caught.value
    assert isinstance(found, Exit)
    assert found.code == (2 if isinstance(found, SettingsError) else 4)
    assert "\n" not in found.summary
    shown = "".join(traceback.format_exception(found)) + repr(found) + repr(found.__dict__)
    keys = [KEYS.access_key, KEYS.secret_key]
    keys += [key for account in ACCOUNTS for key in (account.access_key, account.secret_key)]
    assert not [key.reveal() for key in keys if key.reveal() in shown]
    # Nor does anything that a debugger would follow from it.
    assert found.__context__ is None or isinstance(found.__context__, PlaybookError)
    assert found.__cause__ is None
    return found


# --- the bucket ------------------------------------------------------------------------------------------


def test_a_bucket_is_created_once_and_keeps_foreign_rules_byte_for_byte(
    storage: Storage, bucket_name: str
) -> None:
    bucket = storage.bucket(bucket_name)
    assert not bucket.facts().exists
    bucket.create()
    assert bucket.facts() == s3.BucketFacts(exists=True)
    bucket.put_rules(FOREIGN)
    assert bucket.facts().known_rules() == FOREIGN
    bucket.create()  # as if another run had been faster
    assert bucket.facts().known_rules() == FOREIGN


def test_rules_with_elements_unknown_to_amazon_pass_through_unchanged() -> None:
    theirs = (
        "<Rule>\n  <ID>minio</ID><Status>Enabled</Status><Filter><Prefix>x/</Prefix></Filter>"
        "<Expiration><Days>1</Days><ExpiredObjectAllVersions>true</ExpiredObjectAllVersions></Expiration>"
        "<DelMarkerExpiration><Days>2</Days></DelMarkerExpiration></Rule>"
    )
    minio = Minio("minio", {"parseable-logs": theirs})
    with serving(minio) as double:
        bucket = door(double.endpoint)
        rules = bucket.rules()
        bucket.put_rules([*rules, rule("second", prefix("y/"), "3")])
        assert [item.id for item in bucket.rules()] == ["minio", "second"]
    assert minio.rules["parseable-logs"].startswith(theirs)


def test_rules_are_set_with_the_checksum_that_older_minio_insists_on() -> None:
    with serving(Minio("minio", {"parseable-logs": ""})) as double:
        door(double.endpoint).put_rules(FOREIGN)
    headers = double.requests[-1].headers
    assert "content-md5" in headers
    assert not [name for name in headers if "checksum" in name]


def test_requests_are_path_style_and_signed_for_the_region_of_the_settings() -> None:
    with serving(lambda _: listing()) as double:
        # A name, because addresses are never put behind a bucket's.
        door(double.endpoint.replace("127.0.0.1", "localhost"), region="home-1").facts()
    assert double.requests[0].path.startswith("/parseable-logs?list-type=2&max-keys=1")
    assert {request.region for request in double.requests} == {"home-1"}


@pytest.mark.parametrize(
    ("region", "named"),
    [("minio", b"<LocationConstraint>minio</LocationConstraint>"), ("us-east-1", b"")],
)
def test_a_bucket_is_created_in_the_region_unless_s3_wants_it_unnamed(region: str, named: bytes) -> None:
    with serving(lambda _: Reply(200)) as double:
        door(double.endpoint, region=region).create()
    assert named in double.requests[0].body
    assert bool(double.requests[0].body) == bool(named)


def test_the_probe_leaves_nothing(storage: Storage, bucket_name: str) -> None:
    bucket = storage.bucket(bucket_name)
    bucket.create()
    bucket.probe()
    assert bucket._client.list_objects_v2(Bucket=bucket_name)["KeyCount"] == 0


def test_whether_there_are_objects_below_a_prefix(storage: Storage, bucket_name: str) -> None:
    bucket = storage.bucket(bucket_name)
    bucket.create()
    bucket._client.put_object(Bucket=bucket_name, Key="kubernetes/date=2026-01-01/x", Body=b"x")
    assert (bucket.has_objects("kubernetes/"), bucket.has_objects("other/")) == (True, False)


def _probing(on_get: Reply, on_delete: Reply = Reply(204)) -> Callable[[Request], Reply]:  # noqa: B008
    return lambda request: {"PUT": Reply(200), "GET": on_get, "DELETE": on_delete}[request.method]


@pytest.mark.parametrize(
    ("on_get", "message"),
    [
        (error(403, "AccessDenied"), "this S3 key may not read from bucket 'parseable-logs' at "),
        (Reply(200, "other bytes"), "gave back other bytes than were written"),
    ],
)
def test_the_probe_is_deleted_also_when_reading_it_fails(on_get: Reply, message: str) -> None:
    with serving(_probing(on_get)) as double:
        assert message in refusal(door(double.endpoint).probe).summary
    assert [request.method for request in double.requests] == ["PUT", "GET", "DELETE"]
    assert len({request.path for request in double.requests}) == 1
    assert double.requests[0].path.startswith("/parseable-logs/.parseable-playbook-probe-")


def test_a_probe_that_cannot_be_deleted_is_named(storage: Storage) -> None:
    with serving(lambda request: _echo(request, written)) as double:
        written: dict[str, bytes] = {}
        found = refusal(door(double.endpoint).probe)
    name = double.requests[0].path.rpartition("/")[2]
    assert f"may not delete from bucket 'parseable-logs' at {double.endpoint}; the probe '{name}'" in str(
        found
    )


def _echo(request: Request, written: dict[str, bytes]) -> Reply:
    if request.method == "DELETE":
        return error(403, "AccessDenied")
    written.setdefault("body", request.body)
    return Reply(200, written["body"].decode("latin-1") if request.method == "GET" else "")


# --- refusals of a real server ---------------------------------------------------------------------------


def test_a_wrong_access_key(storage: Storage, bucket_name: str) -> None:
    found = refusal(storage.bucket(bucket_name, "nobody").facts)
    assert found.summary == f"{storage.endpoint} does not know the S3 access key (from the test)"


def test_a_wrong_secret_key(storage: Storage, bucket_name: str) -> None:
    keys = replace(credentials("owner"), secret_key=Secret("not-this-one"))
    found = refusal(Bucket(replace(S3(), endpoint=storage.endpoint, bucket=bucket_name), keys).facts)
    assert found.summary == (
        f"the S3 secret key (from the test) does not match the access key, says {storage.endpoint}"
    )


def test_a_bucket_of_another_account(storage: Storage, bucket_name: str) -> None:
    storage.bucket(bucket_name).create()
    found = refusal(storage.bucket(bucket_name, "stranger").facts)
    assert found.summary == (
        f"{storage.endpoint} denies bucket '{bucket_name}': "
        "it belongs to another account, or this key may not list it"
    )
    assert "s3:ListBucket" in found.hint


def test_no_right_to_create_the_bucket(storage: Storage, bucket_name: str) -> None:
    bucket = storage.bucket(bucket_name, "reader")
    assert not bucket.facts().exists
    found = refusal(bucket.create)
    assert found.summary == f"this S3 key may not create bucket '{bucket_name}' at {storage.endpoint}"
    assert "s3:CreateBucket" in found.hint


def test_no_right_to_read_the_lifecycle(storage: Storage, bucket_name: str) -> None:
    storage.bucket(bucket_name).create()
    facts = storage.bucket(bucket_name, "lister").facts()
    assert facts.exists
    found = refusal(facts.known_rules)
    assert found.summary == (
        f"this S3 key may not read the lifecycle rules of bucket '{bucket_name}' at {storage.endpoint}"
    )
    assert "s3:GetLifecycleConfiguration" in found.hint


def test_no_right_to_set_the_lifecycle(storage: Storage, bucket_name: str) -> None:
    storage.bucket(bucket_name).create()
    found = refusal(lambda: storage.bucket(bucket_name, "reader").put_rules(FOREIGN))
    assert found.summary == (
        f"this S3 key may not set the lifecycle rules of bucket '{bucket_name}' at {storage.endpoint}"
    )
    assert "s3:PutLifecycleConfiguration" in found.hint


def test_no_right_to_write(storage: Storage, bucket_name: str) -> None:
    storage.bucket(bucket_name).create()
    found = refusal(storage.bucket(bucket_name, "reader").probe)
    assert found.summary == f"this S3 key may not write to bucket '{bucket_name}' at {storage.endpoint}"


def test_a_certificate_that_is_not_trusted_until_its_authority_is_named(
    storage: Storage,
    bucket_name: str,
    authority: trustme.CA,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = refusal(storage.bucket(bucket_name, endpoint=storage.tls_endpoint).facts, UnreachableError)
    assert found.summary.startswith(f"the TLS certificate of {storage.tls_endpoint} is not trusted: ")
    assert "AWS_CA_BUNDLE" in found.hint
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    monkeypatch.setenv("AWS_CA_BUNDLE", str(tmp_path / "ca.pem"))
    bucket = storage.bucket(bucket_name, endpoint=storage.tls_endpoint)
    bucket.create()
    bucket.put_rules(FOREIGN)
    bucket.probe()
    assert bucket.facts().known_rules() == FOREIGN


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("none.pem", "No such file or directory"),
        ("text.pem", "it holds no certificate in the PEM format"),
        ("folder", "Is a directory"),
    ],
)
@pytest.mark.parametrize("where", ["AWS_CA_BUNDLE", "ca_bundle in the AWS configuration"])
def test_a_file_of_authorities_that_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str, name: str, problem: str
) -> None:
    (tmp_path / "text.pem").write_text("no certificate\n")
    (tmp_path / "folder").mkdir()
    if where == "AWS_CA_BUNDLE":
        monkeypatch.setenv("AWS_CA_BUNDLE", str(tmp_path / name))
    else:
        (tmp_path / "config").write_text(f"[default]\nca_bundle = {tmp_path / name}\n")
        monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    found = refusal(door("https://127.0.0.1:1").facts, SettingsError)
    assert found.summary == f"{where} names {tmp_path / name}, which cannot be used: {problem}"
    # It is of no use, and no harm, without TLS.
    assert "cannot be reached" in refusal(door("http://127.0.0.1:1").facts, UnreachableError).summary


# --- proxies ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_that_is_not_there(unused_port: int, monkeypatch: pytest.MonkeyPatch, scheme: str) -> None:
    monkeypatch.setenv(f"{scheme}_proxy", f"http://me:hidden@127.0.0.1:{unused_port}/")
    found = refusal(door(f"{scheme}://s3.example.test").facts, UnreachableError)
    assert found.summary == (
        f"the proxy 127.0.0.1:{unused_port} does not lead to {scheme}://s3.example.test: connection refused"
    )
    assert "HTTPS_PROXY" in found.hint
    assert "hidden" not in found.summary + found.hint


def test_a_proxy_that_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    with web.serving(lambda _: web.Reply(403, b"no")) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        found = refusal(door("https://s3.example.test").facts, UnreachableError)
        assert found.summary == (
            f"the proxy {proxy.host} does not lead to https://s3.example.test: it answers 403 Forbidden"
        )
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        found = refusal(door("http://s3.example.test").facts)
    assert "http://s3.example.test does not answer as an S3 server: HTTP 403 Forbidden" in found.summary
    assert found.summary.endswith(f"(asked through the proxy {proxy.host})")


def test_a_server_that_is_asked_around_the_proxy(unused_port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://proxy.invalid")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    endpoint = f"http://127.0.0.1:{unused_port}"
    found = refusal(door(endpoint).facts, UnreachableError)
    assert found.summary == f"{endpoint} cannot be reached: connection refused"


def test_tls_where_there_is_none_and_none_where_there_is(storage: Storage, bucket_name: str) -> None:
    wrong = storage.endpoint.replace("http:", "https:")
    found = refusal(storage.bucket(bucket_name, endpoint=wrong).facts, UnreachableError)
    assert found.summary.startswith(f"{wrong} does not speak TLS: ")
    assert found.hint == "an endpoint without TLS starts with http://"
    wrong = storage.tls_endpoint.replace("https:", "http:")
    found = refusal(storage.bucket(bucket_name, endpoint=wrong).facts)
    assert found.summary == f"{wrong} closed the connection without an answer"
    assert "https://" in found.hint


# --- refusals that need a double -------------------------------------------------------------------------


def test_a_refused_region_is_an_error_and_not_silently_corrected() -> None:
    with serving(Minio("home-1", {"parseable-logs": ""})) as double:
        found = refusal(door(double.endpoint).facts)
    assert found.summary == f"{double.endpoint} refused region 'minio': it wants 'home-1'"
    assert found.hint == "set s3.region to home-1"
    assert [request.region for request in double.requests] == ["minio"]


def test_botocore_alone_would_have_corrected_the_region(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s3, "_stop_at_final_answers", lambda **_: None)
    with serving(Minio("home-1", {"parseable-logs": ""})) as double:
        assert door(double.endpoint).facts().exists
    assert {request.region for request in double.requests} == {"minio", "home-1"}


@pytest.mark.parametrize(
    ("reply", "wish"),
    [
        (error(400, "InvalidRegion", "Region does not match; expecting 'x-1'."), "it wants 'x-1'"),
        (Reply(301, error(301, "PermanentRedirect").body, {"x-amz-bucket-region": "x-2"}), "it wants 'x-2'"),
        (error(400, "AuthorizationHeaderMalformed", "bad scope"), "it does not say which one it wants"),
        (error(400, "IllegalLocationConstraintException"), "it does not say which one it wants"),
        (error(400, "InvalidLocationConstraint", Region="garage"), "it wants 'garage'"),
    ],
)
def test_other_ways_to_refuse_a_region(reply: Reply, wish: str) -> None:
    with serving(lambda _: reply) as double:
        for call in (door(double.endpoint).facts, door(double.endpoint).create):
            assert refusal(call).summary == f"{double.endpoint} refused region 'minio': {wish}"
    assert {request.region for request in double.requests} == {"minio"}
    assert len(double.requests) == 2


def test_a_header_found_malformed_for_another_reason_is_not_blamed_on_the_region() -> None:
    reply = error(400, "AuthorizationHeaderMalformed", "the date is wrong", Region="minio")
    with serving(lambda _: reply) as double:
        found = refusal(door(double.endpoint).facts)
    assert found.summary.endswith("AuthorizationHeaderMalformed: the date is wrong")


@pytest.mark.parametrize(
    ("reply", "message"),
    [
        (
            error(403, "RequestTimeTooSkewed", "The difference is too large."),
            "{endpoint} refused the request because its clock and this computer's differ",
        ),
        (
            error(400, "Strange", "It is  Tuesday."),
            "{endpoint} refused to list bucket 'parseable-logs': Strange: It is Tuesday",
        ),
        (
            error(
                403, "SomethingElse", "key AKIASECRETLYMINE, wJalrXUtnFEMI", AWSAccessKeyId="AKIASECRETLYMINE"
            ),
            "{endpoint} refused to list bucket 'parseable-logs': SomethingElse: key ***, ***",
        ),
        (
            Reply(200, "<!DOCTYPE html><html><body><p>Welcome<br></body></html>"),
            "{endpoint} does not answer as an S3 server: what it sends is not S3's XML",
        ),
        (
            Reply(200, "<html><body>Welcome</body></html>"),
            "{endpoint} does not answer as an S3 server: what it sends is not S3's XML",
        ),
        (
            Reply(200, listing().body.replace("0", "many")),
            "{endpoint} does not answer as an S3 server: what it sends is not S3's XML",
        ),
        (Reply(404, "not found"), "{endpoint} does not answer as an S3 server: HTTP 404 Not Found"),
        (Reply(403, "<html>Forbidden"), "{endpoint} does not answer as an S3 server: HTTP 403 Forbidden"),
        (
            Reply(302, "", {"Location": "https://a.test/?key=1"}),
            "{endpoint} does not answer as an S3 server: it redirects to https://a.test/ (HTTP 302 Found)",
        ),
    ],
)
def test_other_answers(reply: Reply, message: str) -> None:
    with serving(lambda _: reply) as double:
        found = refusal(door(double.endpoint).facts)
    assert found.summary == message.format(endpoint=double.endpoint)
    assert not isinstance(found, UnreachableError)
    assert len(double.requests) == 1


@pytest.mark.parametrize(
    ("reply", "message"),
    [
        (Reply(502, "<html>Bad Gateway</html>"), "answered HTTP 502 Bad Gateway: the S3 server behind it"),
        (
            error(503, "SlowDown", "Reduce your rate"),
            "refused to list bucket 'parseable-logs' for now: SlowDown: Reduce your rate",
        ),
    ],
)
def test_passing_troubles_are_tried_again_and_then_told(
    reply: Reply, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("botocore.endpoint.time.sleep", lambda _: None)
    with serving(lambda _: reply) as double:
        assert message in refusal(door(double.endpoint).facts, UnreachableError).summary
    assert len(double.requests) == s3.ATTEMPTS


def test_a_bucket_name_that_another_account_has() -> None:
    with serving(lambda _: error(409, "BucketAlreadyExists", "Taken.")) as double:
        found = refusal(door(double.endpoint).create)
    assert found.summary == f"bucket 'parseable-logs' at {double.endpoint} belongs to another account"


@pytest.mark.parametrize("reply", [error(501, "NotImplemented", "A header."), error(405, "MethodNotAllowed")])
def test_a_server_without_lifecycle_rules(reply: Reply) -> None:
    with serving(lambda request: reply if "lifecycle" in request.path else listing()) as double:
        facts = door(double.endpoint).facts()
        for call in (facts.known_rules, lambda: door(double.endpoint).put_rules(FOREIGN)):
            assert f"{double.endpoint} does not support lifecycle rules (" in refusal(call).summary
    assert facts.exists


def test_rules_that_cannot_be_kept_verbatim_are_not_touched() -> None:
    odd = "<a:Rule xmlns:a='urn:a'><a:ID>x</a:ID><a:Status>Enabled</a:Status></a:Rule>"
    with serving(Minio("minio", {"parseable-logs": odd})) as double:
        found = refusal(door(double.endpoint).facts().known_rules)
    assert found.summary == (
        "the lifecycle rules of bucket 'parseable-logs' cannot be read: a rule is not in the usual form"
    )


# --- no answer -------------------------------------------------------------------------------------------


@pytest.fixture
def unused_port() -> int:
    with closing(socket.socket()) as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def test_a_refused_connection_fails_at_once(unused_port: int) -> None:
    endpoint = f"http://127.0.0.1:{unused_port}"
    began = time.monotonic()
    found = refusal(door(endpoint).facts, UnreachableError)
    assert found.summary == f"{endpoint} cannot be reached: connection refused"
    assert time.monotonic() - began < 2


def test_an_unknown_host() -> None:
    found = refusal(door("http://s3.invalid").facts, UnreachableError)
    assert found.summary == "http://s3.invalid cannot be reached: its name cannot be resolved"


@pytest.fixture
def silent(monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """A socket that takes one connection or two and says nothing; and short time limits."""
    monkeypatch.setattr(s3, "CONNECT_SECONDS", 0.3)
    monkeypatch.setattr(s3, "READ_SECONDS", 0.3)
    with closing(socket.socket()) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        yield listener


def test_a_server_that_never_answers_is_asked_once(silent: socket.socket) -> None:
    endpoint = f"http://127.0.0.1:{silent.getsockname()[1]}"
    bucket = door(endpoint)
    found = refusal(bucket.facts, UnreachableError)
    assert found.summary == f"{endpoint} accepted the connection, but did not answer within 0.3 s"
    began = time.monotonic()
    refusal(bucket.facts, UnreachableError)
    assert time.monotonic() - began < 0.2


def test_what_takes_longer_is_told_meanwhile(
    silent: socket.socket, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(console, "_MOMENT", 0.05)
    endpoint = f"http://127.0.0.1:{silent.getsockname()[1]}"
    bucket = door(endpoint)
    refusal(bucket.facts, UnreachableError)
    assert capsys.readouterr() == ("", f"asking {endpoint} for bucket '{bucket.settings.bucket}' …\n")


def test_what_is_quick_is_not(storage: Storage, bucket_name: str, capsys: pytest.CaptureFixture[str]) -> None:
    storage.bucket(bucket_name).create()
    assert capsys.readouterr() == ("", "")


@pytest.mark.skipif(sys.platform != "linux", reason="how full a backlog of 0 is differs")
def test_a_server_that_accepts_no_connection(silent: socket.socket) -> None:
    endpoint = f"http://127.0.0.1:{silent.getsockname()[1]}"
    with socket.create_connection(silent.getsockname()):
        found = refusal(door(endpoint).facts, UnreachableError)
    assert found.summary == f"{endpoint} cannot be reached: no connection within 0.3 s"


def test_a_server_that_hangs_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("botocore.endpoint.time.sleep", lambda _: None)

    def hang_up(_: Request) -> Reply:
        raise ConnectionAbortedError

    monkeypatch.setattr("socketserver.BaseServer.handle_error", lambda *_: None)
    with serving(hang_up) as double:
        found = refusal(door(double.endpoint).facts, UnreachableError)
    assert found.summary == f"{double.endpoint} closed the connection without an answer"


def test_an_answer_that_breaks_off() -> None:
    half = Reply(200, "half of it", {"Content-Length": "20", "Connection": "close"})
    with serving(_probing(half)) as double:
        found = refusal(door(double.endpoint).probe, UnreachableError)
    assert found.summary.startswith(f"asking {double.endpoint} failed: ")


def test_an_answer_shorter_than_announced_which_older_urllib3_leaves_to_botocore() -> None:
    def short(_: object) -> None:
        raise IncompleteReadError(actual_bytes=1, expected_bytes=2)

    bucket = door("http://127.0.0.1:1")
    found = refusal(lambda: bucket._ask(READ, short), UnreachableError)
    assert found.summary == ("asking http://127.0.0.1:1 failed: 1 read, but total bytes expected is 2.")


# --- settings and environment that cannot work -----------------------------------------------------------


@pytest.mark.parametrize(
    "endpoint", ["https://s3..example.com", "http://[::1", "http://localhost:abc", "http://localhost:99999"]
)
def test_an_endpoint_that_is_no_address(endpoint: str) -> None:
    found = refusal(door(endpoint).facts, SettingsError)
    assert found.summary == f"s3.endpoint is not a usable address: '{endpoint}'"


def test_an_endpoint_without_scheme_is_refused_with_the_settings() -> None:
    with pytest.raises(SettingsError) as caught:
        load([Layer("my.yaml", {"s3": {"endpoint": "s3.68cc.io"}})])
    assert caught.value.summary.startswith("s3.endpoint in my.yaml must be a URL with its scheme")
    assert caught.value.hint == "it is 's3.68cc.io'"


def test_a_region_that_botocore_cannot_use() -> None:
    found = refusal(door("http://127.0.0.1:1", region="my_home").facts, SettingsError)
    assert found.summary == "s3.region cannot be 'my_home'"


def test_a_profile_that_does_not_exist(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "gone")
    found = refusal(door("http://127.0.0.1:1").facts, SettingsError)
    assert found.summary == "the S3 client cannot be used: The config profile (gone) could not be found"
    with pytest.raises(
        SettingsError, match=r"cannot be used: The config profile \(gone\) could not be found"
    ):
        find_credentials({})


@pytest.mark.parametrize(
    "settings",
    [
        "endpoint_url = http://127.0.0.1:1",
        "use_fips_endpoint = true",
        "use_dualstack_endpoint = true",
        "s3 =\n  use_accelerate_endpoint = true\n  addressing_style = virtual",
        "ignore_configured_endpoint_urls = true",
    ],
)
def test_the_users_aws_settings_do_not_change_where_and_how_requests_go(
    settings: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "config").write_text(f"[default]\nregion = eu-west-9\n{settings}\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    with serving(Minio("minio", {"parseable-logs": ""})) as double:
        assert door(double.endpoint.replace("127.0.0.1", "localhost")).facts().exists
    assert double.requests


# --- credentials -----------------------------------------------------------------------------------------


PAIR = {"S3_ACCESS_KEY_ID": "mine", "S3_SECRET_ACCESS_KEY": "hidden"}


def test_the_projects_own_variables_come_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "other")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "other")
    found = find_credentials(PAIR)
    assert (found.access_key, found.secret_key) == (Secret("mine"), Secret("hidden"))
    assert found.origin == "S3_ACCESS_KEY_ID and S3_SECRET_ACCESS_KEY"


@pytest.mark.parametrize(("there", "missing"), list(itertools.permutations(PAIR)))
@pytest.mark.parametrize("as_what", ["absent", "empty"])
def test_half_a_pair_names_the_other_half(there: str, missing: str, as_what: str) -> None:
    environment = {there: "hidden-value"} | ({missing: ""} if as_what == "empty" else {})
    with pytest.raises(SettingsError, match=f"{there} is set, but {missing} is not") as caught:
        find_credentials(environment)
    assert "hidden-value" not in str(caught.value)


def test_aws_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "b")
    found = find_credentials({})
    assert (found.access_key, found.secret_key) == (Secret("a"), Secret("b"))
    assert found.origin == "the AWS configuration (env)"


def test_half_a_pair_of_aws_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "hidden-value")
    with pytest.raises(SettingsError, match="missing: AWS_SECRET_ACCESS_KEY") as caught:
        find_credentials({})
    assert "hidden-value" not in "".join(traceback.format_exception(caught.value))


def test_a_profile_of_the_shared_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "keys").write_text("[home]\naws_access_key_id = a\naws_secret_access_key = b\n")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "keys"))
    monkeypatch.setenv("AWS_PROFILE", "home")
    assert find_credentials({}).secret_key == Secret("b")


def test_a_session_token_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "SESSION_TOKEN"):
        monkeypatch.setenv(f"AWS_{name}", f"hidden-{name}")
    with pytest.raises(SettingsError, match=r"found \(env\) are temporary") as caught:
        find_credentials({})
    assert "hidden" not in "".join(traceback.format_exception(caught.value))


def test_a_role_is_refused_without_asking_anybody(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "config").write_text(
        "[profile home]\nrole_arn = arn:aws:iam::123456789012:role/x\nsource_profile = base\n"
        "[profile base]\naws_access_key_id = a\naws_secret_access_key = b\n"
    )
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_PROFILE", "home")
    monkeypatch.setattr("socket.socket.connect", _no_network)
    with pytest.raises(SettingsError, match=r"found \(assume-role\) are temporary"):
        find_credentials({})


def _no_network(*_: object) -> None:
    raise AssertionError("something was asked")


def test_metadata_services_are_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = (
        '{"AccessKeyId": "a", "SecretAccessKey": "b", "Token": "c", "Expiration": "2999-01-01T00:00:00Z"}'
    )
    with serving(lambda _: Reply(200, answer)) as double:
        monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", double.endpoint)
        monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", double.endpoint)
        with pytest.raises(SettingsError, match="no S3 credentials") as caught:
            find_credentials({})
    assert not double.requests
    for way in ("S3_ACCESS_KEY_ID", "S3_SECRET_ACCESS_KEY", "AWS_PROFILE", "terminal"):
        assert way in caught.value.hint


def test_the_prompt_is_the_last_way() -> None:
    answers = {"S3 access key: ": "typed", "S3 secret key (not shown): ": "hidden"}
    found = find_credentials({}, ask=answers.__getitem__)
    assert (found.access_key, found.secret_key, found.origin) == (
        Secret("typed"),
        Secret("hidden"),
        "the prompt",
    )


def test_a_prompt_that_nobody_answers() -> None:
    def closed(_: str) -> str:
        raise EOFError

    with pytest.raises(SettingsError, match="no S3 credentials"):
        find_credentials({}, ask=closed)


@pytest.mark.parametrize("value", ["hidden ", "hid\nden", "\thidden"])
def test_white_space_is_refused_and_the_value_not_shown(value: str) -> None:
    with pytest.raises(SettingsError, match="has spaces or line ends") as caught:
        find_credentials({**PAIR, "S3_SECRET_ACCESS_KEY": value})
    assert "hid" not in str(caught.value)


# --- changes ---------------------------------------------------------------------------------------------


def test_changes_say_what_they_do(storage: Storage) -> None:
    bucket = storage.bucket("parseable-logs")
    create = CreateBucket(bucket)
    assert create.summary == f"create bucket 'parseable-logs' at {storage.endpoint} (region minio)"
    new = rule("parseable-expire-logs", prefix("kubernetes/date="), "30")
    change = PutLifecycle(bucket, FOREIGN[:1], (FOREIGN[0], new))
    assert change.summary == (
        "set the lifecycle of bucket 'parseable-logs': rule 'parseable-expire-logs' deletes "
        "kubernetes/date=… after 30 days (1 other rule kept)"
    )
    assert (
        change.diff().splitlines()
        == [
            "--- a/parseable-logs/lifecycle",
            "+++ b/parseable-logs/lifecycle",
            "@@ -5,3 +5,10 @@",
            "   Status: Enabled",
            "   Expiration:",
            "     Days: '7'",
            "+- ID: parseable-expire-logs",
            "+  Filter:",
            "+    Prefix: kubernetes/date=",
            "+  Status: Enabled",
            "+  Expiration:",
            "+    Days: '30'",
        ]
        or change.diff()
    )


def test_rules_that_changed_since_they_were_shown_are_not_replaced(
    storage: Storage, bucket_name: str
) -> None:
    bucket = storage.bucket(bucket_name)
    bucket.create()
    before = bucket.facts().known_rules()
    bucket.put_rules(FOREIGN)
    found = refusal(PutLifecycle(bucket, before, FOREIGN[:1]).apply)
    assert found.summary == f"the lifecycle rules of bucket '{bucket_name}' changed meanwhile"
    assert bucket.rules() == FOREIGN


def test_no_key_is_shown_by_what_holds_it(storage: Storage) -> None:
    bucket = storage.bucket("parseable-logs")
    shown = repr(bucket) + repr(CreateBucket(bucket)) + repr(ACCOUNTS) + str(vars(bucket))
    assert "access-of" not in shown
    assert "secret-of" not in shown
    assert isinstance(ACCOUNTS[0], Identity)


def test_debug_logging_shows_no_key(
    storage: Storage, bucket_name: str, caplog: pytest.LogCaptureFixture
) -> None:
    for library in ("boto3", "botocore", "urllib3"):
        logging.getLogger(library).setLevel(logging.NOTSET)  # as in a new process
    with caplog.at_level(logging.DEBUG):
        bucket = storage.bucket(bucket_name)
        bucket.create()
        bucket.facts()
    assert "of-owner" not in caplog.text
    assert "Credential=" not in caplog.text


# --- cost ------------------------------------------------------------------------------------------------


def test_boto3_is_not_loaded_before_a_bucket_is_asked_for() -> None:
    program = (
        "import sys, tasks.effects.s3, checks.bucket; print(sorted(m for m in sys.modules if 'boto' in m))"
    )
    root = Path(s3.__file__).parents[2]
    shown = subprocess.run(
        [sys.executable, "-c", program], cwd=root, capture_output=True, check=True, text=True
    )
    assert ast.literal_eval(shown.stdout) == []


def test_asking_takes_three_requests(storage: Storage) -> None:
    with serving(Minio("minio", {"parseable-logs": FOREIGN[0].xml})) as double:
        door(double.endpoint).facts()
    assert [
        re.sub(r".*[?&](list-type|versioning|lifecycle).*", r"\1", item.path) for item in double.requests
    ] == [
        "list-type",
        "versioning",
        "lifecycle",
    ]


@pytest.mark.parametrize(
    ("host", "command"),
    [
        ("gateway.s3.svc.cluster.local:9000", "kubectl port-forward -n s3 svc/gateway 19000:9000"),
        ("minio.logs.svc", "kubectl port-forward -n logs svc/minio 19000:80"),
        ("minio-that-is-nowhere:9000", "kubectl port-forward svc/minio-that-is-nowhere 19000:9000"),
        ("s3.example.invalid", ""),
    ],
)
def test_a_name_that_only_the_cluster_knows(host: str, command: str) -> None:
    found = refusal(door(f"http://{host}").facts, UnreachableError)
    assert "its name cannot be resolved" in found.summary
    if command:
        assert f"{command}, and set s3.admin_endpoint to http://127.0.0.1:19000" in found.hint
    else:
        assert found.hint == "check s3.endpoint, the network and the name server"


def test_the_admin_endpoint_is_asked_and_named(unused_port: int) -> None:
    inside = "http://s3.storage.svc.cluster.local:9000"
    with serving(Minio("minio", {"parseable-logs": ""})) as double:
        bucket = door(inside, admin_endpoint=double.endpoint)
        assert bucket.facts().exists
        assert double.endpoint in CreateBucket(bucket).summary
    other = door(inside, admin_endpoint=f"http://127.0.0.1:{unused_port}")
    found = refusal(other.facts, UnreachableError)
    assert found.summary == f"http://127.0.0.1:{unused_port} cannot be reached: connection refused"
    assert found.hint == "check s3.admin_endpoint, the network and the name server"


VERSIONING = "<VersioningConfiguration>{}</VersioningConfiguration>"


@pytest.mark.parametrize(
    ("reply", "versioned"),
    [
        (Reply(200, VERSIONING.format("<Status>Enabled</Status>")), True),
        # Versions from before are still there.
        (Reply(200, VERSIONING.format("<Status>Suspended</Status>")), True),
        (Reply(200, VERSIONING.format("")), False),
        (error(501, "NotImplemented"), False),
        (error(405, "MethodNotAllowed"), False),
        (error(400, "InvalidRequest"), False),
        (Reply(404, "no such page"), False),
        (error(403, "AccessDenied"), None),
    ],
)
def test_whether_a_bucket_keeps_versions(reply: Reply, versioned: bool | None) -> None:
    def answer(request: Request) -> Reply:
        if "lifecycle" in request.path:
            return error(404, "NoSuchLifecycleConfiguration")
        return reply if "versioning" in request.path else listing()

    with serving(answer) as double:
        found = door(double.endpoint).facts()
    assert (found.exists, found.versioned, found.rules, found.unread) == (True, versioned, (), None)


def test_what_parseable_would_not_trust_is_seen_beside_what_is_trusted_here(
    storage: Storage,
    bucket_name: str,
    authority: trustme.CA,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    unused_port: int,
) -> None:
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    monkeypatch.setenv("AWS_CA_BUNDLE", str(tmp_path / "ca.pem"))
    untrusted = storage.bucket(bucket_name, endpoint=storage.tls_endpoint).facts().untrusted
    assert untrusted is not None
    assert ("certificate" in str(untrusted), untrusted.is_authority) == (True, False)
    assert storage.bucket(bucket_name).facts().untrusted is None
    # Nothing is known of what cannot be reached from here.
    inside = f"https://127.0.0.1:{unused_port}"
    asked = storage.bucket(bucket_name, endpoint=inside, admin_endpoint=storage.tls_endpoint)
    assert asked.facts().untrusted is None
    monkeypatch.delenv("AWS_CA_BUNDLE")
    found = refusal(storage.bucket(bucket_name, endpoint=storage.tls_endpoint).facts, UntrustedError)
    assert "s3.ca_config_map" in found.hint
