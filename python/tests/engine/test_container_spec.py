"""What the engine is told, and when that counts as a change."""

from dataclasses import replace

from bluefleet.engine import ContainerSpec, HealthCheck, HostDevice, Limit, Mount, PublishedPort

DIGEST = "sha256:" + "a" * 64
SPEC = ContainerSpec(
    name="bluefleet-camera",
    reference=f"registry:5000/bluefleet/camera@{DIGEST}",
    digest=DIGEST,
    labels={"org.bluefleet.site": "lab", "org.bluefleet.node": "node1", "org.bluefleet.instance": "camera"},
)


def test_a_registry_that_moved_changes_nothing() -> None:
    assert replace(SPEC, reference=f"elsewhere:5000/camera@{DIGEST}").sha256 == SPEC.sha256


def test_another_image_is_a_change() -> None:
    assert replace(SPEC, digest="sha256:" + "b" * 64).sha256 != SPEC.sha256


def test_the_order_of_environment_variables_is_no_change() -> None:
    one = replace(SPEC, environment={"A": "1", "B": "2"})
    assert one.sha256 == replace(SPEC, environment={"B": "2", "A": "1"}).sha256
    assert one.sha256 != replace(SPEC, environment={"A": "1", "B": "3"}).sha256


def test_the_container_carries_its_sha256() -> None:
    body = SPEC.body("image")
    assert body["Labels"]["org.bluefleet.spec"] == SPEC.sha256
    assert body["Labels"]["org.bluefleet.instance"] == "camera"
    assert body["Image"] == "image"


def test_what_exits_is_started_again_and_its_log_is_bounded() -> None:
    host = SPEC.body("image")["HostConfig"]
    assert host["RestartPolicy"] == {"Name": "unless-stopped"}
    assert host["LogConfig"] == {"Type": "json-file", "Config": {"max-size": "10m", "max-file": "5"}}
    assert host["Init"] is True


def test_real_hardware_gets_all_it_asks_for() -> None:
    spec = replace(
        SPEC,
        privileged=True,
        capabilities=("SYS_NICE",),
        devices=(HostDevice("/dev/ttyUSB0", "/dev/scope", "rw"),),
        device_cgroup_rules=("c 189:* rwm",),
        mounts=(Mount("bind", "/dev/bus/usb", "/dev/bus/usb"), Mount("volume", "frames", "/frames", read_only=True)),
        limits=(Limit("rtprio", 99, 99),),
        memory=6 * 2**30,
        cpus=3.5,
        groups=("20",),
        user="1000:1000",
        stop_signal="SIGINT",
        stop_grace=30,
    )
    body = spec.body("image")
    host = body["HostConfig"]
    assert host["Privileged"] is True
    assert "SecurityOpt" not in host
    assert host["Devices"] == [
        {"PathOnHost": "/dev/ttyUSB0", "PathInContainer": "/dev/scope", "CgroupPermissions": "rw"}
    ]
    assert host["DeviceCgroupRules"] == ["c 189:* rwm"]
    assert [mount["Type"] for mount in host["Mounts"]] == ["bind", "volume"]
    assert host["Ulimits"] == [{"Name": "rtprio", "Soft": 99, "Hard": 99}]
    assert (host["Memory"], host["NanoCpus"]) == (6442450944, 3500000000)
    assert (host["CapAdd"], host["GroupAdd"]) == (["SYS_NICE"], ["20"])
    assert (body["User"], body["StopSignal"], body["StopTimeout"]) == ("1000:1000", "SIGINT", 30)


def test_an_instance_without_privileges_cannot_gain_any() -> None:
    assert SPEC.body("image")["HostConfig"]["SecurityOpt"] == ["no-new-privileges"]


def test_published_ports_reach_the_container() -> None:
    body = replace(SPEC, network="bridge", ports=(PublishedPort(8080, 80), PublishedPort(5064, 5064, "udp"))).body("i")
    assert body["ExposedPorts"] == {"80/tcp": {}, "5064/udp": {}}
    assert body["HostConfig"]["PortBindings"] == {"80/tcp": [{"HostPort": "8080"}], "5064/udp": [{"HostPort": "5064"}]}


def test_a_health_check_is_told_in_nanoseconds() -> None:
    health = replace(SPEC, health=HealthCheck(("true",), interval=30, timeout=5)).body("image")["Healthcheck"]
    assert health["Test"] == ["CMD", "true"]
    assert (health["Interval"], health["Timeout"]) == (30_000_000_000, 5_000_000_000)
