"""The TLS context of a client certificate, read once for all engines: reading it costs more than a handshake."""

import os
import ssl
import threading
from pathlib import Path

from bluefleet.engine._endpoint import ClientCertificate, Endpoint
from bluefleet.engine._errors import EngineRefused

_known: dict[ClientCertificate, tuple[tuple[tuple[int, int, int], ...], ssl.SSLContext]] = {}
_reading = threading.Lock()


def context_of(files: ClientCertificate) -> ssl.SSLContext:
    """The files' context. A rotation replaces them while the service runs: then it is another one. Raises OSError."""
    state = tuple(_state(file) for file in (files.ca, files.certificate, files.key))
    with _reading:
        known = _known.get(files)
        if known is not None and known[0] == state:
            return known[1]
        context = ssl.create_default_context(cafile=str(files.ca))
        context.load_cert_chain(files.certificate, files.key)
        _known[files] = (state, context)
        return context


def check_files(endpoint: Endpoint) -> None:
    """Raise EngineRefused for a file that this user can't read."""
    files = endpoint.certificate
    for file in (files.ca, files.certificate, files.key) if files else ():
        if not os.access(file, os.R_OK):
            raise EngineRefused(
                endpoint.node,
                f"connect at {endpoint.url}",
                f"{file} is missing or not readable by this user",
                "Run it as user bluefleet or root; `site.yml --tags engines` puts the files in place",
            )


def _state(file: Path) -> tuple[int, int, int]:
    found = file.stat()
    return found.st_ino, found.st_mtime_ns, found.st_size
