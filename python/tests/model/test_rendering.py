"""What Ansible renders from an inventory is a site to the models, before and after images are built."""

import shutil
from pathlib import Path

import pytest
import yaml

from bluefleet.checkout import find_checkout
from bluefleet.inventory import render, site_addresses
from bluefleet.site_file import load_site

DIGEST = "sha256:" + "a" * 64

# Ansible renders the inventory first: 3 s, several times that where lint and image builds run beside it.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]


@pytest.fixture(scope="module")
def laboratory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the laboratory's inventory with nothing made for it yet."""
    folder = tmp_path_factory.mktemp("inventories") / "lab"
    shutil.copytree(find_checkout() / "inventories" / "lab", folder, ignore=shutil.ignore_patterns(".state"))
    return folder


def test_the_laboratory_is_a_site_before_any_image_is_built(laboratory):
    site = load_site(render(laboratory, find_checkout()).site_file)
    assert site.site == "lab"
    assert [node.name for node in site.nodes] == ["node1", "node2"]
    assert len(list(site.placed_devices())) >= 10
    assert site.images["ioc"].digest is None
    assert site.registry is not None
    assert site.images["ioc"].reference.startswith(site.registry.address)
    assert site.kafka is not None
    assert site.kafka.topic == "lab.bluesky.documents"


def test_built_images_are_named_by_digest(laboratory):
    built = {"ioc": {"tag": "t", "digest": DIGEST, "reference": f"172.30.77.10:5000/bluefleet/ioc@{DIGEST}"}}
    (laboratory / ".state").mkdir(exist_ok=True)
    (laboratory / ".state" / "images.yml").write_text(yaml.safe_dump({"site_images": built}))
    site = load_site(render(laboratory, find_checkout(), afresh=True).site_file)
    assert site.images["ioc"].digest == DIGEST
    assert site.images["nginx"].digest is None


def test_addresses_name_files_of_credentials_and_no_secret(laboratory):
    rendered = render(laboratory, find_checkout())
    addresses = site_addresses(rendered)
    assert addresses.edge is not None
    assert addresses.edge.url == "https://172.30.77.10"
    assert addresses.edge.queue_api_key_file == laboratory / ".state" / "secrets" / "queue_api_key"
    assert addresses.fleet is not None
    assert addresses.fleet.url == "https://172.30.77.10/fleet"
    assert addresses.fleet.token_file == laboratory / ".state" / "secrets" / "fleet_token"
    assert addresses.tiled is not None
    assert addresses.tiled.url == "https://172.30.77.11/tiled"
    assert addresses.jupyter is not None
    assert addresses.jupyter.url == "https://172.30.77.11/jupyter/"
    assert addresses.jupyter.password_file == laboratory / ".state" / "secrets" / "jupyter_password"
    assert addresses.kafka is not None
    assert addresses.kafka.bootstrap == "172.30.77.10:9093"
    assert addresses.hosts["manager"].groups == ["manager", "acquisition"]
    assert "localhost" not in addresses.hosts


def test_a_site_may_do_without_notebooks(laboratory):
    written = laboratory / "group_vars" / "data.yml"
    before = written.read_text()
    written.write_text(before + "data_jupyter: false\n")
    addresses = site_addresses(render(laboratory, find_checkout()))
    written.write_text(before)
    assert addresses.jupyter is None
    assert addresses.tiled is not None


def test_a_changed_inventory_is_rendered_again(laboratory):
    first = render(laboratory, find_checkout())
    assert load_site(first.site_file).node("node2") is not None
    written = laboratory / "host_vars" / "node2.yml"
    written.write_text("node_instances: []\n")
    again = load_site(render(laboratory, find_checkout()).site_file).node("node2")
    assert again is not None
    assert again.instances == []
