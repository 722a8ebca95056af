"""What a declared instance becomes, and where its node's engine is."""

from typing import Any

import pytest
from pydantic import ValidationError

from bluefleet.engine import HealthCheck, HostDevice, Mount, PublishedPort
from bluefleet.fleet import Settings, container_spec, endpoint
from bluefleet.model import Site

DIGEST = "sha256:" + "a" * 64


def site(instance: dict[str, Any], **node: Any) -> Site:
    return Site.model_validate(
        {
            "schema_version": 1,
            "site": "lab",
            "hosts": {},
            "registry": None,
            "images": {"ioc": {"reference": f"registry:5000/bluefleet/ioc@{DIGEST}", "digest": DIGEST}},
            "nodes": [{"name": "node1", "address": "10.0.0.1", **node, "instances": [{"image": "ioc", **instance}]}],
        }
    )


def rendered(instance: dict[str, Any]) -> Any:
    found = site(instance)
    return container_spec(found, found.nodes[0], found.nodes[0].instances[0])


MINI = {
    "name": "mini-beamline",
    "command": ["mini_beamline", "--prefix", "mini:"],
    "channel_access_port": 5064,
    "devices": [{"name": "motor_ph", "class": "bluefleet.devices.Axis", "prefix": "mini:ph:"}],
}


def test_an_instance_is_found_by_its_labels() -> None:
    spec = rendered(MINI)
    assert spec.name == "bluefleet-mini-beamline"
    assert spec.labels == {
        "org.bluefleet.site": "lab",
        "org.bluefleet.node": "node1",
        "org.bluefleet.instance": "mini-beamline",
    }


def test_an_ioc_has_its_own_port_and_searches_nobody() -> None:
    spec = rendered(MINI)
    assert spec.network == "host"
    assert spec.command == ("mini_beamline", "--prefix", "mini:")
    assert spec.environment["EPICS_CA_SERVER_PORT"] == "5064"
    assert spec.environment["EPICS_CAS_SERVER_PORT"] == "5064"
    assert spec.environment["EPICS_CA_AUTO_ADDR_LIST"] == "NO"


def test_an_ioc_is_healthy_when_its_port_answers() -> None:
    assert rendered(MINI).health == HealthCheck(command=("bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/5064"))


def test_a_declared_health_check_replaces_that() -> None:
    spec = rendered({**MINI, "health": {"command": ["/check"], "interval_seconds": 10, "retries": 2}})
    assert spec.health == HealthCheck(command=("/check",), interval=10, retries=2)


def test_an_instance_without_channel_access_has_no_epics_environment() -> None:
    spec = rendered({"name": "camera"})
    assert spec.health is None
    assert not [name for name in spec.environment if name.startswith("EPICS")]


def test_adding_a_device_changes_no_container() -> None:
    more = [*MINI["devices"], {"name": "edge", "class": "bluefleet.devices.Detector", "prefix": "mini:edge:"}]
    assert rendered({**MINI, "devices": more}).sha256 == rendered(MINI).sha256


@pytest.mark.parametrize(
    "change",
    [
        {"command": ["simple"]},
        {"channel_access_port": 5066},
        {"environment": {"A": "1"}},
        {"privileged": True},
        {"hardware_devices": ["/dev/bus/usb"]},
        {"device_cgroup_rules": ["c 189:* rwm"]},
        {"volumes": [{"source": "/data", "target": "/data"}]},
        {"memory_limit": "512m"},
        {"cpu_limit": 1.5},
        {"user": "1000:1000"},
        {"groups": [20]},
        {"capabilities": ["SYS_NICE"]},
        {"ulimits": {"rtprio": {"soft": 99, "hard": 99}}},
        {"stop_signal": "SIGINT"},
        {"stop_grace_seconds": 30},
        {"network": "bridge"},
        {"health": {"command": ["true"]}},
    ],
    ids=lambda change: next(iter(change)),
)
def test_what_reaches_the_container_changes_its_spec(change: dict[str, Any]) -> None:
    assert rendered({**MINI, **change}).sha256 != rendered(MINI).sha256


