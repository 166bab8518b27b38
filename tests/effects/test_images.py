"""The door to registries, against one that speaks their protocol on loopback."""

import contextlib
import re
import threading
from pathlib import Path
from time import monotonic

import pytest
import trustme
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.core.errors import OfflineError
from tasks.effects import http, images
from tasks.effects.http import NoAnswerError
from tasks.effects.images import Image, exists
from tests.registry_double import INDEX, Registry, Reply, Request, registry_with_tokens, serving

DIGEST = "sha256:" + "0123456789abcdef" * 4


# --- references ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "host", "repository", "reference"),
    [
        ("parseable/parseable:v1.7.3", "registry-1.docker.io", "parseable/parseable", "v1.7.3"),
        ("nginx", "registry-1.docker.io", "library/nginx", "latest"),
        ("nginx:1.27", "registry-1.docker.io", "library/nginx", "1.27"),
        (f"nginx@{DIGEST}", "registry-1.docker.io", "library/nginx", DIGEST),
        ("docker.io/nginx", "registry-1.docker.io", "library/nginx", "latest"),
        ("docker.io/library/nginx", "registry-1.docker.io", "library/nginx", "latest"),
        ("index.docker.io/a/b", "registry-1.docker.io", "a/b", "latest"),
        ("registry-1.docker.io/a/b", "registry-1.docker.io", "a/b", "latest"),
        (f"host:5000/a/b:tag@{DIGEST}", "host:5000", "a/b", DIGEST),
        ("localhost/a", "localhost", "a", "latest"),
        ("127.0.0.1:5000/a:5050", "127.0.0.1:5000", "a", "5050"),
        ("[fc00::1]:5000/a/b", "[fc00::1]:5000", "a/b", "latest"),
        ("quay.io/a/b/c_d/e__f/g---h/i.j:V_1.0-x", "quay.io", "a/b/c_d/e__f/g---h/i.j", "V_1.0-x"),
        ("ghcr.io/a/b@sha512:" + "0" * 128, "ghcr.io", "a/b", "sha512:" + "0" * 128),
        # Without a slash it is a tag, not a port; a first part with capital letters can only be a host.
        ("example.test:5000", "registry-1.docker.io", "library/example.test", "5000"),
        ("REGISTRY/a", "REGISTRY", "a", "latest"),
        ("a/" * 127 + "b", "registry-1.docker.io", "a/" * 127 + "b", "latest"),
        ("a:" + "t" * 128, "registry-1.docker.io", "library/a", "t" * 128),
        ("ghcr.io/" + "a" * 64, "ghcr.io", "a" * 64, "latest"),
    ],
)
def test_references(text: str, host: str, repository: str, reference: str) -> None:
    found = Image.parse(text)
    assert (found.host, found.repository, found.reference) == (host, repository, reference)


def test_an_image_shows_all_that_was_left_out() -> None:
    assert str(Image.parse("nginx")) == "docker.io/library/nginx:latest"
    assert str(Image.parse(f"ghcr.io/a/b:c@{DIGEST}")) == f"ghcr.io/a/b@{DIGEST}"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "repository"),
        (":tag", "repository"),
        ("a//b", "repository"),
        ("a/", "repository"),
        ("/a", "repository"),
        ("a..b/c", "registry"),
        ("ghcr.io/a..b", "repository"),
        ("a_.b", "repository"),
        ("-a/b", "repository"),
        (" nginx", "repository"),
        ("nginx\n", "repository"),
        ("größe", "repository"),
        ("0" * 64, "repository"),
        ("ghcr.io/" + "a" * 256, "repository"),
        ("Nginx", "repository 'library/Nginx', which has capital letters"),
        ("parseable/Parseable", "repository 'parseable/Parseable', which has capital letters"),
        ("https://ghcr.io/a/b", "registry 'https:'"),
        ("fc00::1:5000/a", "registry"),
        ("-a.test/b", "registry"),
        ("a.test:port/b", "registry"),
        ("a.test:٣/b", "registry"),
        ("a:", "tag ''"),
        ("a:-b", "tag '-b'"),
        ("a:b c", "tag 'b c'"),
        ("a:ä", "tag 'ä'"),
        ("a:b\n", "tag"),
        ("a:" + "t" * 129, "tag"),
        ("[::1]", "tag"),
        ("a@", "digest ''"),
        ("a@sha256:00", "digest"),
        ("a@" + DIGEST.upper(), "digest"),
        ("a@" + DIGEST + "\n", "digest"),
        ("a@md5:" + "0" * 32, "digest"),
        (f"a@{DIGEST}@{DIGEST}", "digest"),
        (f"a@{DIGEST}:tag", "digest"),
    ],
)
def test_what_is_no_reference(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=f"^image {re.escape(repr(text))} has the {problem}") as caught:
        Image.parse(text)
    assert "\n" not in str(caught.value)


