"""How docker-py's requests go to an engine: over the shared TLS context, or through ssh."""

from typing import Any, cast

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool
from urllib3.connection import HTTPConnection
from urllib3.response import HTTPResponse

from bluefleet.engine._endpoint import ClientCertificate
from bluefleet.engine._ssh import SshLink, SshLinks, heard
from bluefleet.engine._trust import context_of


class TrustingAdapter(HTTPAdapter):
    """Takes requests to engines, over connections that trust their authority alone and show the manager's certificate."""

    def __init__(self, files: ClientCertificate) -> None:
        self._context = context_of(files)
        super().__init__()

    def build_connection_pool_key_attributes(
        self, request: requests.PreparedRequest, verify: Any, cert: Any = None
    ) -> Any:
        """Where requests would have every connection read the files anew."""
        host, _ = super().build_connection_pool_key_attributes(request, verify, cert)
        return host, {"ssl_context": self._context}

    def cert_verify(self, conn: Any, url: str, verify: Any, cert: Any) -> None:
        """Requests would have urllib3 add the public authorities to the context."""


class SshAdapter(HTTPAdapter):
    """Takes requests to the engine of `url` (`ssh://…`) through ssh processes, which end with their connections."""

    def __init__(self, url: str, connect: float) -> None:
        self._links = SshLinks(url, connect)
        self._pool = _Pool(self._links)
        super().__init__()

    def get_connection_with_tls_context(self, *_request: Any, **_options: Any) -> Any:
        """There is one place to go."""
        return self._pool

    def cut(self) -> None:
        """End all ssh processes now: whoever waits for one is told that the connection is gone."""
        self._links.cut()

    def close(self) -> None:
        """End all of it, a stream that nobody has read to its end, too."""
        super().close()
        self._pool.close()
        self.cut()


class _Connection(HTTPConnection):
    links: SshLinks

    def connect(self) -> None:
        self.sock = self.links.dial()
        self.sock.settimeout(self.timeout)

    def getresponse(self) -> HTTPResponse:  # pyright: ignore[reportIncompatibleMethodOverride]
        with heard(cast("SshLink", self.sock)):
            return super().getresponse()


class _Pool(HTTPConnectionPool):
    ConnectionCls = cast("Any", _Connection)

    def __init__(self, links: SshLinks) -> None:
        super().__init__("localhost", maxsize=4)
        self._links = links

    def _new_conn(self) -> Any:
        made: Any = super()._new_conn()
        made.links = self._links
        return made
