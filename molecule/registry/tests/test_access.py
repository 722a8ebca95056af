"""Who is answered by a registry, with TLS and without."""

import http.client
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest

from conftest import ADDRESSES, PORT

Ask = Callable[..., int]
BOTH = pytest.mark.parametrize("which", ["secure", "insecure"])
UPLOAD = "/v2/bluefleet/kept/blobs/uploads/"


@BOTH
@pytest.mark.parametrize("user", ["push", "pull"])
def test_a_login_is_answered(ask: Ask, which: str, user: str) -> None:
    assert ask(which, user=user) == 200


@BOTH
def test_nobody_reads_without_a_login(ask: Ask, which: str) -> None:
    assert ask(which, "/v2/bluefleet/kept/manifests/1") == 401


@BOTH
def test_nobody_pushes_without_a_login(ask: Ask, which: str) -> None:
    assert ask(which, UPLOAD, method="POST") == 401


def test_the_secure_registry_answers_nothing_without_tls() -> None:
    connection = http.client.HTTPConnection(ADDRESSES["secure"], PORT, timeout=10)
    connection.request("GET", "/v2/")
    assert connection.getresponse().status == 400
    connection.close()


def test_a_lost_certificate_is_replaced_and_served(state: Path) -> None:
    context = ssl.create_default_context(cafile=state / "pki" / "site" / "ca.crt")
    connection = http.client.HTTPSConnection(ADDRESSES["secure"], PORT, timeout=10, context=context)
    connection.connect()
    served = ssl.DER_cert_to_PEM_cert(connection.sock.getpeercert(binary_form=True))
    connection.close()
    assert served != (state / "server.crt.before").read_text()
    assert served == (state / "pki" / "hosts" / "secure" / "server.crt").read_text()
