"""What a client makes of a server's certificate that trusts other authorities than this computer does."""

import re
import socket
import ssl
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

_SECONDS = 5.0
# The extension "basic constraints" of a certificate that says that it is an authority's (RFC 5280, 4.2.1.9).
_OF_AUTHORITY = re.compile(rb"\x06\x03\x55\x1d\x13(\x01\x01\xff)?\x04.\x30.\x01\x01\xff", re.DOTALL)


@dataclass(frozen=True)
class Distrust:
    """Why a certificate is not trusted.

    ``is_authority`` says that the server shows the certificate of an authority, as self-signed ones often
    are: clients made with rustls refuse that, whatever they trust (https://github.com/rustls/webpki/issues/205).
    """

    reason: str
    is_authority: bool = False

    def __str__(self) -> str:
        return self.reason


def distrust_of(endpoint: str, *, file: str = "", text: str = "") -> Distrust | None:
    """Why a client that trusts the authorities in a PEM ``file`` or ``text`` only would not trust a server.

    None if it would, if there is no TLS, or if that cannot be seen from here.
    """
    parts = urlsplit(endpoint)
    if parts.scheme != "https" or not parts.hostname:
        return None
    try:
        context = ssl.create_default_context(cafile=file) if file else _trusting(text)
    except (ssl.SSLError, ValueError):
        return Distrust("the authority is no certificate in the PEM format")
    reason = ""
    try:
        _shown(parts, context)
    except ssl.SSLCertVerificationError as error:
        reason = error.verify_message
    except (OSError, ValueError):
        # Only the cluster reaches it, perhaps.
        return None
    if not reason and file:
        # Nobody public certifies an authority as a server.
        return None
    anybody = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    anybody.check_hostname, anybody.verify_mode = False, ssl.CERT_NONE
    try:
        is_authority = _OF_AUTHORITY.search(_shown(parts, anybody)) is not None
    except (OSError, ValueError):
        is_authority = False
    if is_authority and not reason:
        reason = "it is the certificate of an authority, not of a server"
    return Distrust(reason, is_authority) if reason else None


def _trusting(text: str) -> ssl.SSLContext:
    """A context that trusts the authorities in ``text`` alone."""
    if "-----BEGIN CERTIFICATE-----" not in text:
        raise ValueError(text)
    return ssl.create_default_context(cadata=text)


def _shown(parts: SplitResult, context: ssl.SSLContext) -> bytes:
    """The certificate that a server shows, as DER."""
    with (
        socket.create_connection((parts.hostname, parts.port or 443), _SECONDS) as plain,
        context.wrap_socket(plain, server_hostname=parts.hostname) as tls,
    ):
        return tls.getpeercert(binary_form=True) or b""
