"""What the documentation declares as an instance or a device is one."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from bluefleet.model import Device, Instance

ROOT = Path(__file__).resolve().parents[3]
EXAMPLE = ROOT / "inventories" / "example"
BLOCK = re.compile(r"^ *```yaml\n(.*?)^ *```", re.MULTILINE | re.DOTALL)


def samples() -> list[tuple[str, Any]]:
    """Every YAML block of the how-to pages, with its page."""
    pages = sorted((ROOT / "docs" / "how-to").glob("*.md"))
    return [
        (page.name, yaml.safe_load(text)) for page in pages for text in BLOCK.findall(page.read_text(encoding="utf-8"))
    ]


INSTANCES = [
    pytest.param(one, id=f"{page}:{one['name']}")
    for page, sample in samples()
    if isinstance(sample, dict)
    for one in sample.get("node_instances", [])
]
DEVICES = [
    pytest.param(one, id=f"{page}:{one['name']}")
    for page, sample in samples()
    if isinstance(sample, list)
    for one in sample
    if "class" in one
]


@pytest.mark.parametrize("declared", INSTANCES)
def test_an_instance_of_a_page_is_one(declared: dict[str, Any]) -> None:
    assert Instance.model_validate(declared)


@pytest.mark.parametrize("declared", DEVICES)
def test_a_device_of_a_page_is_one(declared: dict[str, Any]) -> None:
    assert Device.model_validate(declared)


def test_the_ioc_that_is_added_has_a_place_in_the_example() -> None:
    (added,) = (one["node_instances"] for page, one in samples() if page == "add-an-ioc.md" and "node_instances" in one)
    node = yaml.safe_load((EXAMPLE / "host_vars" / "bl7-hutch.yml").read_text(encoding="utf-8"))
    images = yaml.safe_load((EXAMPLE / "group_vars" / "all" / "images.yml").read_text(encoding="utf-8"))
    there = node["node_instances"]
    for one in added:
        assert one["name"] not in {other["name"] for other in there}
        assert one["channel_access_port"] not in {other["channel_access_port"] for other in there}
        assert one["image"] in images["site_published_images"]
