"""Sentences that quote other people's texts, and what programs say."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks.core.errors import PlaybookError, RefusedError
from tasks.core.outcomes import failed
from tasks.core.redaction import redacted
from tasks.core.secret_names import covers, is_pointer, sounds_secret

ROOT = Path(__file__).resolve().parents[2]
PEM = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nhunter2\nhunter2\n-----END ENCRYPTED PRIVATE KEY-----"


@pytest.mark.parametrize(
    "text",
    [
        "cannot reach https://me:hunter2@host.test/x",
        "cannot reach https://me:hun/ter2?hunter2@host.test/x",
        "cannot reach https://hunter2@host.test",
        "database me:hunter2@tcp(db:3306)/x is away",
        "it posts to https://hooks.slack.com/services/T0/B0/hunter2",
        "sent 'Authorization: Bearer hunter2.x-y', got 401",
        "sent Authorization=Basic aHVudGVyMg-hunter2==",
        'header "X-Api-Key: hunter2" is refused',
        "--token hunter2 is refused; --password=hunter2 too",
        "Server=db;User Id=sa;Password=hunter2 hunter2;Encrypt=true",
        "https://host.test/x?user=me&access_token=hunter2&b=1",
        "values: {'password': 'hunter2', 'user': 'me'}",
        "values: {'password': 'hun\\'ter2 hunter2', 'user': 'me'}",
        r"json: {\"password\":\"hunter2\",\"user\":\"me\"}",
        "map[password:hunter2 user:me]",
        "spec.password is 'hunter2', not 5",
        "the passphrase is hunter2 there",
        'spec.token: Invalid value: "hunter2": must be short',
        'api-key: Invalid value: "hunter2": must be short',
        "client-secret: Invalid value: hunter2",
        "the hook said:\n  client-secret: hunter2",
        "the hook said:\n+  password: |\n+    hunter2\n+    hunter2\n+  user: me",
        "+  tls.key: >-\n+    hunter2",
        '{"name": "DB_PASSWORD", "value": "hunter2"}',
        "env: name=DB_PASSWORD, value=hunter2",
        f"it holds {PEM} there",
        f"it holds {PEM[:40]}",
        "AGE-SECRET-KEY-1HUNTER2",
        "Secret:      hunter2",
        "password=\"hunter2 'hunter2'\"",
        "password='it''s hunter2'",
    ],
)
def test_a_secret_is_in_no_sentence(text: str) -> None:
    assert "hunter2" not in redacted(text).lower()
    assert "(not shown)" in redacted(text)
    error = RefusedError(text, text)
    told = failed(text, text, text)
    for said in (str(error), error.hint, *error.args, told.evidence, told.consequence, told.remedy):
        assert "hunter2" not in str(said).lower()
    assert redacted(redacted(text)) == redacted(text)


@pytest.mark.parametrize(
    "text",
    [
        "ServiceMonitor x: spec.endpoints.0.basicAuth.password.name is not set",
        "spec.x.basicAuthPassword is something else, not '$PARSEABLE_PASSWORD'",
        "P_S3_ACCESS_KEY is not set from key S3_ACCESS_KEY_ID of parseable-s3-secret",
        "sops cannot decrypt kubernetes/apps/x/secret.sops.yaml: Error getting data key: 0 successful groups",
        "Secret monitoring/parseable-s3-secret: spec.ports: Required value",
        "no Secret parseable-s3-secret: the pods would not start",
        "the Secret is monitoring/a, not monitoring/b",
        "image ghcr.io/x/token-service:v1.2.3@sha256:0123 is not there",
        "https://host.test:8443/x, ssh://git@github.com/x/y.git, mail me@host.test, http://host.test/@x",
        "it needs basic authentication; a bearer token is missing",
        "AuthorizationHeaderMalformed: the date is wrong",
        "InvalidAccessKeyId: The AWS Access Key Id you provided does not exist in our records",
        "ExpiredToken: The provided token has expired",
        "secretKeyRef: {name: a, key: b}",
        "secretName: parseable-s3-secret",
        "password: ${PARSEABLE_PASSWORD}, token=$TOKEN",
        "set SOPS_AGE_KEY_FILE, or S3_ACCESS_KEY_ID and S3_SECRET_ACCESS_KEY",
    ],
)
def test_what_holds_no_secret_stays(text: str) -> None:
    assert redacted(text) == text


def sentences() -> Iterator[tuple[str, str]]:
    """Every text of the code, with something in the place of what is filled in."""
    for path in (*(ROOT / "tasks").rglob("*.py"), *(ROOT / "checks").rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        documentation = {node.value for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        for node in ast.walk(tree):
            if isinstance(node, ast.JoinedStr):
                parts = [part.value if isinstance(part, ast.Constant) else "Xx1" for part in node.values]
                yield f"{path.name}:{node.lineno}", "".join(map(str, parts))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in documentation:
                yield f"{path.name}:{node.lineno}", node.value


def test_our_own_sentences_stay() -> None:
    # Regular expressions and documentation look like anything.
    others = [text for _, text in sentences() if "\\" not in text and "\n" not in text and "(?" not in text]
    assert len(others) > 1000
    assert [text for text in others if redacted(text) != text and "@" not in text] == []


def test_an_error_in_an_error_keeps_its_words() -> None:
    inner = RefusedError("password=hunter2 is refused", "use token=hunter2")
    outer = PlaybookError(f"TASK-001: {inner.summary}", f"{inner.hint}; then run again")
    assert outer.summary == "TASK-001: password=(not shown) is refused"
    assert outer.hint == "use token=(not shown); then run again"


@pytest.mark.parametrize(
    ("name", "secret"),
    [
        ("adminPassword", True),
        ("ADMIN_PASSWORD", True),
        ("dbpass", True),
        ("bypass", False),
        ("compass", False),
        ("tls.key", True),
        ("tlsKey", True),
        ("topologyKey", False),
        ("public_key", False),
        ("key", False),
        ("salt", True),
        ("basalt", False),
        ("basicAuth", True),
        ("basicAuthUser", False),
        ("authority", False),
        ("APIKey", True),
        ("port", False),
        ("", False),
    ],
)
def test_names(name: str, secret: bool) -> None:
    assert sounds_secret(name) is secret


def test_names_that_say_where_a_secret_is() -> None:
    assert is_pointer("secretName", "grafana-admin")
    assert is_pointer("existingSecret", "grafana-admin")
    assert is_pointer("passwordFile", "/run/secrets/x")
    assert not is_pointer("passwordFile", "hunter2")
    assert not is_pointer("secretName", "not a name")
    assert not is_pointer("password", "grafana-admin")
    assert covers("credentials")
    assert not covers("secretRef")
