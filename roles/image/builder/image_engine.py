"""The engine that builds: the docker command, because legacy builder and BuildKit are both behind it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from image_plan import CONTAINERFILE, REPOSITORY, Image

ANSWER_DEADLINE = 30.0
BUILD_DEADLINE = 1800.0
TAIL_LINES = 15
# What a log says, and what a person can do about it.
REMEDIES = (
    (
        "UnknownIssuer|CERTIFICATE_VERIFY_FAILED|PKIX path building failed|certificate issuer is unknown",
        "A package source shows a certificate that images don't trust: set site_ca_bundle to a PEM file with the authority that signs it.",
    ),
    (
        "Temporary failure resolving|Could not resolve|failed to lookup address|Network is unreachable|UnknownHostException",
        "A package source can't be reached: mend the uplink, or set site_apt_mirror and site_pip_index to sources of this site.",
    ),
    ("No space left on device", "The disk of the builder engine is full; `docker system df` shows what takes space."),
)


class EngineError(Exception):
    """The engine did not do what it was asked; the message says what, and which log to read."""


@dataclass(frozen=True)
class Engine:
    """The builder engine. `host` is what DOCKER_HOST would be; '' is this machine's own."""

    host: str = ""

    def environment(self) -> dict[str, str]:
        """The environment of docker commands that talk to this engine."""
        # BuildKit would wrap an image in an index with statements about its build; hosts need the image alone.
        # A builder that somebody chose for other work has a store of its own, where images and cache would stay.
        chosen = {"BUILDX_NO_DEFAULT_ATTESTATIONS": "1", "BUILDX_BUILDER": "default"}
        chosen |= {"DOCKER_HOST": self.host} if self.host else {}
        return {**os.environ, **chosen}

    def run(self, *arguments: str, deadline: float = ANSWER_DEADLINE) -> subprocess.CompletedProcess[str]:
        """One short docker command; a failing one is returned, an absent or silent engine raises."""
        try:
            return subprocess.run(
                ["docker", *arguments],
                check=False,
                capture_output=True,
                text=True,
                timeout=deadline,
                env=self.environment(),
            )
        except FileNotFoundError as error:
            raise EngineError("no docker command on this machine; .ci/bootstrap installs it") from error
        except subprocess.TimeoutExpired as error:
            raise EngineError(
                f"the builder engine did not answer `docker {arguments[0]}` in {deadline:.0f} s"
            ) from error

    def sizes(self, references: Iterable[str]) -> dict[str, int]:
        """Bytes of each of these images that the engine has; the others are left out."""
        wanted = list(references)
        if not wanted:
            return {}
        answer = self.run("image", "inspect", "--format", "{{json .RepoTags}} {{.Size}}", *wanted)
        if answer.returncode != 0 and "no such image" not in answer.stderr.lower():
            raise EngineError(f"the builder engine does not answer: {answer.stderr.strip()}")
        found: dict[str, int] = {}
        for line in answer.stdout.splitlines():
            tags, _, size = line.rpartition(" ")
            found |= {tag: int(size) for tag in json.loads(tags or "[]") if tag in wanted}
        return found

    def ids(self, references: Iterable[str]) -> list[str]:
        """What each of these images is, by content. EngineError if the engine lacks one."""
        answer = self.run("image", "inspect", "--format", "{{.Id}}", *references)
        if answer.returncode != 0:
            raise EngineError(f"the builder engine does not have what is to be pushed: {answer.stderr.strip()}")
        return answer.stdout.split()

    def refuse_a_full_disk(self, images: Iterable[Image]) -> None:
        """Raise when these images would not fit; asked only of an engine on this machine."""
        stale = list(images)
        needed = sum(image.space_mb for image in stale)
        folder = self.run("info", "--format", "{{.DockerRootDir}}").stdout.strip()
        if self.host or not folder or not Path(folder).is_dir():
            return
        free = shutil.disk_usage(folder).free // 1_000_000
        if free < needed:
            raise EngineError(
                f"not enough disk: building {', '.join(image.name for image in stale)} needs up to {needed} MB "
                f"in {folder}, {free} MB are free. Free {needed - free} MB and run it again; "
                "`docker system df` shows what takes space."
            )

    def build(self, image: Image, log: Path) -> None:
        """Build one image; all that the engine says goes to `log`."""
        with log.open("w", encoding="utf-8") as output:
            command = ["docker", "build", "--network", "host", "--force-rm"]
            command += ["--tag", image.reference, "--file", CONTAINERFILE]
            for key, value in sorted(image.arguments.items()):
                command += ["--build-arg", f"{key}={value}"]
            self._logged([*command, "-"], output, image.context())

    def root(self, command: list[str], log: Path) -> str:
        """What a root program prints: the name of the image it made or found, or nothing; the rest goes to `log`."""
        with log.open("w", encoding="utf-8") as output:
            lines = self._logged(command, output, b"", keep=True).split()
        return lines[-1] if lines else ""

    def _logged(self, command: list[str], output: IO[str], given: bytes, *, keep: bool = False) -> str:
        log = Path(output.name)
        try:
            done = subprocess.run(
                command,
                check=False,
                input=given,
                stdout=subprocess.PIPE if keep else output,
                stderr=output,
                timeout=BUILD_DEADLINE,
                env=self.environment(),
            )
        except subprocess.TimeoutExpired as error:
            raise EngineError(f"not done after {BUILD_DEADLINE:.0f} s; log: {log}") from error
        if done.returncode != 0:
            raise EngineError(explained(done.returncode, log))
        return done.stdout.decode() if keep else ""

    def forget_old(self, image: Image, keep: int) -> None:
        """Remove all but the newest builds of an image; one that a container uses stays, as the engine has it."""
        listed = self.run("image", "ls", f"{REPOSITORY}/{image.name}", "--format", "{{.Tag}}").stdout.split()
        for tag in [tag for tag in listed if tag != image.tag][keep:]:
            self.run("image", "rm", f"{REPOSITORY}/{image.name}:{tag}")


def explained(code: int, log: Path) -> str:
    """Why a build failed: the end of its log, and what to do where that can be told from it."""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    text = "\n".join(lines)
    remedies = [remedy for pattern, remedy in REMEDIES if re.search(pattern, text, re.IGNORECASE)]
    return "\n".join([f"the build ended with code {code}; the end of {log}:", *lines[-TAIL_LINES:], *remedies])


def seconds_since(start: float) -> float:
    """Seconds since a time.monotonic(), as people read them."""
    return round(time.monotonic() - start, 1)
