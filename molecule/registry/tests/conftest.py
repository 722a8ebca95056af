"""What the tests of the scenario share: addresses, and a question put to a registry from the control machine."""

import base64
import http.client
import os
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest

ADDRESSES = {"secure": "172.30.78.74", "insecure": "172.30.78.75"}
PORT = 5000


@pytest.fixture(scope="session")
def state() -> Path:
    """The site's state folder on the control machine."""
    return Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"]) / "site"


@pytest.fixture(scope="session")
def ask(state: Path) -> Callable[..., int]:
    """Ask a registry, as somebody or nobody; the answer is the status."""

    def question(which: str, path: str = "/v2/", user: str = "", method: str = "GET") -> int:
        connection: http.client.HTTPConnection
        if which == "secure":
            context = ssl.create_default_context(cafile=state / "pki" / "site" / "ca.crt")
            connection = http.client.HTTPSConnection(ADDRESSES[which], PORT, timeout=10, context=context)
        else:
            connection = http.client.HTTPConnection(ADDRESSES[which], PORT, timeout=10)
        headers = {}
        if user:
            password = (state / "secrets" / f"registry_{user}_password").read_text()
            headers["Authorization"] = f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"
        try:
            connection.request(method, path, headers=headers)
            return connection.getresponse().status
        finally:
            connection.close()

    return question
