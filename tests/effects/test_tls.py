"""Certificates as others see them, shown by real servers."""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from socketserver import BaseRequestHandler, ThreadingTCPServer
from threading import Thread

import pytest
import trustme

from tasks.effects.tls import Distrust, distrust_of
from tests.storage import Storage


@contextmanager
def showing(chain: Path, key: Path) -> Iterator[str]:
    """A server on loopback that does nothing but show a certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain, key)

    class Server(ThreadingTCPServer):
        daemon_threads = True

        def finish_request(self, request: object, address: object) -> None:
            with suppress(OSError):  # a client that does not trust it hangs up
                context.wrap_socket(request, server_side=True).close()  # type: ignore[arg-type]

    with Server(("127.0.0.1", 0), BaseRequestHandler) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield f"https://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def pem(authority: trustme.CA) -> str:
    return authority.cert_pem.bytes().decode()


def test_the_right_authority_is_trusted_and_another_is_not(storage: Storage, authority: trustme.CA) -> None:
    assert distrust_of(storage.tls_endpoint, text=pem(authority)) is None
    assert distrust_of(storage.tls_endpoint, text=f"{pem(trustme.CA())}{pem(authority)}") is None
    other = distrust_of(storage.tls_endpoint, text=pem(trustme.CA()))
    assert other is not None
    assert ("certificate" in other.reason, other.is_authority) == (True, False)


@pytest.mark.parametrize(
    "text", ["", "no certificate", "-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n"]
)
def test_what_is_no_certificate_makes_nobody_trust(storage: Storage, text: str) -> None:
    assert distrust_of(storage.tls_endpoint, text=text) == Distrust(
        "the authority is no certificate in the PEM format"
    )


def test_a_server_that_shows_an_authoritys_certificate(tmp_path: Path) -> None:
    own = trustme.CA()
    own.cert_pem.write_to_path(tmp_path / "chain.pem")
    own.private_key_pem.write_to_path(tmp_path / "key.pem")
    with showing(tmp_path / "chain.pem", tmp_path / "key.pem") as endpoint:
        found = distrust_of(endpoint, text=pem(own))
    assert found is not None
    assert found.is_authority


def test_a_server_with_a_certificate_of_its_own(tmp_path: Path, authority: trustme.CA) -> None:
    issued = authority.issue_cert("127.0.0.1")
    issued.private_key_and_cert_chain_pem.write_to_path(tmp_path / "both.pem")
    with showing(tmp_path / "both.pem", tmp_path / "both.pem") as endpoint:
        assert distrust_of(endpoint, text=pem(authority)) is None
        found = distrust_of(endpoint, text=pem(trustme.CA()))
    assert found is not None
    assert not found.is_authority


@pytest.mark.parametrize("endpoint", ["http://127.0.0.1:1", "https://127.0.0.1:1", "https://nowhere.invalid"])
def test_nothing_is_said_of_what_is_not_seen(endpoint: str, authority: trustme.CA) -> None:
    assert distrust_of(endpoint, text=pem(authority)) is None