LABELS = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,5}[a-z0-9])?", fullmatch=True)
HOSTS = st.builds(
    lambda labels, port: ".".join(labels) + port,
    st.lists(LABELS, min_size=2, max_size=3),
    st.sampled_from(["", ":5000"]),
)
PARTS = st.from_regex(r"[a-z0-9]{1,3}((\.|_|__|-{1,3})[a-z0-9]{1,3}){0,2}", fullmatch=True)
REPOSITORIES = st.lists(PARTS, min_size=1, max_size=4).map("/".join)
TAGS = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,9}", fullmatch=True)


@settings(deadline=None)
@given(HOSTS, REPOSITORIES, st.none() | TAGS, st.booleans())
def test_a_whole_reference_is_taken_apart(host: str, repository: str, tag: str | None, pinned: bool) -> None:
    text = f"{host}/{repository}" + (f":{tag}" if tag else "") + (f"@{DIGEST}" if pinned else "")
    expected = DIGEST if pinned else tag or "latest"
    assert Image.parse(text) == Image(host, repository, expected)


@settings(deadline=None)
@given(REPOSITORIES.filter(lambda text: not re.match(r"[^/]*[.][^/]*/|localhost/", text)), st.none() | TAGS)
def test_a_name_without_registry_is_docker_hubs(repository: str, tag: str | None) -> None:
    found = Image.parse(repository + (f":{tag}" if tag else ""))
    full = repository if "/" in repository else f"library/{repository}"
    assert found == Image("docker.io", full, tag or "latest")


NOISE = st.text(st.sampled_from("ab.A0:/@_-[] \n\x00ä%?#"), max_size=24) | st.text(max_size=24)


@settings(deadline=None)
@given(NOISE | st.tuples(HOSTS, NOISE).map("/".join))
def test_any_text_is_an_image_or_not(text: str) -> None:
    try:
        found = Image.parse(text)
    except ValueError:
        return
    assert Image.parse(str(found)) == found
    # Nothing in it can lead elsewhere in the address that is asked.
    assert re.fullmatch(r"[a-z0-9._/-]+", found.repository)
    assert not {"", ".", ".."} & set(found.repository.split("/"))
    assert re.fullmatch(r"[A-Za-z0-9.:_-]+", found.reference)


# --- existence -------------------------------------------------------------------------------------------


def refusal(image: str, kind: type[OfflineError] = OfflineError) -> OfflineError:
    with pytest.raises(OfflineError) as caught:
        exists(Image.parse(image))
    assert type(caught.value) is kind
    assert caught.value.hint
    assert "\n" not in caught.value.summary
    return caught.value


def test_a_registry_with_tokens() -> None:
    with registry_with_tokens() as (server, registry):
        digest = registry.push("parseable/parseable", "v1.7.3")
        for reference, expected in ((":v1.7.3", True), (f"@{digest}", True), (":v1", False)):
            assert exists(Image.parse(f"{server.host}/parseable/parseable{reference}")) is expected
        assert exists(Image.parse(f"{server.host}/parseable/parseable:v1@{DIGEST}")) is False
        assert exists(Image.parse(f"{server.host}/other:v1.7.3")) is False
    assert [asked.method for asked in server.requests[:3]] == ["HEAD", "GET", "HEAD"]
    assert (
        server.requests[1].path
        == "/token?service=registry.example.test&scope=repository%3Aparseable%2Fparseable%3Apull"
    )
    first, _, second = server.requests[:3]
    assert "Authorization" not in first.headers
    assert first.headers["Accept"] == second.headers["Accept"]


