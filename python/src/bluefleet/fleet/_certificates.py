"""When certificates end: those in files here, and those that servers show, also when they are not trusted any more."""

import base64
import socket
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

_BEGIN, _END = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
_UTC_TIME, _CONTEXT_0 = 0x17, 0xA0


def ends_in_file(file: Path) -> datetime:
    """When the first of the file's certificates to end does. Raises OSError, or ValueError when there is none."""
    text = file.read_text(encoding="ascii")
    found = [ends(base64.b64decode(part.partition(_END)[0])) for part in text.split(_BEGIN)[1:]]
    if not found:
        raise ValueError("no certificate in it")
    return min(found)


def ends_at(address: str, port: int, seconds: float) -> datetime:
    """When the certificate that a server shows ends. Nothing is sent to it. Raises OSError."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    # It is only read, and one that is not trusted is what people look for.
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with (
        socket.create_connection((address, port), timeout=seconds) as connection,
        context.wrap_socket(connection, server_hostname=address) as wrapped,
    ):
        shown = wrapped.getpeercert(binary_form=True)
    if not shown:
        raise ConnectionError("it showed no certificate")
    return ends(shown)


def ends(certificate: bytes) -> datetime:
    """The end of a certificate (DER, RFC 5280 section 4.1). Raises ValueError when it is none."""
    try:
        parts = list(_parts(_inside(_inside(certificate))))
        # An optional version, serial number, signature algorithm, issuer; then from when and until when.
        validity = parts[4 if parts[0][0] == _CONTEXT_0 else 3][1]
        (_, (kind, text)) = _parts(validity)
    except (IndexError, ValueError) as error:
        raise ValueError("it is no certificate") from error
    words = text.decode("ascii")
    if kind == _UTC_TIME:
        words = ("19" if int(words[:2]) >= 50 else "20") + words
    return datetime.strptime(words, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC)


def _inside(der: bytes) -> bytes:
    (_, content), *_ = _parts(der)
    return content


def _parts(der: bytes) -> Iterator[tuple[int, bytes]]:
    """Tag and content of each element, one after the other."""
    at = 0
    while at < len(der):
        tag, length, at = der[at], der[at + 1], at + 2
        if length & 0x80:
            digits = length & 0x7F
            length, at = int.from_bytes(der[at : at + digits], "big"), at + digits
        yield tag, der[at : at + length]
        at += length
