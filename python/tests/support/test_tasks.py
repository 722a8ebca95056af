"""The tasks of fabric, as a person types them: through the command, over ssh with the site's own key and known hosts."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import pytest

from bluefleet.checkout import find_checkout
from patience import PATIENCE

# Ansible renders the inventory first.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

FAB = Path(sys.executable).with_name("fab")
SECRETS = {"queue_api_key": "Zx81kQ2mWv9Lr4Tn7Yb3Hc6Pd5Fg0JsA", "redis_password": "mNbVcXz0987654321QwErTyUiOpLkJh"}
KEY = "-----BEGIN OPENSSH PRIVATE KEY-----\\nb3BlbnNzaC1rZXkAAA\\n-----END OPENSSH PRIVATE KEY-----"


@pytest.fixture(scope="module")
def laboratory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the laboratory's inventory, with secrets."""
    folder = tmp_path_factory.mktemp("inventories") / "lab"
    shutil.copytree(find_checkout() / "inventories" / "lab", folder, ignore=shutil.ignore_patterns(".state"))
    (folder / ".state" / "secrets").mkdir(parents=True)
    for name, value in SECRETS.items():
        (folder / ".state" / "secrets" / name).write_text(value)
    return folder


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """Stand-ins for ssh, docker and skopeo, which write down what they were asked."""
    folder = tmp_path / "programs"
    folder.mkdir()
    said = "\n".join([*SECRETS.values(), KEY, "all is well"])
    _program(folder / "ssh", f'printf "%s\\n" "$*" >> "$0.asked"; printf "{said}\\n"; exit "${{SSH_ENDS_WITH:-0}}"')
    return folder


def _program(file: Path, text: str) -> None:
    file.write_text(f"#!/bin/sh\n{text}\n")
    file.chmod(0o755)


def fab(laboratory: Path, programs: Path, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [FAB, *words],
        cwd=find_checkout(),
        env={
            **os.environ,
            "BLUEFLEET_INVENTORY": str(laboratory),
            "PATH": f"{programs}:{os.environ['PATH']}",
            **environment,
        },
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=150 * PATIENCE,
        check=False,
    )


def asked(programs: Path) -> str:
    return Path(f"{programs}/ssh.asked").read_text()


def test_a_task_is_a_verb_on_the_manager_with_the_sites_own_key_and_known_hosts(
    laboratory: Path, programs: Path
) -> None:
    done = fab(laboratory, programs, "-H", "manager", "status")
    assert (done.returncode, "all is well" in done.stdout) == (0, True), done.stderr
    said = asked(programs)
    assert said.endswith("172.30.77.10 -- bluefleet status\n")
    assert "StrictHostKeyChecking=yes" in said
    assert f"UserKnownHostsFile={laboratory}/.state/ssh/known_hosts" in said
    assert f"-i {laboratory}/.state/ssh/id_ed25519" in said


def test_a_node_narrows_a_task_to_itself_and_its_exit_code_is_the_verbs(laboratory: Path, programs: Path) -> None:
    done = fab(laboratory, programs, "-H", "node1", "restart", "cam1,simple", "--reason", "dust", SSH_ENDS_WITH="1")
    assert done.returncode == 1
    assert asked(programs).endswith("-- bluefleet restart node1/cam1 node1/simple --reason dust\n")
    done = fab(laboratory, programs, "-H", "manager", "reboot", "--nodes", "node1,node2")
    assert done.returncode == 0, done.stderr
    assert "-- bluefleet reboot node1 node2 " in asked(programs)
    done = fab(laboratory, programs, "-H", "node1", "restart", "cam1", "--dry-run")
    assert asked(programs).endswith("-- bluefleet restart node1/cam1 --dry-run\n")
    done = fab(laboratory, programs, "-H", "node2", "reboot", "--hard", "--dry-run")
    assert "-- bluefleet reboot node2/ --deadline 300 --hard --dry-run" in asked(programs)
    done = fab(laboratory, programs, "-H", "manager", "logs", "--targets", "cam1,cam2", "--tail", "3")
    assert asked(programs).endswith("-- bluefleet logs cam1 cam2 --since 1h --tail 3 --timestamps\n")
    done = fab(laboratory, programs, "-H", "node2", "logs")
    assert done.returncode == 0
    assert asked(programs).endswith("-- bluefleet logs node2/ --since 1h --tail 200 --timestamps\n")


