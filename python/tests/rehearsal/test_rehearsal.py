"""A rehearsal takes of a site what is harmless here, puts its own addresses in, and says what it leaves."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from bluefleet.checkout import find_checkout
from bluefleet.inventory import Inventory, validate_inventory
from bluefleet.inventory._specs import Roles
from bluefleet.rehearsal import NotARehearsal, Rehearsal, Subnet, addresses_in, rehearse, write
from bluefleet.rehearsal._variables import LEFT, OWN, TAKEN

TOP = find_checkout()
EXAMPLE = TOP / "inventories" / "example"
LABORATORY = Inventory(TOP / "inventories" / "lab")

Site = Callable[..., Rehearsal]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the example."""
    copy = tmp_path / "mysite"
    shutil.copytree(EXAMPLE, copy, ignore=shutil.ignore_patterns(".state"))
    return copy


@pytest.fixture
def site(folder: Path) -> Site:
    """The rehearsal of the copy, with these files (path → content) put in or in others' place."""

    def make(changed: dict[str, str] | None = None, before: dict[str, str] | None = None) -> Rehearsal:
        for path, text in (changed or {}).items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text)
        return rehearse(Inventory(folder), LABORATORY, TOP, Subnet("172.30.78.0/24"), before or {})

    return make


def instances(made: Rehearsal, node: str = "bl7-hutch") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = made.files[f"host_vars/{node}.yml"]["node_instances"]
    return found


def test_every_variable_of_a_role_is_taken_left_or_the_rehearsals_own() -> None:
    known = {name for name, option in Roles(TOP / "roles").options.items() if option.role != "_pod"}
    lists = [TAKEN - {"ansible_group_priority"}, set(LEFT), OWN]
    assert known - set().union(*lists) == set(), "may a rehearsal use it? put it into one of the lists of _variables.py"
    assert set().union(*lists) - known == set()
    assert sum(map(len, lists)) == len(known), "something is in two lists"


def test_the_example_can_be_rehearsed_and_its_inventory_makes_sense(site: Site, tmp_path: Path) -> None:
    made = site()
    assert made.findings == []
    write(made, tmp_path / "out")
    assert validate_inventory(tmp_path / "out", TOP) == []


def test_no_address_of_a_host_of_the_site_is_in_it(site: Site) -> None:
    text = """
node_instances:
  - name: scope
    image: ioc
    command: [--peer, "192.0.2.21:5064"]
    environment: {EPICS_CA_ADDR_LIST: "192.0.2.21:5064 {{ hostvars['bl7-optics'].ansible_host }}:5066 192.0.2.210"}
    simulated: {}
"""
    made = site({"host_vars/bl7-hutch.yml": text})
    told = yaml.safe_dump(made.files)
    assert not [address for address in made.real.values() if f"{address}:" in told or f"{address}\n" in told]
    (scope,) = instances(made)
    assert scope["command"] == ["--peer", "172.30.78.13:5064"]
    # Another address that begins alike is another host's.
    assert scope["environment"]["EPICS_CA_ADDR_LIST"].endswith(".ansible_host }}:5066 192.0.2.210")


def test_every_host_has_an_address_of_the_rehearsals_network_and_keeps_it(site: Site) -> None:
    first = site()
    hosts = first.files["hosts.yml"]
    assert hosts["nodes"]["hosts"].keys() == {"bl7-optics", "bl7-hutch"}
    assert hosts["hypervisor"]["hosts"].keys() == hosts["image_builder"]["hosts"].keys() == {"localhost"}
    assert set(first.addresses.values()) == {f"172.30.78.{number}" for number in range(10, 16)}
    text = (EXAMPLE / "hosts.yml").read_text().replace("nodes:\n  hosts:\n", "nodes:\n  hosts:\n    bl7-new:\n")
    second = site({"hosts.yml": text}, before=first.addresses)
    assert {host: second.addresses[host] for host in first.addresses} == first.addresses
    assert second.addresses["bl7-new"] == "172.30.78.16"


