"""Pushes one image of this machine's engine into the site's registry, unchanged, and says its digest."""

import base64
import json
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path


class PushFailed(Exception):
    """The image is not in the registry; the message says what was tried."""


@dataclass(frozen=True, slots=True)
class Registry:
    """The site's registry, with the login that may push. `ca_file` none: without TLS."""

    address: str
    ca_file: Path | None
    user: str
    password_file: Path


def push(image: str, repository: str, tag: str, registry: Registry, *, seconds: float) -> str:
    """Push it as `bluefleet/<repository>:<tag>`; returns what hosts pull, with its digest. Raises PushFailed."""
    target = f"{registry.address}/bluefleet/{repository}"
    with tempfile.TemporaryDirectory(prefix="bluefleet-push-") as name:
        folder = Path(name)
        archive, digest = folder / "image.tar", folder / "digest"
        _run(["docker", "save", "--output", str(archive), image], seconds, f"save {image}")
        # No layer is compressed on the way, so the digest is the same wherever the same content is pushed.
        command = ["skopeo", "copy", "--quiet", "--preserve-digests", "--digestfile", str(digest)]
        command += ["--dest-authfile", str(_login(folder, registry))]
        command += _certificates(folder, registry.ca_file)
        _run([*command, f"docker-archive:{archive}", f"docker://{target}:{tag}"], seconds, f"push {target}:{tag}")
        return f"{target}@{digest.read_text(encoding='utf-8').strip()}"


def _login(folder: Path, registry: Registry) -> Path:
    """A file with the login: an argument could be read by everybody on this machine."""
    try:
        password = registry.password_file.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise PushFailed(f"{registry.password_file}: {error.strerror}; it holds the registry's password") from error
    file = folder / "auth.json"
    file.touch(mode=0o600)
    credentials = base64.b64encode(f"{registry.user}:{password}".encode()).decode()
    file.write_text(json.dumps({"auths": {registry.address: {"auth": credentials}}}), encoding="utf-8")
    return file


def _certificates(folder: Path, ca_file: Path | None) -> list[str]:
    if ca_file is None:
        return ["--dest-tls-verify=false"]
    (folder / "certificates").mkdir()
    shutil.copyfile(ca_file, folder / "certificates" / "ca.crt")
    return ["--dest-cert-dir", str(folder / "certificates")]


def _run(command: list[str], seconds: float, tried: str) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds, check=False)
    except subprocess.TimeoutExpired as error:
        raise PushFailed(f"{tried}: not done within {seconds:g} s") from error
    except FileNotFoundError as error:
        raise PushFailed(f"{tried}: there is no {command[0]} on this machine") from error
    if done.returncode:
        raise PushFailed(f"{tried}: {done.stderr.strip()[-400:]}")
