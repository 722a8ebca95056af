"""The site's registry: which images it has, and how they get there unchanged.

One archive of all missing images and `skopeo copy --preserve-digests` of each: no layer is compressed, known layers are
not sent again, and the digest is the same wherever the same content is pushed.
"""

from __future__ import annotations

import base64
import http.client
import itertools
import json
import os
import shutil
import ssl
import subprocess
import tempfile
import time
import urllib.parse
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from image_archive import archive
from image_engine import Engine, seconds_since
from image_plan import REPOSITORY, Image

ANSWER_DEADLINE = 10.0
COPY_DEADLINE = 900.0
COPIES_AT_ONCE = 2
MANIFESTS = (
    "application/vnd.docker.distribution.manifest.v2+json, application/vnd.oci.image.manifest.v1+json, "
    "application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.oci.image.index.v1+json"
)
Report = Callable[..., None]


class RegistryError(Exception):
    """The registry did not do what it was asked; the message says what was tried, against what, and what to do."""


@dataclass(frozen=True)
class Registry:
    """One registry with the login that may push. `ca_file` '' means the system's authorities."""

    address: str
    tls: bool
    ca_file: str
    user: str
    password_file: str

    @classmethod
    def of(cls, values: Mapping[str, Any] | None) -> Registry | None:
        """The registry of an order, or None where a site has none."""
        return cls(**values) if values and values["address"] else None

    def repository(self, name: str) -> str:
        """Where an image is kept, without tag or digest."""
        return f"{self.address}/{REPOSITORY}/{name}"

    def reference(self, name: str, digest: str) -> str:
        """What a host pulls and runs."""
        return f"{self.repository(name)}@{digest}"

    def digests(self, images: Iterable[Image]) -> dict[str, str]:
        """The digest of each of these images that the registry has."""
        return self._digests({image.name: image.tag for image in images})

    def mirrored_digests(self, published: Mapping[str, str]) -> dict[str, str]:
        """The digest under which each published image was mirrored, of those that were."""
        return self._digests({name: mirror_tag(name, reference) for name, reference in published.items()})

    def push(self, engine: Engine, images: Iterable[Image], scratch: Path, report: Report) -> dict[str, str]:
        """Push images of the builder engine; returns their digests."""
        missing = list(images)
        if not missing:
            return {}
        scratch.mkdir(parents=True, exist_ok=True)
        report("saving", images=[image.name for image in missing])
        with archive(engine, missing, scratch, lambda: report("waiting for archive")) as file:

            def one(image: Image) -> tuple[str, str]:
                source = f"docker-archive:{file}:{image.reference}"
                return image.name, self._copy(image.name, source, image.tag, report, "--preserve-digests")

            with ThreadPoolExecutor(max_workers=COPIES_AT_ONCE) as pool:
                copied = pool.map(lambda family: [one(image) for image in family], families(missing))
                return dict(itertools.chain.from_iterable(copied))

    def mirror(self, published: Mapping[str, str], report: Report) -> dict[str, str]:
        """Copy published images, each named by digest, from where they are published."""
        return {
            name: self._copy(name, f"docker://{reference}", mirror_tag(name, reference), report, "--preserve-digests")
            for name, reference in published.items()
        }

    def forget_old(self, names: Iterable[str], keep: int, used: Iterable[str]) -> list[str]:
        """Delete tags beyond the newest of each image, whose room the registry's garbage collection then frees.

        What is `used` (digests) stays, and whatever has the same digest as something that stays. Returns what was deleted.
        """
        used, deleted = set(used), []
        with closing(self._connection()) as connection:
            for name in names:
                path = f"/v2/{REPOSITORY}/{name}"
                tags = json.loads(self._answer(connection, "GET", f"{path}/tags/list")[1])["tags"] or []
                built = {tag: self._built(connection, path, tag) for tag in tags}
                newest = sorted(built, key=lambda tag: built[tag], reverse=True)
                staying = used | {built[tag][1] for tag in newest[:keep]}
                for digest in {built[tag][1] for tag in newest[keep:]} - staying:
                    # An answer of 405 is the site's own choice (registry_options): nothing is ever deleted.
                    self._answer(connection, "DELETE", f"{path}/manifests/{digest}", http.client.METHOD_NOT_ALLOWED)
                deleted += [f"{name}:{tag}" for tag in newest[keep:] if built[tag][1] not in staying]
        return deleted

    def _built(self, connection: http.client.HTTPConnection, path: str, tag: str) -> tuple[str, str]:
        """When the image of a tag was built, and its digest. Without a time, as an index of several is, it is the oldest."""
        headers, content = self._answer(connection, "GET", f"{path}/manifests/{tag}")
        config = json.loads(content).get("config")
        created = ""
        if config:
            created = (
                json.loads(self._answer(connection, "GET", f"{path}/blobs/{config['digest']}")[1]).get("created") or ""
            )
        return created, headers["Docker-Content-Digest"]

    def _answer(
        self, connection: http.client.HTTPConnection, verb: str, path: str, *allowed: int
    ) -> tuple[http.client.HTTPMessage, bytes]:
        headers = {"Accept": MANIFESTS, "Authorization": f"Basic {self._credentials()}"}
        try:
            connection.request(verb, path, headers=headers)
            answer = connection.getresponse()
            content = answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise RegistryError(f"registry {self.address} does not answer {verb} {path}: {error}") from error
        if answer.status not in (http.client.OK, http.client.ACCEPTED, *allowed):
            raise RegistryError(f"registry {self.address} answers {answer.status} {answer.reason} to {verb} {path}")
        return answer.headers, content

    def _copy(self, name: str, source: str, tag: str, report: Report, *options: str) -> str:
        start = time.monotonic()
        target = f"docker://{self.repository(name)}:{tag}"
        with self._login() as folder:
            digest_file = folder / "digest"
            command = [
                "skopeo",
                "copy",
                "--quiet",
                *options,
                "--dest-authfile",
                str(folder / "auth.json"),
                "--digestfile",
                str(digest_file),
            ]
            command += ["--dest-cert-dir", str(folder / "certificates")] if self.tls else ["--dest-tls-verify=false"]
            try:
                done = subprocess.run(
                    [*command, source, target],
                    check=False,
                    capture_output=True,
                    text=True,
                    timeout=COPY_DEADLINE,
                    env=beside_the_proxy(self.address, os.environ),
                )
            except subprocess.TimeoutExpired as error:
                raise RegistryError(
                    f"image {name}: {source} to {target} was not done after {COPY_DEADLINE:.0f} s"
                ) from error
            if done.returncode != 0:
                raise RegistryError(f"image {name}: {source} could not be copied to {target}: {done.stderr.strip()}")
            digest = digest_file.read_text(encoding="utf-8").strip()
        report("pushed", image=name, seconds=seconds_since(start), digest=digest)
        return digest

    @contextmanager
    def _login(self) -> Iterator[Path]:
        """A folder with what skopeo needs to log in: nothing secret is an argument, and it is gone afterwards."""
        with tempfile.TemporaryDirectory(prefix="bluefleet-push-") as name:
            folder = Path(name)
            auth = folder / "auth.json"
            auth.touch(mode=0o600)
            auth.write_text(json.dumps({"auths": {self.address: {"auth": self._credentials()}}}), encoding="utf-8")
            (folder / "certificates").mkdir()
            if self.ca_file:
                shutil.copyfile(self.ca_file, folder / "certificates" / "ca.crt")
            yield folder

    def _credentials(self) -> str:
        try:
            password = Path(self.password_file).read_text(encoding="utf-8").strip()
        except OSError as error:
            raise RegistryError(
                f"{self.password_file}: {error.strerror}; it holds the password of registry user '{self.user}'"
            ) from error
        return base64.b64encode(f"{self.user}:{password}".encode()).decode()

    def _digests(self, tags: Mapping[str, str]) -> dict[str, str]:
        if not tags:
            return {}
        found: dict[str, str] = {}
        connection = self._connection()
        headers = {"Accept": MANIFESTS, "Authorization": f"Basic {self._credentials()}"}
        try:
            for name, tag in tags.items():
                connection.request("HEAD", f"/v2/{REPOSITORY}/{name}/manifests/{tag}", headers=headers)
                answer = connection.getresponse()
                answer.read()
                if answer.status == http.client.OK:
                    found[name] = answer.headers["Docker-Content-Digest"]
                elif answer.status != http.client.NOT_FOUND:
                    raise RegistryError(
                        f"registry {self.address} answers {answer.status} {answer.reason} to user '{self.user}' "
                        f"for {name}:{tag}; its password is in {self.password_file}"
                    )
        except (OSError, http.client.HTTPException) as error:
            raise RegistryError(
                f"registry {self.address} does not answer: {error}; run site.yml with --tags registry first"
            ) from error
        finally:
            connection.close()
        return found

    def _connection(self) -> http.client.HTTPConnection:
        if not self.tls:
            return http.client.HTTPConnection(self.address, timeout=ANSWER_DEADLINE)
        context = ssl.create_default_context(cafile=self.ca_file or None)
        return http.client.HTTPSConnection(self.address, timeout=ANSWER_DEADLINE, context=context)


def beside_the_proxy(address: str, environment: Mapping[str, str]) -> dict[str, str]:
    """An environment in which the registry is reached directly: a proxy is the way out of a site, not to its own hosts."""
    host = urllib.parse.urlsplit(f"//{address}").hostname or address
    known = environment.get("NO_PROXY") or environment.get("no_proxy")
    direct = f"{known},{host}" if known else host
    return {**environment, "NO_PROXY": direct, "no_proxy": direct}


def families(images: Iterable[Image]) -> list[list[Image]]:
    """Images by what they are made from, the largest families first: two copies at once would each send shared layers."""
    found: dict[str, list[Image]] = {}
    for image in images:
        found.setdefault(image.arguments.get("PARENT", ""), []).append(image)
    return sorted(found.values(), key=lambda family: -sum(image.space_mb for image in family))


def mirror_tag(name: str, reference: str) -> str:
    """The tag a published image is mirrored under: the beginning of the digest it is published with."""
    _, at, digest = reference.partition("@sha256:")
    if not at or len(digest) != 64:
        raise RegistryError(f"image {name}: '{reference}' has no digest; write it as <repository>@sha256:<64 digits>")
    return digest[:12]