def test_a_registry_without_tokens() -> None:
    registry = Registry()
    registry.push("a/b", "1")
    with serving(registry) as server:
        assert exists(Image.parse(f"{server.host}/a/b:1")) is True
        assert exists(Image.parse(f"{server.host}/a/b")) is False
        assert exists(Image.parse(f"localhost:{server.host.rpartition(':')[2]}/a/b:1")) is True
    assert all("Authorization" not in asked.headers for asked in server.requests)


@pytest.mark.parametrize(
    "media_type",
    [
        INDEX,
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
        "application/vnd.docker.distribution.manifest.v2+json",
    ],
)
def test_every_form_of_a_manifest_is_asked_for(media_type: str) -> None:
    registry = Registry()
    registry.push("a", "1", media_type)
    with serving(registry) as server:
        assert exists(Image.parse(f"{server.host}/a:1")) is True


def test_a_registry_without_head() -> None:
    with registry_with_tokens(lacks_head=True) as (server, registry):
        registry.push("a", "1")
        assert exists(Image.parse(f"{server.host}/a:1")) is True
        assert exists(Image.parse(f"{server.host}/a:2")) is False


def test_an_access_token_is_a_token() -> None:
    with registry_with_tokens(token_field="access_token") as (server, registry):
        registry.push("a", "1")
        assert exists(Image.parse(f"{server.host}/a:1")) is True


@pytest.mark.parametrize("features", [{"forbidden": 401}, {"forbidden": 403}, {"denies_tokens": True}])
def test_private_or_not_there(features: dict[str, object]) -> None:
    with registry_with_tokens(private=frozenset({"a/b"}), **features) as (server, registry):
        registry.push("a/b", "1")
        found = refusal(f"{server.host}/a/b:1")
    image = f"{server.host}/a/b:1"
    assert found.summary == (
        f"{server.host} does not show {image} without an account: it is private, or not there"
    )
    assert image in found.hint
    assert len(server.requests) <= 3


@pytest.mark.parametrize("features", [{"failing": 429}, {"token_failing": 429}])
def test_too_many_questions(features: dict[str, int]) -> None:
    with registry_with_tokens(**features) as (server, _):
        assert "answers no more questions for now (HTTP 429)" in refusal(f"{server.host}/a:1").summary


@pytest.mark.parametrize("features", [{"failing": 500}, {"failing": 418}, {"token_failing": 503}])
def test_a_registry_that_fails(features: dict[str, int]) -> None:
    with registry_with_tokens(**features) as (server, _):
        found = refusal(f"{server.host}/a:1")
    (status,) = features.values()
    assert found.summary == f"{server.host} answered HTTP {status} when asked for {server.host}/a:1"


def test_a_server_of_tokens_that_is_not_found_says_nothing_of_the_image() -> None:
    with registry_with_tokens(token_failing=404) as (server, _):
        assert "answered HTTP 404" in refusal(f"{server.host}/a:1").summary


def test_what_is_no_registry() -> None:
    page = Reply(200, b"<html>log in</html>", [("Content-Type", "text/html; charset=utf-8")])
    with serving(lambda _: page) as server:
        assert refusal(f"{server.host}/a:1").summary == f"{server.host} does not answer as a registry"


@pytest.mark.parametrize(
    "headers",
    [
        [("Docker-Content-Digest", DIGEST)],  # of the oldest kind of manifest, whatever was asked for
        [("Content-Type", f"{INDEX}; charset=utf-8")],  # the digest was not always demanded
    ],
)
def test_registries_of_old(headers: list[tuple[str, str]]) -> None:
    with serving(lambda _: Reply(200, b"{}", headers)) as server:
        assert exists(Image.parse(f"{server.host}/a:1")) is True


def test_nobody_answers() -> None:
    with serving(Registry()) as server:
        pass
    assert "cannot be reached" in refusal(f"{server.host}/a:1", NoAnswerError).summary
    assert "is no address" in refusal("127.0.0.1:99999/a:1").summary