def test_who_only_uses_channel_access_is_not_made(site: Site) -> None:
    made = site()
    assert "archiver" in made.addresses
    assert "archiver" not in made.files["group_vars/hypervisor/rehearsal.yml"]["virtual_host_names"]


def test_the_network_leads_nowhere_and_everything_is_simulated(site: Site) -> None:
    made = site()
    assert made.files["group_vars/hypervisor/rehearsal.yml"]["virtual_host_uplink"] is False
    assert made.files["group_vars/all/rehearsal.yml"]["simulate"] is True


@pytest.mark.parametrize(
    "variable",
    ["node_power", "time_servers", "node_sysctl", "site_published_images", "docker_engine_daemon_options"],
)
def test_what_would_reach_real_things_stays_behind_and_is_told(site: Site, variable: str) -> None:
    made = site()
    assert variable not in {name for path, each in made.files.items() if "rehearsal" not in path for name in each}
    (left,) = [left for left in made.left if left.what.endswith(variable)]
    assert left.why
    assert ".yml:" in left.place


def test_how_hosts_are_reached_is_the_laboratorys(site: Site) -> None:
    text = "ansible_user: provision\nansible_ssh_common_args: -o ProxyJump=gate\nansible_port: 2222\nansible_become: true\n"
    made = site({"group_vars/all/connection.yml": text, "host_vars/bl7-data.yml": text})
    assert made.files["group_vars/all/rehearsal.yml"]["ansible_user"] == "root"
    assert "gate" not in yaml.safe_dump(made.files)
    assert "host_vars/bl7-data.yml" not in made.files


def test_an_unknown_variable_stays_behind(site: Site) -> None:
    made = site({"group_vars/manager.yml": "something_new: https://real.example.org\n"})
    assert "something_new" not in yaml.safe_dump(made.files)
    assert [left.why for left in made.left if left.what == "something_new"] == ["nothing says that it is harmless here"]


def test_a_file_server_is_a_volume_of_the_node_and_a_mount_a_folder_that_all_share(site: Site) -> None:
    text = """
node_mounts: [{path: /frames, src: "storage.example.org:/export"}]
node_instances:
  - name: camera
    image: camera
    simulate: false
    simulated: {}
    volumes:
      - {target: /frames, nfs: {server: storage.example.org, path: /export/frames}, read_only: true}
      - {source: /frames, target: /local}
"""
    made = site({"host_vars/bl7-hutch.yml": text})
    (camera,) = instances(made)
    assert "simulate" not in camera
    assert camera["volumes"] == [
        {"source": "storage-example-org--export-frames", "target": "/frames", "read_only": True},
        {"source": "/frames", "target": "/local"},
    ]
    shared = made.files["group_vars/hypervisor/rehearsal.yml"]["virtual_host_shared_folders"]
    assert shared == ["/frames", "/srv/shared"]
    assert "bl7-hutch: node_instances: storage.example.org:/export/frames" in {left.what for left in made.left}


def test_a_real_image_is_never_fetched(site: Site) -> None:
    assert [instance["image"] for instance in instances(site())] == ["camera", "ioc"]


def test_secrets_of_the_site_stay_with_it(site: Site) -> None:
    sealed = "acquisition_plans: !vault |\n  $ANSIBLE_VAULT;1.1;AES256\n  6162\n"
    made = site(
        {"group_vars/acquisition.yml": sealed, "group_vars/data/vault.yml": "$ANSIBLE_VAULT;1.1;AES256\n6162\n"}
    )
    assert "group_vars/acquisition/site.yml" not in made.files
    assert {left.what for left in made.left if "encrypted" in left.why} == {"acquisition_plans", "the whole file"}


