"""How the manager finds engines that it reaches over SSH."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

VARS = Path(__file__).parents[3] / "roles" / "docker_engine" / "vars" / "main.yml"
INVENTORY = """
[nodes]
by-address ansible_host=10.0.0.21 docker_engine_transport=ssh
by-name docker_engine_transport=ssh
other docker_engine_transport=tls
"""


@pytest.mark.slow
def test_a_node_without_an_address_is_reached_by_its_name(tmp_path: Path) -> None:
    inventory = tmp_path / "hosts"
    inventory.write_text(INVENTORY)
    ask = [Path(sys.executable).with_name("ansible"), "other", "-i", inventory, "-c", "local", "-m", "debug", "-o"]
    done = subprocess.run(
        [*ask, "-e", f"@{VARS}", "-a", "var=_docker_engine_ssh_addresses"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout.partition("=>")[2])["_docker_engine_ssh_addresses"] == ["10.0.0.21", "by-name"]