def test_the_double_leaves_no_thread() -> None:
    before = threading.active_count()
    with registry_with_tokens() as (server, _):
        exists(Image.parse(f"{server.host}/a:1"))
        assert threading.active_count() > before
    assert threading.active_count() == before


# --- the way over TLS ------------------------------------------------------------------------------------


@pytest.fixture
def trusted(authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> trustme.LeafCert:
    """The certificate of a proxy that plays all servers of these tests."""
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    return authority.issue_cert("registry-1.docker.io", "auth.docker.io", "registry.example.test")


def test_docker_hub(trusted: trustme.LeafCert, monkeypatch: pytest.MonkeyPatch) -> None:
    hub = Registry(realm="https://auth.docker.io/token", service="registry.docker.io")
    hub.push("library/nginx", "latest")
    with serving(hub, trusted) as server:
        monkeypatch.setenv("https_proxy", server.url)
        assert exists(Image.parse("nginx")) is True
        assert exists(Image.parse("parseable/parseable:v1.7.3")) is False
    hosts = [asked.headers["Host"] for asked in server.requests[:3]]
    assert hosts == ["registry-1.docker.io", "auth.docker.io", "registry-1.docker.io"]


@pytest.mark.parametrize("realm", ["http://auth.docker.io/token", "http://127.0.0.1:1/token"])
def test_tokens_are_fetched_over_tls(
    trusted: trustme.LeafCert, monkeypatch: pytest.MonkeyPatch, realm: str
) -> None:
    with serving(Registry(realm=realm), trusted) as server:
        monkeypatch.setenv("https_proxy", server.url)
        monkeypatch.setenv("http_proxy", server.url)
        found = refusal("registry.example.test/a:1")
    assert found.summary.startswith("registry.example.test gives out tokens at ")
    assert found.summary.endswith(" without TLS")
    assert len(server.requests) == 1


def test_a_registry_here_gives_no_tokens_elsewhere_without_tls() -> None:
    with serving(Registry(realm="http://auth.example.test/token")) as server:
        assert refusal(f"{server.host}/a:1").summary.endswith("at auth.example.test without TLS")
    assert len(server.requests) == 1


def test_the_token_goes_to_who_wants_it() -> None:
    """Of two registries, the first redirects to the second, which wants a token."""
    with registry_with_tokens() as (server, registry):
        registry.push("a/b", "1")
        moved = [("Location", f"{server.url}/v2/a/b/manifests/1")]
        with serving(lambda _: Reply(307, b"", moved)) as front:
            assert exists(Image.parse(f"{front.host}/b:1")) is True
    assert front.requests
    assert all("Authorization" not in asked.headers for asked in front.requests)


# --- challenges ------------------------------------------------------------------------------------------


def asked_after(*challenges: str) -> str | None:
    """The path at which a token is fetched after a 401 with these headers, where {} is the server."""
    tokens: list[str] = []

    def answer(request: Request) -> Reply:
        if request.path.startswith("/v2/"):
            return Reply(
                401, b"", [("WWW-Authenticate", text.replace("{}", server.url)) for text in challenges]
            )
        tokens.append(request.path)
        return Reply(200, b"{}")

    with serving(answer) as server:
        refusal(f"{server.host}/a:1")
    return tokens[0] if tokens else None


@pytest.mark.parametrize(
    ("challenges", "expected"),
    [
        (['Bearer realm="{}/t",service="x",scope="s"'], "/t?service=x&scope=s"),
        (['bearer  Realm = "{}/t" , SERVICE="x",scope="s"'], "/t?service=x&scope=s"),
        # Commas, blanks and quotes in quotes; more than one scope.
        (['Bearer realm="{}/t",scope="r:a:pull,x r:b:pull"'], "/t?scope=r%3Aa%3Apull%2Cx&scope=r%3Ab%3Apull"),
        (['Bearer error="a, \\"b\\" realm=\\"no\\"",realm="{}/t",scope="s"'], "/t?scope=s"),
        (['Bearer realm="{}/t",service="a \\"b\\" & c",scope="s"'], "/t?service=a+%22b%22+%26+c&scope=s"),
        (['Bearer realm="{}/t"'], "/t?scope=repository%3Aa%3Apull"),
        (['Bearer realm="{}/t",scope=""'], "/t?scope=repository%3Aa%3Apull"),
        (['Bearer realm="{}/t?account=x#y",scope="s"'], "/t?account=x&scope=s"),
        (["Bearer realm={}/t,service=x,scope=s"], "/t?service=x&scope=s"),
        # Other schemes before, after, and in headers of their own.
        (['Basic realm="no", Bearer realm="{}/t",scope="s"'], "/t?scope=s"),
        (['Negotiate YW/j==, Bearer realm="{}/t",scope="s", Basic realm="no"'], "/t?scope=s"),
        (['Negotiate, Bearer realm="{}/t",scope="s",'], "/t?scope=s"),
        (['Basic realm="no"', 'Bearer realm="{}/t",scope="s"'], "/t?scope=s"),
        (['Bearer "', 'Bearer realm="{}/t",scope="s"'], "/t?scope=s"),
        (['Bearer realm="{}/t",realm="{}/u",scope="s"'], "/t?scope=s"),
    ],
)  # fmt: skip
def test_challenges(challenges: list[str], expected: str) -> None:
    assert asked_after(*challenges) == expected


@pytest.mark.parametrize(
    "challenges",
    [
        [],
        [""],
        ["Bearer"],
        ['Basic realm="{}/t"'],
        ['realm="{}/t"'],
        ['Bearer service="x",scope="s"'],
        ['Bearer realm="{}/t'],
        ['Bearer realm="{}/t" service="x"'],
        ['Bearer realm="{}/t",scope="s'],
        ['Bearer realm="{}/t"x'],
        ['Bearer realm="{}/t\\"'],
        ["Bearer realm="],
        ["Bearer realm"],
        ['Bearer error="x", Digest realm="{}/t"'],
        ["," * 60000],
    ],
)
def test_challenges_that_lead_nowhere(challenges: list[str]) -> None:
    assert asked_after(*challenges) is None


@pytest.mark.parametrize(
    "realm",
    ["", "token", "/token", "file:///etc/passwd", "ftp://127.0.0.1/t", "https://me:secret@127.0.0.1/"],
)
def test_realms_that_are_no_address(realm: str) -> None:
    assert asked_after(f'Bearer realm="{realm}"') is None


@settings(deadline=None)
@given(st.text(st.sampled_from('aB=", \\\tB1~') | st.characters(max_codepoint=255), max_size=30))
def test_any_challenge_can_be_told_from_a_good_one(text: str) -> None:
    assert images._bearer([text, 'Bearer realm="r"']).get("realm") or text
    assert all(name == name.lower() for name in images._bearer([f"Bearer {text}"]))


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{}", b"[]", b"null", b'"token"', b"\xff", b'{"token": ""}', b'{"token": 1}',
        b'{"token": ["a"]}', b'{"token": "a b"}', b'{"token": "a\\r\\nX: y"}', b'{"token": "\\u00e4"}',
        b"[" * 100_000, b'{"token": "' + b"a" * http.BODY_BYTES + b'"}',
    ],
)  # fmt: skip
def test_what_is_no_token(body: bytes) -> None:
    def answer(request: Request) -> Reply:
        if request.path.startswith("/v2/"):
            return Reply(401, b"", [("WWW-Authenticate", f'Bearer realm="{server.url}/t"')])
        return Reply(200, body)

    with serving(answer) as server:
        found = refusal(f"{server.host}/a:1")
    assert found.summary == f"{server.host} gives no token for {server.host}"
    assert len(server.requests) == 2


@pytest.mark.parametrize("piece", ["a", "a.", "a__", "a-", "a/", "a:", "@", "sha256:", "[", "A"])
def test_no_name_takes_ages_or_fills_the_screen(piece: str) -> None:
    start = monotonic()
    for text in (piece * 1_000_000, piece * 400, f"{piece * 300}!"):
        with contextlib.suppress(ValueError):
            Image.parse(text)
    with pytest.raises(ValueError, match="is longer than any can be") as caught:
        Image.parse(piece * 1_000_000)
    assert len(str(caught.value)) < 200
    assert monotonic() - start < 20
