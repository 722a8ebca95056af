"""The proof of an engine's TLS: against one that trusts whom it should, and one that trusts the site CA as well."""

import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socketserver import ThreadingUnixStreamServer
from typing import Any

import pytest

from role_files import call_module, load_role_file

HOSTS = {"manager": {}, "node1": {"ansible_host": "127.0.0.1"}}


class Engine(BaseHTTPRequestHandler):
    """Answers a ping, as an engine does."""

    def address_string(self) -> str:
        return "module"

    def do_GET(self) -> None:
        # Go refuses what a client on a socket says of itself when it is told nothing better: the path.
        if "/" in self.headers["Host"]:
            self.send_error(400)
            return
        self.send_response(200)
        self.send_header("Api-Version", "1.43")
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"OK")

    def log_message(self, *_: Any) -> None:
        """Quiet."""


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The certificates that a site of one node has, made as the role makes them."""
    folder = tmp_path_factory.mktemp("pki")
    authorities = load_role_file("pki/module_utils/site_authorities.py")
    wanted = load_role_file("pki/filter_plugins/certificates.py").site_certificates(list(HOSTS), HOSTS, ["node1"], 30)
    now = datetime.now(UTC)
    store = authorities.Store(folder)
    signers = {
        name: authorities.Authority(store, authorities.AuthoritySpec(name, f"{name} CA", 60), now)
        for name in ("site", "engine")
    }
    for each in wanted:
        names, usages = tuple(each.pop("names")), tuple(each.pop("usages"))
        spec = authorities.CertificateSpec(names=names, usages=usages, **each)
        authorities.ensure_certificate(store, spec, signers[spec.authority], 1, now)
    store.flush()
    client = folder / "engine-client"
    client.mkdir()
    for name, source in {
        "ca.pem": "engine/ca.crt",
        "cert.pem": "clients/manager-engine.crt",
        "key.pem": "clients/manager-engine.key",
    }.items():
        (client / name).write_bytes((folder / source).read_bytes())
    return folder


@pytest.fixture
def prove(pki: Path) -> Callable[..., dict[str, Any]]:
    """The manager's proof of an engine that trusts these authorities."""

    @contextmanager
    def engine(trusted: tuple[str, ...]) -> Iterator[int]:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pki / "hosts/node1/engine.crt", pki / "hosts/node1/engine.key")
        context.verify_mode = ssl.CERT_REQUIRED
        for authority in trusted:
            context.load_verify_locations(pki / authority / "ca.crt")
        with ThreadingHTTPServer(("127.0.0.1", 0), Engine) as server:
            server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
            thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
            thread.start()
            yield server.server_address[1]
            server.shutdown()
            thread.join()

    def run(*trusted: str) -> dict[str, Any]:
        with engine(trusted) as port:
            arguments = {
                "endpoints": [{"node": "node1", "address": "127.0.0.1", "port": port, "transport": "tls"}],
                "client": str(pki / "engine-client"),
                "stranger": str(pki / "clients/stranger"),
                "deadline": 2,
            }
            return call_module("docker_engine/library/engine_probe.py", arguments)

    return run


def test_an_engine_that_trusts_the_engine_ca_alone_is_proven(prove: Callable[..., dict[str, Any]]) -> None:
    answer = prove("engine")
    assert not answer.get("failed"), answer["msg"]
    assert any("refuses a certificate of the site CA" in line for line in answer["proven"])


def test_an_engine_that_trusts_the_site_ca_too_is_found(prove: Callable[..., dict[str, Any]]) -> None:
    answer = prove("engine", "site")
    assert answer["failed"]
    assert "answers a certificate of the site CA" in answer["msg"]


@pytest.mark.parametrize(("least", "wrong"), [("", False), ("1.43", False), ("1.44", True)])
def test_an_engine_too_old_for_a_pod_is_found(tmp_path: Path, least: str, wrong: bool) -> None:
    with ThreadingUnixStreamServer(str(tmp_path / "docker.sock"), Engine) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}).start()
        arguments = {"socket": server.server_address, "least_api": least}
        answer = call_module("docker_engine/library/engine_probe.py", arguments)
        server.shutdown()
    assert answer.get("failed", False) == wrong
    assert not wrong or "has API 1.43, and pods need 1.44" in answer["msg"]
