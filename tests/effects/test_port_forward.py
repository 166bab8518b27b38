"""Forwarded ports, with a program that behaves as kubectl does."""

import time
from collections.abc import Iterator
from http.client import HTTPConnection
from urllib.parse import urlsplit

import pytest

from tasks.effects import http, port_forward
from tasks.effects.api_errors import ClusterError, ForbiddenError, NotFoundError, PodError, UnauthorizedError
from tasks.effects.port_forward import Forwards, Target
from tests.kubectl_double import KubectlDouble, kubectl
from tests.registry_double import Reply, Server, serving

__all__ = ["kubectl"]

KEY = "monitoring/service/parseable:8000"
TARGET = Target("monitoring", "service/parseable", 8000)


@pytest.fixture
def server() -> Iterator[Server]:
    with serving(lambda asked: Reply(200, asked.path.encode())) as found:
        yield found


@pytest.fixture
def forwards() -> Iterator[Forwards]:
    found = Forwards(lambda: ("--context", "home"))
    yield found
    found.close()


def got(url: str) -> bytes:
    return http.ask(url, method="GET", is_direct=True).body


def test_a_port_leads_to_the_pod_until_it_is_closed(
    kubectl: KubectlDouble, server: Server, forwards: Forwards
) -> None:
    kubectl.forward(KEY, server.url)
    url = forwards.url(TARGET)
    assert (got(f"{url}/a"), forwards.url(TARGET), got(f"{url}/b")) == (b"/a", url, b"/b")
    assert [call[1:] for call in kubectl.calls] == [
        [
            *("--context", "home", "port-forward", "--namespace", "monitoring", "--address", "127.0.0.1"),
            *("--pod-running-timeout=5s", "service/parseable", ":8000"),
        ]
    ]
    assert kubectl.is_running()
    forwards.close()
    assert not kubectl.is_running()
    with pytest.raises(ClusterError, match="is closed"):
        forwards.url(TARGET)


def test_what_broke_is_opened_again(kubectl: KubectlDouble, server: Server, forwards: Forwards) -> None:
    kubectl.forward(KEY, server.url, lost_at=2)
    url = forwards.url(TARGET)
    assert got(url) == b"/"
    with pytest.raises(http.NoAnswerError):
        got(url)
    deadline = time.monotonic() + 5
    while kubectl.is_running() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert got(forwards.url(TARGET)) == b"/"
    assert len(kubectl.calls) == 2


BY_HAND = f"try it: kubectl port-forward -n monitoring {TARGET.object} :{TARGET.port}"
FORBIDDEN = (
    'pods "parseable-0" is forbidden: User "me" cannot create resource "pods/portforward" in API group "" '
    'in the namespace "monitoring"'
)


@pytest.mark.parametrize(
    ("says", "kind", "summary", "hint"),
    [
        (
            f"Error from server (Forbidden): {FORBIDDEN}",
            ForbiddenError,
            FORBIDDEN,
            "grant get and create of pods/portforward in that namespace",
        ),
        (
            "error: unable to forward port because pod is not running. Current status=Pending",
            PodError,
            "in namespace monitoring cannot be reached: unable to forward port because pod",
            "see the pods: kubectl get pods -n monitoring",
        ),
        (
            "E1125 memcache.go:265] Unhandled\nerror: You must be logged in to the server (Unauthorized)",
            UnauthorizedError,
            "cannot be reached: You must be logged in to the server",
            "log in, then try: kubectl auth whoami",
        ),
        (
            "error: timed out waiting for the condition",
            PodError,
            "cannot be reached: timed out waiting for the condition",
            "see the pods: kubectl get pods -n monitoring",
        ),
        (
            "",
            ClusterError,
            "cannot be reached: kubectl ended without a word",
            BY_HAND,
        ),
        (
            "Unable to connect to the server: getting credentials: exec: executable aws not found",
            ClusterError,
            "cannot be reached: Unable to connect to the server: getting credentials",
            BY_HAND,
        ),
    ],
    ids=["forbidden", "pending", "unauthorized", "no pod", "silent", "no login"],
)
def test_why_it_does_not_get_ready(
    kubectl: KubectlDouble, forwards: Forwards, says: str, kind: type[ClusterError], summary: str, hint: str
) -> None:
    kubectl.forward(KEY, says=says)
    with pytest.raises(ClusterError) as caught:
        forwards.url(TARGET)
    assert type(caught.value) is kind
    assert summary in caught.value.summary
    assert caught.value.hint == hint
    # Mended, it is tried again.
    with serving(lambda _: Reply(200, b"now")) as server:
        kubectl.forward(KEY, server.url)
        assert got(forwards.url(TARGET)) == b"now"
        forwards.close()


def test_what_is_not_there(kubectl: KubectlDouble, forwards: Forwards) -> None:
    with pytest.raises(NotFoundError, match=r'monitoring cannot be reached: services "parseable" not found'):
        forwards.url(TARGET)


def test_one_that_never_gets_ready_is_ended(
    kubectl: KubectlDouble, forwards: Forwards, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(port_forward, "SECONDS", 0.5)
    kubectl.forward(KEY, never=True)
    with pytest.raises(ClusterError, match=r"was not forwarded within 0\.5 s"):
        forwards.url(TARGET)
    assert not kubectl.is_running()


def test_the_program_ends_with_a_failing_block(kubectl: KubectlDouble, server: Server) -> None:
    kubectl.forward(KEY, server.url)
    forwards = Forwards(tuple)
    try:
        connection = HTTPConnection(urlsplit(forwards.url(TARGET)).netloc, timeout=5)
        connection.request("GET", "/kept-open")
        assert connection.getresponse().read() == b"/kept-open"
    finally:
        forwards.close()
    connection.close()
    assert not kubectl.is_running()
