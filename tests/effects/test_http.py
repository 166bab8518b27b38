"""The door to HTTP, against servers of loopback that answer well, badly and not at all."""

import gc
import io
import socket
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from email.message import Message
from pathlib import Path
from unittest import mock

import pytest
import trustme
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.core.errors import OfflineError, RefusedError
from tasks.effects import http
from tasks.effects.http import NoAnswerError
from tests.registry_double import Reply, Request, Server, serving

ROOMY = 30.0  # seconds: where no silence is expected, however busy the computer


def fine(_: Request) -> Reply:
    return Reply(200, b"content", [("Content-Type", "text/plain"), ("X-More", "a"), ("X-More", "b")])


def redirecting(places: dict[str, str], status: int = 302) -> Callable[[Request], Reply]:
    """Answers a path with a redirect to its place; any other is fine."""
    return lambda asked: (
        Reply(status, b"see there", [("Location", places[asked.path])])
        if asked.path in places
        else fine(asked)
    )


def elsewhere(server: Server) -> str:
    """The same server under another name."""
    return server.url.replace("127.0.0.1", "localhost")


@contextmanager
def saying(content: bytes, *, hold: bool) -> Iterator[str]:
    """The address of a server that sends ``content`` to the first who asks, then closes or is silent."""
    done = threading.Event()

    def serve() -> None:
        with listener.accept()[0] as connection:
            connection.recv(65536)
            connection.sendall(content)
            if hold:
                done.wait(ROOMY)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            done.set()
            thread.join()


@pytest.fixture
def free_port() -> int:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        return int(taken.getsockname()[1])


