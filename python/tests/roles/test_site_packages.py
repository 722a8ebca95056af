"""The module that installs packages, with an apt-get and a dpkg that only write down how they are called."""

import os
from pathlib import Path
from typing import Any

import pytest

from role_files import call_module

# What is said and done for `apt-get -s install`, `install` and `update` is in files beside it; none of them is success.
APT_GET = """#!/bin/sh
folder=$(dirname "$0")
verb=
for word; do
    case $word in
    -s) verb=simulate ;;
    install | update) [ "$verb" ] || verb=$word ;;
    esac
done
echo "apt-get $verb $*" >>"$folder/calls"
[ ! -e "$folder/$verb" ] || . "$folder/$verb"
"""
DPKG = """#!/bin/sh
echo "dpkg $*" >>"$(dirname "$0")/calls"
"""
NOTHING_INSTALLED = "#!/bin/sh\nexit 1\n"

CHRONY = "echo 'Remv systemd-timesyncd [252.38-1~deb12u1]'; echo 'Inst chrony (4.3-2 Debian:12 [amd64])'"
OTHER_ENGINE = "echo 'Remv docker-ce [5:28.0]'; echo 'Remv containerd.io [1.7.25-1]'; echo 'Inst docker.io (20.10.24)'"


class Host:
    """A folder of stand-ins at the head of PATH."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name, text in {"apt-get": APT_GET, "dpkg": DPKG, "dpkg-query": NOTHING_INSTALLED}.items():
            (folder / name).write_text(text)
            (folder / name).chmod(0o755)

    def answers(self, verb: str, script: str) -> None:
        (self.folder / verb).write_text(script)

    def install(self, *names: str, **more: Any) -> dict[str, Any]:
        return call_module("_site/library/site_packages.py", {"names": list(names), **more})

    def calls(self) -> list[str]:
        """How each program was called: its name and the verb."""
        return [" ".join(line.split()[:2]) for line in (self.folder / "calls").read_text().splitlines()]


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    return Host(tmp_path)


def test_what_removes_packages_of_the_host_is_refused_and_nothing_is_touched(host: Host) -> None:
    host.answers("simulate", OTHER_ENGINE)
    said = host.install("docker.io", advice="Name them in docker_engine_packages")
    assert said["failed"]
    assert "would remove docker-ce containerd.io;" in said["msg"]
    assert said["msg"].endswith("Name them in docker_engine_packages")
    assert host.calls() == ["apt-get simulate"]


def test_check_mode_says_that_it_would_be_refused(host: Host) -> None:
    host.answers("simulate", OTHER_ENGINE)
    assert "docker-ce" in host.install("docker.io", _ansible_check_mode=True)["msg"]


def test_check_mode_does_not_fail_over_lists_that_were_not_fetched(host: Host) -> None:
    host.answers("simulate", "echo 'E: Unable to locate package chrony' >&2; exit 100")
    said = host.install("chrony", _ansible_check_mode=True)
    assert said["changed"]
    assert host.calls() == ["apt-get simulate"]


def test_a_time_service_takes_the_place_of_the_one_that_comes_with_the_system(host: Host) -> None:
    host.answers("simulate", CHRONY)
    assert host.install("chrony")["installed"] == ["chrony"]


def test_no_other_package_takes_its_place(host: Host) -> None:
    host.answers("simulate", CHRONY)
    assert "systemd-timesyncd" in host.install("nftables")["msg"]


def test_an_interrupted_installation_is_finished_first(host: Host) -> None:
    host.install("nftables")
    assert host.calls() == ["apt-get simulate", "dpkg --configure", "apt-get install"]


def test_what_was_not_to_be_removed_in_the_simulation_is_not_removed_later(host: Host) -> None:
    host.install("nftables")
    assert "--no-remove" in (host.folder / "calls").read_text().splitlines()[-1]


def test_lists_are_fetched_again_while_another_program_has_their_lock(host: Host) -> None:
    host.answers("simulate", '[ -e "$folder/fetched" ] || exit 100')
    host.answers(
        "update",
        """
        if [ -e "$folder/tried" ]; then touch "$folder/fetched"; exit 0; fi
        touch "$folder/tried"
        echo 'E: Could not get lock /var/lib/apt/lists/lock. It is held by process 12 (apt-get)' >&2; exit 100
        """,
    )
    assert host.install("nftables")["changed"]
    assert host.calls().count("apt-get update") == 2


def test_a_failure_says_why_the_lists_could_not_be_fetched(host: Host) -> None:
    host.answers("simulate", "echo 'E: Unable to locate package nftables' >&2; exit 100")
    host.answers("update", "echo 'E: Conflicting values set for option Signed-By' >&2; exit 100")
    message = host.install("nftables")["msg"]
    assert message.index("Conflicting values") < message.index("Unable to locate package nftables")
