"""An instance that is simulated has nothing of its hardware, and all by which others know it."""

from typing import Any

import pytest

from bluefleet.model import Instance, Site, site_problems, twinless

CAMERA = {
    "name": "camera",
    "image": "camera",
    "command": ["camera", "--serial", "123"],
    "channel_access_port": 5064,
    "environment": {"LEVEL": "1", "KEEP": "1"},
    "privileged": True,
    "hardware_devices": ["/dev/bus/usb"],
    "stop_command": ["warm-up"],
    "device_cgroup_rules": ["c 189:* rwm"],
    "capabilities": ["SYS_NICE"],
    "ulimits": {"rtprio": {"soft": 99, "hard": 99}},
    "groups": [20],
    "user": "1000",
    "volumes": [{"source": "/data", "target": "/data"}, {"source": "/dev/serial", "target": "/dev/serial"}],
    "simulated": {"image": "ioc", "command": ["simulated"], "environment": {"LEVEL": "2"}},
}


def test_a_twin_has_the_ports_and_volumes_but_none_of_the_hardware() -> None:
    twin = Instance.model_validate(CAMERA).twin()
    assert twin is not None
    assert (twin.name, twin.image, twin.command) == ("camera", "ioc", ["simulated"])
    assert (twin.privileged, twin.hardware_devices, twin.stop_command) == (False, [], [])
    assert (twin.device_cgroup_rules, twin.capabilities, twin.ulimits, twin.groups, twin.user) == ([], [], {}, [], None)
    assert (twin.channel_access_port, [volume.source for volume in twin.volumes]) == (5064, ["/data"])
    assert twin.environment == {"LEVEL": "2", "KEEP": "1"}


def test_who_declares_none_has_none() -> None:
    assert Instance(name="camera", image="camera").twin() is None


def test_the_twin_of_what_drives_no_hardware_is_itself() -> None:
    declared = Instance.model_validate({**CAMERA, "hardware_devices": [], "privileged": False, "simulated": {}})
    twin = declared.twin()
    assert twin is not None
    assert (twin.image, twin.command, twin.stop_command) == (declared.image, declared.command, declared.stop_command)


def test_a_twin_may_say_another_command_of_the_same_image() -> None:
    twin = Instance.model_validate({**CAMERA, "simulated": {"command": ["camera", "--simulated"]}}).twin()
    assert twin is not None
    assert (twin.image, twin.command, twin.privileged) == ("camera", ["camera", "--simulated"], False)


def site(instance: dict[str, Any], **node: Any) -> Site:
    digest = f"sha256:{'a' * 64}"
    return Site.model_validate(
        {
            "schema_version": 1,
            "site": "lab",
            "hosts": {"node1": {"address": "10.0.0.1"}},
            "registry": None,
            "images": {key: {"reference": f"r/{key}@{digest}", "digest": digest} for key in ("camera", "ioc")},
            "nodes": [{"name": "node1", "address": "10.0.0.1", "instances": [instance], **node}],
        }
    )


REAL = {key: value for key, value in CAMERA.items() if key != "simulated"}


@pytest.mark.parametrize(
    ("of_node", "of_instance", "is_simulated"),
    [({}, {}, False), ({"simulate": True}, {}, True), ({"simulate": True}, {"simulate": False}, False),
     ({}, {"simulate": True}, True)],
)  # fmt: skip
def test_an_instance_counts_more_than_its_node(
    of_node: dict[str, Any], of_instance: dict[str, Any], is_simulated: bool
) -> None:
    node = site({**CAMERA, **of_instance}, **of_node).nodes[0]
    assert node.simulates(node.instances[0]) is is_simulated


@pytest.mark.parametrize(("of_node", "of_instance"), [({"simulate": True}, {}), ({}, {"simulate": True})])
def test_what_is_to_be_simulated_and_has_no_twin_is_refused(
    of_node: dict[str, Any], of_instance: dict[str, Any]
) -> None:
    problems = site_problems(site({**REAL, **of_instance}, **of_node))
    assert [problem.says for problem in problems] == ["instance 'camera' is to be simulated and has no twin"]
    assert "simulated: {}" in problems[0].remedy


def test_what_has_no_twin_is_listed_and_no_mistake() -> None:
    assert site_problems(site(REAL)) == []
    assert [problem.value for problem in twinless(site(REAL))] == ["camera"]
    assert list(twinless(site(CAMERA))) == []
