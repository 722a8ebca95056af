"""A registry that serves one small image by digest, with a login: what an engine needs for a pull, and no more."""

import base64
import gzip
import hashlib
import io
import json
import subprocess
import tarfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"


def programs() -> bytes:
    """This machine's own bash and sleep with the libraries they need: the smallest root that can run and be checked."""
    names = {Path("/bin/bash"), Path("/bin/sleep")}
    for program in sorted(names):
        listed = subprocess.run(["ldd", program], check=True, capture_output=True, text=True).stdout
        names |= {Path(word) for word in listed.split() if word.startswith("/")}
    root = io.BytesIO()
    with tarfile.open(fileobj=root, mode="w") as tar:
        for name in sorted(names):
            member = tarfile.TarInfo(str(name).lstrip("/"))
            content = name.resolve().read_bytes()
            member.size, member.mode = len(content), 0o755
            tar.addfile(member, io.BytesIO(content))
    return root.getvalue()


def _digest(content: bytes) -> str:
    return "sha256:" + hashlib.sha256(content).hexdigest()


class SmallRegistry:
    """`address` is host:port, `digest` the image's; the user is `pull`."""

    def __init__(self, password: str, note: str) -> None:
        """`note` goes into the image: another note is another digest."""
        self._login = "Basic " + base64.b64encode(f"pull:{password}".encode()).decode()
        self.pulls = 0
        # Cleared, whoever asks for an image waits.
        self.quick = threading.Event()
        self.quick.set()
        layer = programs()
        packed = gzip.compress(layer, compresslevel=1, mtime=0)
        config = json.dumps(
            {
                "architecture": "amd64",
                "os": "linux",
                "config": {"Cmd": ["/bin/sleep", "infinity"], "Labels": {"note": note}},
                "rootfs": {"type": "layers", "diff_ids": [_digest(layer)]},
            }
        ).encode()
        manifest = json.dumps(
            {
                "schemaVersion": 2,
                "mediaType": _MANIFEST,
                "config": {
                    "mediaType": "application/vnd.docker.container.image.v1+json",
                    "size": len(config),
                    "digest": _digest(config),
                },
                "layers": [
                    {
                        "mediaType": "application/vnd.docker.image.rootfs.diff.tar.gzip",
                        "size": len(packed),
                        "digest": _digest(packed),
                    }
                ],
            }
        ).encode()
        self.digest = _digest(manifest)
        self._content = {_digest(config): config, _digest(packed): packed, self.digest: manifest}
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.address = f"127.0.0.1:{self._server.server_port}"
        self.reference = f"{self.address}/tiny@{self.digest}"
        threading.Thread(target=self._server.serve_forever, args=[0.02], daemon=True).start()

    def close(self) -> None:
        """From here on nothing answers."""
        self._server.shutdown()
        self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        registry = self

        class Handler(BaseHTTPRequestHandler):
            def do_HEAD(self) -> None:
                self.do_GET()

            def do_GET(self) -> None:
                if self.headers.get("Authorization") != registry._login:
                    self._answer(401, b"{}", {"WWW-Authenticate": 'Basic realm="test"'})
                    return
                wanted = self.path.rpartition("/")[2]
                registry.pulls += "/manifests/" in self.path
                registry.quick.wait(60)
                content = registry._content.get(wanted, b"{}")
                known = wanted in registry._content or self.path == "/v2/"
                kind = _MANIFEST if "/manifests/" in self.path else "application/octet-stream"
                self._answer(200 if known else 404, content, {"Content-Type": kind, "Docker-Content-Digest": wanted})

            def _answer(self, code: int, content: bytes, headers: dict[str, str]) -> None:
                self.send_response(code)
                for name, value in {**headers, "Content-Length": str(len(content))}.items():
                    self.send_header(name, value)
                self.end_headers()
                if self.command == "GET":
                    self.wfile.write(content)

            def log_message(self, *arguments: object) -> None:
                """Tests are quiet."""

        return Handler
