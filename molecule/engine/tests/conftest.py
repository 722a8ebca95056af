"""What the tests of the scenario share: addresses, certificates, and a question put to an engine."""

import http.client
import os
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest

ADDRESSES = {"tls": "172.30.78.11", "ssh": "172.30.78.12", "plain": "172.30.78.13"}
TLS_PORT, PLAIN_PORT = 2376, 2375


@pytest.fixture(scope="session")
def pki() -> Path:
    """The folder with authorities and certificates on the control machine."""
    return Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"]) / "site" / "pki"


@pytest.fixture(scope="session")
def ask(pki: Path) -> Callable[[str | None], bytes]:
    """Ask the tls engine who it is, with the certificate of that name (or none), trusting the engine CA alone."""

    def question(certificate: str | None) -> bytes:
        context = ssl.create_default_context(cafile=pki / "engine" / "ca.crt")
        if certificate:
            context.load_cert_chain(pki / f"{certificate}.crt", pki / f"{certificate}.key")
        connection = http.client.HTTPSConnection(ADDRESSES["tls"], TLS_PORT, timeout=10, context=context)
        try:
            connection.request("GET", "/_ping")
            return connection.getresponse().read()
        finally:
            connection.close()

    return question
