"""Where the environment names a proxy, the site's own registry is reached past it: proxies know no hosts of the site."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from image_registry import Registry
from patience import PATIENCE

TERMINAL_IMAGE = Path(__file__).resolve().parents[3] / "roles" / "desktop" / "files" / "terminal_image.py"
DIGEST = "sha256:" + "a" * 64
# Writes down what it was given, and does as much as its caller looks at.
PROGRAM = f"""#!{sys.executable}
import json, os, pathlib, sys
folder = pathlib.Path(__file__).parent
with (folder / "seen").open("a") as file:
    file.write(json.dumps([sys.argv[1:], dict(os.environ)]) + "\\n")
if "--digestfile" in sys.argv:
    pathlib.Path(sys.argv[sys.argv.index("--digestfile") + 1]).write_text("{DIGEST}")
"""


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a skopeo and a podman, first in the path, and an environment with a proxy."""
    for name in ("skopeo", "podman"):
        (tmp_path / name).write_text(PROGRAM)
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example:3128")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    return tmp_path


def told(programs: Path, verb: str) -> tuple[str, str, str]:
    """What the program was told of proxies, when it was called with this."""
    calls = [json.loads(line) for line in (programs / "seen").read_text().splitlines()]
    (environment,) = (environment for arguments, environment in calls if verb in arguments)
    return environment["NO_PROXY"], environment["no_proxy"], environment["HTTPS_PROXY"]


@pytest.mark.parametrize("address", ["registry.site:5000", "[fd00::5]:5000"])
def test_images_are_pushed_to_the_sites_registry_past_the_proxy(
    programs: Path, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    monkeypatch.setenv("no_proxy", "localhost,.site.example")
    (programs / "password").write_text("secret")
    registry = Registry(address, tls=False, ca_file="", user="push", password_file=str(programs / "password"))
    assert registry.mirror({"mongo": f"mongo@{DIGEST}"}, lambda *_, **__: None) == {"mongo": DIGEST}
    direct = f"localhost,.site.example,{address.rpartition(':')[0].strip('[]')}"
    assert told(programs, "copy") == (direct, direct, "http://proxy.example:3128")


def test_images_of_terminals_are_pulled_past_the_proxy(programs: Path) -> None:
    for folder in ("overlay", "overlay-images", "overlay-layers"):
        (programs / "store" / folder).mkdir(parents=True)
    command = [
        sys.executable,
        TERMINAL_IMAGE,
        "--store",
        programs / "store",
        f"registry.site:5000/bluefleet/x@{DIGEST}",
    ]
    assert (
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=30 * PATIENCE).stdout == "changed\n"
    )
    assert told(programs, "pull") == ("registry.site", "registry.site", "http://proxy.example:3128")