@pytest.mark.parametrize(
    ("text", "device"),
    [
        ("/dev/ttyUSB0:/dev/scope", HostDevice("/dev/ttyUSB0", "/dev/scope", "rwm")),
        ("/dev/ttyUSB0:/dev/scope:rw", HostDevice("/dev/ttyUSB0", "/dev/scope", "rw")),
        ("/dev/ttyUSB0:r", HostDevice("/dev/ttyUSB0", "/dev/ttyUSB0", "r")),
    ],
)
def test_hardware_devices_are_spelled_as_dockers(text: str, device: HostDevice) -> None:
    assert rendered({**MINI, "hardware_devices": [text]}).devices == (device,)


def test_usb_is_the_folder_itself_so_that_what_is_plugged_in_later_is_there() -> None:
    spec = rendered({**MINI, "hardware_devices": ["/dev/bus/usb", "/dev/ttyS0"], "device_cgroup_rules": ["c 81:* rw"]})
    assert spec.devices == (HostDevice("/dev/ttyS0", "/dev/ttyS0", "rwm"),)
    assert spec.mounts == (Mount("bind", "/dev/bus/usb", "/dev/bus/usb"),)
    assert spec.device_cgroup_rules == ("c 81:* rw", "c 189:* rwm")
    said_twice = {"hardware_devices": ["/dev/bus/usb"], "device_cgroup_rules": ["c 189:* rwm"]}
    assert rendered({**MINI, **said_twice}).device_cgroup_rules == ("c 189:* rwm",)


def test_all_that_real_hardware_needs_reaches_the_engine() -> None:
    camera = {
        "name": "camera",
        "network": "bridge",
        "ports": [{"port": 8080, "container_port": 80}],
        "privileged": True,
        "hardware_devices": ["/dev/video0", "/dev/bus/usb"],
        "device_cgroup_rules": ["c 81:* rw"],
        "capabilities": ["SYS_NICE"],
        "ulimits": {"rtprio": {"soft": 95, "hard": 99}, "memlock": {"soft": -1, "hard": -1}},
        "user": "1000:1001",
        "groups": [20],
        "memory_limit": "512m",
        "cpu_limit": 1.5,
        "environment": {"GAIN": "2"},
        "volumes": [{"source": "/data", "target": "/data"}, {"target": "/fast", "tmpfs": {"size": "64m"}}],
    }
    body = rendered(camera).body("image")
    host = body["HostConfig"]
    assert (body["User"], host["GroupAdd"], host["Privileged"]) == ("1000:1001", ["20"], True)
    assert (host["CapAdd"], host["NetworkMode"]) == (["SYS_NICE"], "bridge")
    assert host["PortBindings"] == {"80/tcp": [{"HostPort": "8080"}]}
    assert [device["PathOnHost"] for device in host["Devices"]] == ["/dev/video0"]
    assert host["DeviceCgroupRules"] == ["c 81:* rw", "c 189:* rwm"]
    assert host["Ulimits"] == [
        {"Name": "memlock", "Soft": -1, "Hard": -1},
        {"Name": "rtprio", "Soft": 95, "Hard": 99},
    ]
    assert (host["Memory"], host["NanoCpus"]) == (512 * 2**20, 1_500_000_000)
    assert "GAIN=2" in body["Env"]
    assert [(mount["Type"], mount["Target"]) for mount in host["Mounts"]] == [
        ("bind", "/data"),
        ("tmpfs", "/fast"),
        ("bind", "/dev/bus/usb"),
    ]
    assert rendered({"name": "camera", "network": "host"}).body("image")["HostConfig"]["NetworkMode"] == "host"


def test_limits_are_told_in_bytes_and_processors() -> None:
    spec = rendered({**MINI, "memory_limit": "6g", "cpu_limit": 3.5})
    assert (spec.memory, spec.cpus) == (6 * 2**30, 3.5)


def test_volumes_are_folders_or_named() -> None:
    volumes = [{"source": "/data", "target": "/data", "read_only": True}, {"source": "frames", "target": "/frames"}]
    mounts = rendered({**MINI, "volumes": volumes}).mounts
    assert [(mount.kind, mount.source, mount.read_only) for mount in mounts] == [
        ("bind", "/data", True),
        ("volume", "frames", False),
    ]


