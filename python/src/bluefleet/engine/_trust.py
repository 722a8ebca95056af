"""The TLS context of a client certificate, read once for all engines: reading it costs more than a handshake."""

import ssl
import threading
from pathlib import Path
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.util.ssl_ import create_urllib3_context

from bluefleet.engine._endpoint import ClientCertificate

_known: dict[ClientCertificate, tuple[tuple[tuple[int, int, int], ...], ssl.SSLContext]] = {}
_reading = threading.Lock()


class TrustingAdapter(HTTPAdapter):
    """Takes requests to engines, over connections that trust their authority alone and show the manager's certificate."""

    def __init__(self, files: ClientCertificate) -> None:
        self._context = _context(files)
        super().__init__()

    def build_connection_pool_key_attributes(
        self, request: requests.PreparedRequest, verify: Any, cert: Any = None
    ) -> Any:
        """Where requests would have every connection read the files anew."""
        host, _ = super().build_connection_pool_key_attributes(request, verify, cert)
        return host, {"ssl_context": self._context}

    def cert_verify(self, conn: Any, url: str, verify: Any, cert: Any) -> None:
        """Requests would have urllib3 add the public authorities to the context."""


def _context(files: ClientCertificate) -> ssl.SSLContext:
    """The files' context. A rotation replaces them while the service runs: then it is another one. Raises OSError."""
    state = tuple(_state(file) for file in (files.ca, files.certificate, files.key))
    with _reading:
        known = _known.get(files)
        if known is not None and known[0] == state:
            return known[1]
        context = create_urllib3_context()
        context.load_verify_locations(files.ca)
        context.load_cert_chain(files.certificate, files.key)
        _known[files] = (state, context)
        return context


def _state(file: Path) -> tuple[int, int, int]:
    found = file.stat()
    return found.st_ino, found.st_mtime_ns, found.st_size