def test_files_beside_the_inventory_are_found_where_they_are(site: Site, folder: Path) -> None:
    template = "{{ lookup('file', inventory_dir ~ '/keys/ada.pub') }} {{ hostvars['bl7-data'].inventory_dir }}"
    made = site({"group_vars/desktops.yml": f'local_key: "{template}"\nlocal_words: the inventory_dir\n'})
    found = made.files["group_vars/desktops/site.yml"]
    assert found["local_key"] == template.replace("inventory_dir", "local_rehearsed_inventory")
    assert found["local_words"] == "the inventory_dir"
    assert made.files["group_vars/all/rehearsal.yml"]["local_rehearsed_inventory"] == str(folder)


@pytest.mark.parametrize(
    ("template", "is_taken"),
    [("{{ lookup('env', 'HOME') }}", True), ("{{ q('pipe', 'ssh gate true') }}", False)],
)
def test_a_template_that_may_ask_the_site_stays_behind(site: Site, template: str, is_taken: bool) -> None:
    made = site({"group_vars/desktops.yml": f'local_key:\n  - "{template}"\n'})
    assert ("group_vars/desktops/site.yml" in made.files) is is_taken
    assert ("local_key" in {left.what for left in made.left}) is not is_taken


def test_instances_that_ask_the_site_cannot_be_rehearsed(site: Site) -> None:
    text = "node_instances: [{name: a, image: ioc, command: [\"{{ lookup('url', 'x') }}\"], simulated: {}}]\n"
    (finding,) = site({"host_vars/bl7-hutch.yml": text}).findings
    assert "can't use it" in finding.says


@pytest.mark.parametrize(
    ("twin", "says", "line"),
    [
        ("", "instance 'scope' has no twin, so it can't be rehearsed", 2),
        ("simulated: {image: vimba-camera}", "the twin of 'scope' runs from an image that is not built here", 4),
    ],
)
def test_an_instance_that_cannot_be_rehearsed_is_named_with_its_line(
    site: Site, folder: Path, twin: str, says: str, line: int
) -> None:
    made = site({"host_vars/bl7-hutch.yml": f"node_instances:\n  - name: scope\n    image: ioc\n    {twin}\n"})
    (finding,) = made.findings
    assert finding.says.startswith(says)
    assert (finding.file, finding.line) == (folder / "host_vars" / "bl7-hutch.yml", line)
    assert made.files == {}


def test_this_machine_cannot_be_a_virtual_host_of_itself(site: Site) -> None:
    text = (EXAMPLE / "hosts.yml").read_text().replace("bl7-manager", "localhost")
    (finding,) = site({"hosts.yml": text}).findings
    assert "virtual host of itself" in finding.says


@pytest.mark.parametrize("network", ["172.30.78.0", "172.30.78.0/33", "fd00::/64", "172.30.78.0/28"])
def test_a_network_that_cannot_be_is_refused(folder: Path, network: str) -> None:
    with pytest.raises(ValueError, match=r"no IPv4 network|larger network"):
        rehearse(Inventory(folder), LABORATORY, TOP, Subnet(network), {})


def test_written_again_only_what_changed_is_new(site: Site, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert write(site(), out)
    (out / ".state").mkdir()
    os.utime(out / "hosts.yml", (1, 1))
    assert not write(site(), out)
    assert (out / "hosts.yml").stat().st_mtime == 1
    (tmp_path / "mysite" / "group_vars" / "data.yml").unlink()
    assert write(site(), out)
    assert not (out / "group_vars" / "data").exists()
    assert (out / ".state").is_dir()
    assert addresses_in(out) == site().addresses


def test_the_folder_of_another_site_is_not_written_over(site: Site, tmp_path: Path) -> None:
    out = tmp_path / "out"
    write(site(), out)
    other = tmp_path / "elsewhere" / "mysite"
    shutil.copytree(tmp_path / "mysite", other)
    made = rehearse(Inventory(other), LABORATORY, TOP, Subnet("172.30.78.0/24"), {})
    with pytest.raises(NotARehearsal, match=r"make lab-down INVENTORY=.*mysite"):
        write(made, out)


def test_what_is_there_and_is_no_rehearsal_is_not_touched(site: Site, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    with pytest.raises(NotARehearsal, match="is no rehearsal"):
        write(site(), tmp_path / "out")