def test_a_volume_of_a_file_server_is_mounted_by_the_engine() -> None:
    nfs = {"server": "files.example.org", "path": "/export/frames"}
    (mount,) = rendered({**MINI, "volumes": [{"nfs": nfs, "target": "/frames", "read_only": True}]}).mounts
    assert (mount.kind, mount.target, mount.read_only) == ("volume", "/frames", True)
    options = {"type": "nfs", "o": "addr=files.example.org,nfsvers=4.2,hard", "device": ":/export/frames"}
    assert mount.options == options
    body = rendered({**MINI, "volumes": [{"nfs": nfs, "target": "/frames"}]}).body("image")["HostConfig"]["Mounts"]
    assert body == [
        {
            "Type": "volume",
            "Source": mount.source,
            "Target": "/frames",
            "ReadOnly": False,
            "VolumeOptions": {"DriverConfig": {"Name": "local", "Options": options}},
        }
    ]


def test_an_export_that_is_mounted_otherwise_is_another_volume_and_a_name_stays_what_it_is() -> None:
    def mounted(**more: str) -> Mount:
        nfs = {"server": "10.0.0.9", "path": "/frames", **more}
        return rendered({**MINI, "volumes": [{"nfs": nfs, "target": "/frames"}]}).mounts[0]

    assert mounted().source == mounted().source
    assert mounted().source != mounted(options="nfsvers=3,soft").source
    assert mounted().source.startswith("bluefleet-nfs-")
    named = {"source": "frames", "nfs": {"server": "10.0.0.9", "path": "/frames"}, "target": "/frames"}
    assert rendered({**MINI, "volumes": [named]}).mounts[0].source == "frames"


def test_a_volume_in_memory_has_a_size_and_no_source() -> None:
    body = rendered({**MINI, "volumes": [{"tmpfs": {"size": "64m"}, "target": "/scratch"}]}).body("image")
    assert body["HostConfig"]["Mounts"] == [
        {"Type": "tmpfs", "Target": "/scratch", "ReadOnly": False, "TmpfsOptions": {"SizeBytes": 64 * 2**20}}
    ]


@pytest.mark.parametrize(
    ("volume", "says"),
    [
        ({}, "says not where it is"),
        ({"nfs": {"server": "s", "path": "/p"}, "tmpfs": {"size": "1m"}}, "and in memory"),
        ({"source": "/data", "nfs": {"server": "s", "path": "/p"}}, "is a folder"),
        ({"source": "scratch", "tmpfs": {"size": "1m"}}, "only `target` and `tmpfs`"),
        ({"nfs": {"server": "s", "path": "/p", "options": "addr=10.0.0.1"}}, "name the server again"),
        ({"nfs": {"server": "s", "path": "/p", "options": "hard, soft"}}, "options"),
        ({"tmpfs": {"size": "plenty"}}, "size"),
    ],
)
def test_a_volume_that_makes_no_sense_is_refused(volume: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        rendered({**MINI, "volumes": [{"target": "/t", **volume}]})


def test_on_a_bridge_ports_are_published() -> None:
    spec = rendered({**MINI, "network": "bridge", "ports": [{"port": 8080, "container_port": 80}]})
    assert spec.ports == (PublishedPort(8080, 80), PublishedPort(5064, 5064, "tcp"), PublishedPort(5064, 5064, "udp"))


@pytest.mark.parametrize(
    ("node", "url"),
    [
        ({}, "https://10.0.0.1:2376"),
        ({"transport": "plain", "port": 2375}, "http://10.0.0.1:2375"),
        ({"transport": "ssh", "port": 22}, "ssh://bluefleet@10.0.0.1:22"),
        ({"address": "node1.example.org"}, "https://node1.example.org:2376"),
    ],
    ids=["tls", "plain", "ssh", "name"],
)
def test_an_engine_is_reached_by_its_transport(node: dict[str, Any], url: str) -> None:
    found = site(MINI, **node)
    place = endpoint(found.nodes[0], Settings())
    assert place.url == url
    assert (place.certificate is not None) == url.startswith("https")


def test_an_actor_is_told_its_port_and_published_where_there_is_a_bridge() -> None:
    camera = {"name": "cam1", "channel_access_port": 5064, "actor": {"port": 19995}}
    spec = rendered(camera)
    assert spec.environment["BLUEFLEET_ACTOR_PORT"] == "19995"
    assert spec.ports == ()
    assert PublishedPort(19995, 19995, "tcp") in rendered({**camera, "network": "bridge"}).ports