@pytest.fixture
def trusted(authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> trustme.LeafCert:
    """A certificate for ``web.example.test`` whose authority is trusted."""
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    return authority.issue_cert("web.example.test")


def refusal(url: str, kind: type[RefusedError] = NoAnswerError, timeout: float = ROOMY) -> RefusedError:
    with pytest.raises(RefusedError) as caught:
        http.ask(url, timeout=timeout)
    assert type(caught.value) is kind
    assert caught.value.exit_code == 4
    assert "\n" not in caught.value.summary
    assert caught.value.hint
    return caught.value


# --- answers ---------------------------------------------------------------------------------------------


def test_an_answer() -> None:
    with serving(fine) as server:
        head = http.ask(f"{server.url}/a?b=c#d", headers={"Accept": "text/plain"})
        get = http.ask(f"{server.url}/a", method="GET")
    assert (head.status, head.body, get.body) == (200, b"", b"content")
    assert head.headers["content-TYPE"] == "text/plain"
    assert head.headers.get_all("x-more") == ["a", "b"]
    first, second = server.requests
    assert (first.method, first.path, first.headers["accept"]) == ("HEAD", "/a?b=c", "text/plain")
    assert (second.method, second.path) == ("GET", "/a")
    assert first.headers["User-Agent"] == "parseable-playbook"


@pytest.mark.parametrize("status", [204, 304, 401, 403, 404, 407, 429, 500, 503])
def test_every_status_is_an_answer(status: int) -> None:
    with serving(lambda _: Reply(status)) as server:
        assert http.ask(server.url).status == status
    assert len(server.requests) == 1


@pytest.mark.parametrize("status", [405, 501])
def test_a_server_without_head_is_asked_by_get(status: int) -> None:
    with serving(lambda asked: Reply(status) if asked.method == "HEAD" else fine(asked)) as server:
        answer = http.ask(server.url, headers={"Authorization": "Bearer mine"})
    assert (answer.status, answer.body) == (200, b"content")
    assert server.requests[-1].headers["Authorization"] == "Bearer mine"


@pytest.mark.parametrize("status", [405, 501])
def test_a_get_that_is_refused_is_not_repeated(status: int) -> None:
    with serving(lambda _: Reply(status)) as server:
        assert http.ask(server.url, method="GET").status == status
    assert len(server.requests) == 1


def test_what_is_sent_goes_nowhere_else() -> None:
    with serving(redirecting({"/a": "/b"}, 307)) as server:
        answer = http.ask(f"{server.url}/a", method="POST", body=b"mine", headers={"X-Api-Key": "mine"})
    assert (answer.status, answer.headers["Location"]) == (307, "/b")
    assert [(asked.method, asked.path, asked.body) for asked in server.requests] == [("POST", "/a", b"mine")]


def test_a_forwarded_port_is_asked_past_any_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(fine) as proxy, serving(fine) as server:
        monkeypatch.setenv("http_proxy", proxy.url)
        assert http.ask(f"{server.url}/a", method="PUT", body=b"x", is_direct=True).status == 200
    assert not proxy.requests
    assert [(asked.method, asked.body) for asked in server.requests] == [("PUT", b"x")]


def test_only_the_start_of_a_long_body_is_read() -> None:
    with serving(lambda _: Reply(200, b"x" * (http.BODY_BYTES + 1))) as server:
        assert http.ask(server.url, method="GET").body == b"x" * http.BODY_BYTES


# --- redirects -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("method", ["HEAD", "GET"])
def test_redirects_keep_method_and_headers(status: int, method: http.Method) -> None:
    with serving(redirecting({"/a": "b/c", "/b/c": "/d?e"}, status)) as server:
        answer = http.ask(f"{server.url}/a", method=method, headers={"Authorization": "Bearer mine"})
    assert (answer.status, answer.url) == (200, f"{server.url}/d?e")
    assert [asked.path for asked in server.requests] == ["/a", "/b/c", "/d?e"]
    assert {asked.method for asked in server.requests} == {method}
    assert {asked.headers["Authorization"] for asked in server.requests} == {"Bearer mine"}


def test_a_redirect_to_another_server_takes_no_credentials_along() -> None:
    places: dict[str, str] = {}
    secret = {"Authorization": "Bearer mine", "COOKIE": "mine", "X-Api-Key": "mine"}
    with serving(redirecting(places)) as server, serving(redirecting(places)) as other:
        places |= {
            "/port": f"{other.url}/x",
            "/name": f"{elsewhere(server)}/back",
            "/back": f"{server.url}/y",
        }
        for path in ("/port", "/name"):
            assert http.ask(server.url + path, headers={**secret, "Accept": "text/plain"}).status == 200
    first, second, back, home = server.requests
    assert [asked.path for asked in server.requests] == ["/port", "/name", "/back", "/y"]
    assert all(name in asked.headers for asked in (first, second) for name in secret)
    for asked in (*other.requests, back, home):
        assert "mine" not in str(asked.headers)
        assert asked.headers["Accept"] == "text/plain"
        assert asked.headers["User-Agent"] == "parseable-playbook"


def test_a_redirect_without_a_place_is_an_answer() -> None:
    with serving(lambda _: Reply(302)) as server:
        assert http.ask(server.url).status == 302


def test_redirects_that_do_not_end() -> None:
    with serving(redirecting({"/a": "/b", "/b": "/a"})) as server:
        assert refusal(f"{server.url}/a", OfflineError).summary == f"{server.host} redirects without end"
    assert len(server.requests) == 10


@pytest.mark.parametrize(
    "place",
    [
        "ftp://127.0.0.1/x",
        "file:///etc/passwd",
        "data:,x",
        "http://[::1/x",
        "//a:b/x",
        "http://me:secret@127.0.0.1/",
    ],
)
def test_redirects_to_what_is_not_asked(place: str) -> None:
    with serving(redirecting({"/a": place})) as server:
        refused = refusal(f"{server.url}/a", OfflineError)
    assert "is no address that can be asked" in refused.summary
    assert "secret" not in refused.summary
    assert len(server.requests) == 1


def test_a_redirect_with_raw_bytes() -> None:
    with serving(redirecting({"/a": " /größe und so "})) as server:
        assert http.ask(f"{server.url}/a").status == 200
    assert server.requests[-1].path == "/gr%F6%DFe%20und%20so"


# --- no answer -------------------------------------------------------------------------------------------


def test_nobody_listens(free_port: int) -> None:
    found = refusal(f"http://127.0.0.1:{free_port}/")
    assert found.summary == f"127.0.0.1:{free_port} cannot be reached: Connection refused"
    assert found.hint == "check the address and the network"


def test_no_such_name() -> None:
    # A name longer than any may be; and as the system says it of one that is not known.
    long = "a" * 64 + ".test"
    assert refusal(f"http://{long}/").summary == f"{long} cannot be reached: the name cannot be resolved"
    unknown = socket.gaierror(socket.EAI_NONAME, "Name or service not known")
    with mock.patch("socket.getaddrinfo", side_effect=unknown):
        found = refusal("https://nowhere.test/a")
    assert found.summary == "nowhere.test cannot be reached: the name cannot be resolved"


@pytest.mark.parametrize(
    ("sent", "problem"),
    [
        (b"", "{} did not answer within 0.2 s"),
        (b"HTTP/1.1 200 OK\r\nContent-", "{} did not answer within 0.2 s"),
    ],
)
def test_silence(sent: bytes, problem: str) -> None:
    with saying(sent, hold=True) as url:
        assert refusal(url, timeout=0.2).summary == problem.format(url.removeprefix("http://"))


def test_silence_in_the_middle_of_a_body() -> None:
    with (
        saying(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nfour", hold=True) as url,
        pytest.raises(NoAnswerError, match="did not answer within"),
    ):
        http.ask(url, method="GET", timeout=0.2)


@pytest.mark.parametrize(
    ("sent", "problem"),
    [
        (b"", "{} closed the connection without an answer"),
        (b"SSH-2.0-OpenSSH_9.6\r\n", "{} does not answer as an HTTP server does"),
        (b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 1000, "{} does not answer as an HTTP server does"),
        (b"HTTP/1.1 200 OK\r\nA: " + b"b" * 70_000, "{} does not answer as an HTTP server does"),
    ],
)
def test_what_is_no_answer(sent: bytes, problem: str) -> None:
    with saying(sent, hold=False) as url:
        assert refusal(url).summary == problem.format(url.removeprefix("http://"))


def test_a_chunk_that_breaks_off() -> None:
    with (
        saying(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nfour", hold=False) as url,
        pytest.raises(NoAnswerError, match="does not answer as an HTTP server does"),
    ):
        http.ask(url, method="GET")


# --- TLS and proxies -------------------------------------------------------------------------------------


def test_https_through_a_proxy(trusted: trustme.LeafCert, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(fine, trusted) as server:
        monkeypatch.setenv("https_proxy", f"http://me:secret@{server.host}")
        assert http.ask("https://web.example.test/a", timeout=ROOMY).status == 200
    (asked,) = server.requests
    assert (asked.path, asked.headers["Host"]) == ("/a", "web.example.test")
    assert "Proxy-Authorization" not in asked.headers


def test_a_certificate_that_is_not_trusted(authority: trustme.CA, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(fine, authority.issue_cert("web.example.test")) as server:
        monkeypatch.setenv("https_proxy", server.url)
        found = refusal("https://web.example.test/a")
    assert not server.requests
    assert found.summary.startswith("web.example.test shows a TLS certificate through the proxy")
    assert "that is not trusted: " in found.summary
    assert "SSL_CERT_FILE" in found.hint


def test_a_certificate_for_another_name(trusted: trustme.LeafCert, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(fine, trusted) as server:
        monkeypatch.setenv("https_proxy", server.url)
        found = refusal("https://other.example.test/a")
    assert not server.requests
    assert "other.example.test shows a TLS certificate" in found.summary
    assert "mismatch" in found.summary


def test_tls_where_there_is_none() -> None:
    with serving(fine) as server:
        found = refusal(server.url.replace("http://", "https://"))
    assert found.summary.startswith(f"{server.host} does not speak TLS: ")


def test_no_redirect_leads_out_of_tls(trusted: trustme.LeafCert, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(fine) as plain, serving(redirecting({"/a": f"{plain.url}/x"}), trusted) as server:
        monkeypatch.setenv("https_proxy", server.url)
        found = refusal("https://web.example.test/a", OfflineError)
    assert found.summary == f"web.example.test redirects from https to http, at {plain.host}"
    assert not plain.requests


def test_plain_http_through_a_proxy_and_around_it(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(fine) as proxy, serving(fine) as server:
        monkeypatch.setenv("http_proxy", f"http://me:secret@{proxy.host}")
        assert http.ask(f"{server.url}/a").status == 200
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        assert http.ask(f"{server.url}/b").status == 200
    assert [asked.path for asked in proxy.requests] == [f"{server.url}/a"]
    assert [asked.path for asked in server.requests] == ["/b"]
    assert "Proxy-Authorization" in proxy.requests[0].headers
    assert "Proxy-Authorization" not in server.requests[0].headers


def test_the_proxys_password_is_not_for_those_around_it(monkeypatch: pytest.MonkeyPatch) -> None:
    places: dict[str, str] = {}
    with serving(redirecting(places)) as proxy, serving(fine) as server:
        places["http://web.example.test/a"] = f"{server.url}/b"
        monkeypatch.setenv("http_proxy", f"http://me:secret@{proxy.host}")
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        assert http.ask("http://web.example.test/a").status == 200
    assert "Proxy-Authorization" in proxy.requests[0].headers
    assert "Proxy-Authorization" not in server.requests[0].headers


def test_a_proxy_that_is_not_there(free_port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", f"http://me:secret@127.0.0.1:{free_port}")
    found = refusal("https://web.example.test/a")
    assert found.summary == (
        f"web.example.test cannot be reached through the proxy 127.0.0.1:{free_port}: Connection refused"
    )
    assert found.hint == "check the proxy and the network"


def test_a_proxy_that_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(fine) as server:
        monkeypatch.setenv("https_proxy", server.url)
        found = refusal("https://web.example.test/a")
    assert found.summary == (
        f"web.example.test cannot be reached through the proxy {server.host}: "
        "Tunnel connection failed: 403 Forbidden"
    )
    # http.client of Python 3.11 leaves the refused tunnel's socket to the garbage collector.
    del found
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


# --- addresses -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [
        "",
        "/etc/passwd",
        "file:///etc/passwd",
        "ftp://127.0.0.1/a",
        "127.0.0.1/a",
        "http:///a",
        "http://[::1/a",
        "http://127.0.0.1:0/",
        "http://127.0.0.1:65536/",
        "http://127.0.0.1:port/",
        "http://127.0.0.1/a b",
        "http://127.0.0.1/ä",
        "http://127.0.0.1/a\r\nX: y",
        "http://me:secret@127.0.0.1/a?token=secret",
        "https://secret@127.0.0.1:port/#secret",
    ],
)
def test_what_is_no_address(url: str) -> None:
    found = refusal(url, OfflineError)
    assert "is no address that can be asked" in found.summary
    assert "secret" not in found.summary + found.hint


TAILS = st.text(st.sampled_from("ab0:/?#[]@%&=+ .\\\r\n\x00ä🙂"), max_size=20) | st.text(max_size=20)


@settings(deadline=None)
@given(TAILS)
def test_any_text_is_answered_or_refused(tail: str) -> None:
    def not_connected(*_: object, **__: object) -> socket.socket:
        raise ConnectionRefusedError(111, "Connection refused")

    with mock.patch("socket.create_connection", not_connected):
        for url in (tail, f"http://{tail}", f"https://127.0.0.1:1{tail}"):
            with pytest.raises(RefusedError):
                http.ask(url)


@settings(deadline=None)
@given(TAILS)
def test_a_redirect_to_any_text_is_followed_or_refused(place: str) -> None:
    answer = http.Answer("http://127.0.0.1/a", 302, Message(), b"")
    answer.headers["Location"] = place.encode().decode("iso-8859-1").replace("\r", "").replace("\n", "")
    with mock.patch("tasks.effects.http._exchange", return_value=answer), pytest.raises(RefusedError):
        http.ask(answer.url)


@settings(deadline=None)
@given(st.binary(max_size=60))
def test_any_bytes_are_an_answer_or_none(sent: bytes) -> None:
    connection = mock.Mock()
    connection.makefile.return_value = io.BytesIO(b"HTTP/1.1 " + sent)
    with mock.patch("socket.create_connection", return_value=connection), suppress(NoAnswerError):
        assert http.ask("http://127.0.0.1/", method="GET").status >= 100


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("localhost", True),
        ("LOCALHOST:80", True),
        ("127.0.0.1:5000", True),
        ("127.9.9.9", True),
        ("[::1]:5000", True),
        ("localhost.example.test", False),
        ("192.168.0.1", False),
        ("[2001:db8::1]", False),
        ("127.0.0.1.example.test", False),
    ],
)
def test_loopback(host: str, expected: bool) -> None:
    assert http.is_loopback(http.address(f"https://{host}/v2/")) is expected