def test_a_host_that_the_inventory_has_not_is_refused_and_so_is_a_reboot_of_nothing(
    laboratory: Path, programs: Path
) -> None:
    done = fab(laboratory, programs, "-H", "node", "status")
    assert (done.returncode, "has no host node; it has manager" in done.stderr) == (2, True)
    done = fab(laboratory, programs, "-H", "data", "restart", "cam1")
    assert (done.returncode, "data is no node: -H manager means the whole fleet" in done.stderr) == (2, True)
    done = fab(laboratory, programs, "-H", "manager", "reboot")
    assert (done.returncode, "name nodes" in done.stderr) == (2, True)
    assert not (programs / "ssh.asked").exists()


def test_a_bundle_has_every_host_and_no_secret(laboratory: Path, programs: Path, tmp_path: Path) -> None:
    done = fab(laboratory, programs, "-H", "manager", "collect", "--into", str(tmp_path / "for" / "ada"))
    assert done.returncode == 0, done.stderr
    file = Path(done.stdout.strip().splitlines()[-1])
    assert file.parent == tmp_path / "for" / "ada"
    with tarfile.open(file) as bundle:
        texts = {
            member.name.partition("/")[2]: bundle.extractfile(member).read().decode()  # type: ignore[union-attr]
            for member in bundle
        }
    assert {f"hosts/{name}.txt" for name in ("manager", "data", "node1", "node2")} < set(texts)
    assert {"fleet/status.json", "fleet/history.json", "fleet/devices.json", "fleet/logs.txt"} < set(texts)
    assert {"control/checkout.txt", "site.yml"} < set(texts)
    everything = "".join(texts.values())
    assert "all is well" in texts["hosts/node1.txt"]
    assert "[secret redis_password]" in texts["fleet/status.json"]
    for secret in [*SECRETS.values(), "b3BlbnNzaC1rZXkAAA"]:
        assert secret not in everything
    # What was asked of a host reads no file that holds one.
    assert "/etc/bluefleet/secrets" not in asked(programs)


def test_a_bundle_that_can_not_be_written_is_refused_before_anybody_is_asked(
    laboratory: Path, programs: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    done = fab(laboratory, programs, "-H", "manager", "collect", "--into", str(tmp_path / "file"))
    assert (done.returncode, done.stderr.strip()) == (1, f"failed: {tmp_path / 'file'}: File exists")
    assert not (programs / "ssh.asked").exists()


def test_a_pushed_image_is_named_by_its_digest_and_its_password_is_no_argument(
    laboratory: Path, programs: Path
) -> None:
    password = laboratory / ".state" / "secrets" / "registry_push_password"
    password.write_text("PushPasswordPushPassword")
    authority = laboratory / ".state" / "pki" / "site" / "bundle.crt"
    authority.parent.mkdir(parents=True, exist_ok=True)
    authority.write_text("a certificate")
    _program(programs / "docker", 'echo "$*" > "$0.asked"; touch "$3"')
    _program(programs / "skopeo", 'echo "$*" > "$0.asked"; echo "sha256:abc" > "$5"')
    planned = fab(laboratory, programs, "-H", "manager", "push-image", "example.org/mine/reader:3", "--dry-run")
    assert planned.stdout == "would push example.org/mine/reader:3 to 172.30.77.10:5000/bluefleet/reader:by-hand\n", (
        planned.stderr
    )
    assert not (programs / "docker.asked").exists()
    done = fab(laboratory, programs, "-H", "manager", "push-image", "example.org/mine/reader:3", "--tag", "3")
    assert done.returncode == 0, done.stderr
    assert done.stdout == "172.30.77.10:5000/bluefleet/reader@sha256:abc\n"
    said = (programs / "skopeo.asked").read_text()
    assert said.endswith("docker://172.30.77.10:5000/bluefleet/reader:3\n")
    assert "PushPassword" not in said
    password.unlink()
    done = fab(laboratory, programs, "-H", "manager", "push-image", "reader:3")
    assert (done.returncode, "registry_push_password" in done.stderr, "Traceback" in done.stderr) == (1, True, False)


def test_a_verb_that_does_not_end_is_ended(laboratory: Path, programs: Path, tmp_path: Path) -> None:
    _program(tmp_path / "hangs", "exec sleep 100")
    code = f"import fabfile\nfabfile.BLUEFLEET = {str(tmp_path / 'hangs')!r}\nfabfile._bluefleet('status', seconds=0.5)"
    begin = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=find_checkout(),
        capture_output=True,
        text=True,
        timeout=60 * PATIENCE,
        check=False,
    )
    assert time.monotonic() - begin < 20
    assert "did not end within 0.5 s" in done.stderr
