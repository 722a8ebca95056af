"""Mutual TLS in front of this machine's own engine, so that one real engine can stand for several nodes."""

import contextlib
import datetime
import ipaddress
import select
import socket
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_DAY = datetime.timedelta(days=1)
_SIGNS = x509.KeyUsage(
    digital_signature=False,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=True,
    crl_sign=True,
    encipher_only=False,
    decipher_only=False,
)


def _name(address: str) -> x509.GeneralName:
    """An address, or a name, as a certificate has it."""
    try:
        return x509.IPAddress(ipaddress.ip_address(address))
    except ValueError:
        return x509.DNSName(address)


class Authority:
    """Signs certificates into files of `folder`."""

    def __init__(self, folder: Path, name: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        now = datetime.datetime.now(datetime.UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(self._name)
            .issuer_name(self._name)
            .public_key(self._key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - _DAY)
            .not_valid_after(now + _DAY)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            # Python 3.13 looks at these, too.
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(self._key.public_key()), critical=False)
            .add_extension(_SIGNS, critical=True)
            .sign(self._key, hashes.SHA256())
        )
        self.file = folder / f"{name}.crt"
        self.file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))

    def sign(self, path: Path, addresses: list[str], *, expired: bool = False) -> None:
        """Write `path`.crt and `path`.key: a server's with addresses, a client's without."""
        key = ec.generate_private_key(ec.SECP256R1())
        now = datetime.datetime.now(datetime.UTC)
        usage = ExtendedKeyUsageOID.SERVER_AUTH if addresses else ExtendedKeyUsageOID.CLIENT_AUTH
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, path.name)]))
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - 2 * _DAY)
            .not_valid_after(now - _DAY if expired else now + _DAY)
            .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()),
                critical=False,
            )
        )
        if addresses:
            names = [_name(address) for address in addresses]
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        certificate = builder.sign(self._key, hashes.SHA256())
        path.with_suffix(".crt").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        path.with_suffix(".key").write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )


@dataclass
class Front:
    """Where an engine answers over mutual TLS."""

    address: str
    port: int


class Fronts:
    """Servers in threads; each passes bytes on to the engine's unix socket, or swallows them."""

    def __init__(self, engine: str) -> None:
        self._engine = engine
        self._servers: list[socket.socket] = []
        self._connections: list[socket.socket] = []
        self.connections = 0

    def engine(self, address: str, certificate: Path, authority: Path) -> Front:
        """The real engine at that loopback address."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(authority))
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_cert_chain(certificate.with_suffix(".crt"), certificate.with_suffix(".key"))
        return self._start(address, lambda connection: self._pass_on(connection, context))

    def hung(self, address: str) -> Front:
        """A machine that accepts connections and never answers."""
        return self._start(address, self._connections.append)

    def close(self) -> None:
        """Stop all of them."""
        for one in [*self._servers, *self._connections]:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _start(self, address: str, serve: Callable[[socket.socket], None]) -> Front:
        server = socket.create_server((address, 0))
        self._servers.append(server)

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = server.accept()
                    self.connections += 1
                    threading.Thread(target=serve, args=[connection], daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        return Front(*server.getsockname()[:2])

    def _pass_on(self, connection: socket.socket, context: ssl.SSLContext) -> None:
        with context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False) as client:
            # ValueError: `close` came between two reads, and a closed socket can't be waited for.
            with contextlib.suppress(OSError, ValueError):
                client.do_handshake()
                self._connections.append(client)
                with socket.socket(socket.AF_UNIX) as engine:
                    engine.connect(self._engine)
                    _relay(client, engine)
            # After a refused handshake the alert that says why is read before the connection goes.
            with contextlib.suppress(OSError):
                client.shutdown(socket.SHUT_WR)
                while client.recv(1024):
                    pass


def _relay(client: ssl.SSLSocket, engine: socket.socket) -> None:
    """Both ways in one thread: OpenSSL's connections don't stand two. An end of what the client says is passed on, too."""
    sources = [client, engine]
    while True:
        ready = [client] if client in sources and client.pending() else select.select(sources, [], [])[0]
        if client in ready:
            data = client.recv(65536)
            if data:
                engine.sendall(data)
            else:
                sources = [engine]
                engine.shutdown(socket.SHUT_WR)
        if engine in ready:
            data = engine.recv(65536)
            if not data:
                return
            client.sendall(data)
