"""An instance that is simulated has nothing of its hardware, and all by which others know it."""

from bluefleet.model import Instance

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
