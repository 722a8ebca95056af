"""What makes Compose replace a service: whatever reaches it, and nothing else."""

from __future__ import annotations

import copy
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from role_files import load_role_file


@pytest.fixture(scope="module")
def pods() -> ModuleType:
    return load_role_file("_pod/filter_plugins/pods.py")


SERVICES: dict[str, Any] = {
    "redis": {"image": "r@sha256:1", "healthcheck": {"test": ["CMD", "true"]}},
    "edge": {"image": "e@sha256:1", "healthcheck": {"test": ["CMD", "true"], "interval": "5s"}},
}
FILES: list[dict[str, Any]] = [
    {"service": "redis", "path": "/r.conf", "mode": "0400", "content": "a"},
    {"service": "edge", "path": "/e.conf", "mode": "0400", "content": "a"},
]


def specs(pods: ModuleType, services: dict[str, Any], files: list[dict[str, Any]]) -> dict[str, str]:
    return pods.pod_specs(pods.pod_project(services, files, "acquisition", "lab"))


def test_the_same_declaration_has_the_same_spec(pods: ModuleType) -> None:
    assert specs(pods, SERVICES, FILES) == specs(pods, copy.deepcopy(SERVICES), list(reversed(FILES)))


def test_a_changed_file_changes_the_spec_of_its_reader_only(pods: ModuleType) -> None:
    changed = copy.deepcopy(FILES)
    changed[0]["content"] = "b"
    before, after = specs(pods, SERVICES, FILES), specs(pods, SERVICES, changed)
    assert before["redis"] != after["redis"]
    assert before["edge"] == after["edge"]


def test_a_changed_entry_changes_the_spec_of_that_service_only(pods: ModuleType) -> None:
    changed = copy.deepcopy(SERVICES)
    changed["edge"]["image"] = "e@sha256:2"
    before, after = specs(pods, SERVICES, FILES), specs(pods, changed, FILES)
    assert before["redis"] == after["redis"]
    assert before["edge"] != after["edge"]


def test_a_renewed_certificate_changes_the_spec(pods: ModuleType, tmp_path: Path) -> None:
    certificate = tmp_path / "server.crt"
    files = [{"service": "edge", "path": "/server.crt", "mode": "0444", "source": str(certificate)}]
    certificate.write_text("old")
    before = specs(pods, SERVICES, files)
    certificate.write_text("new")
    assert specs(pods, SERVICES, files)["edge"] != before["edge"]


def test_a_project_tells_nothing_of_what_its_files_hold(pods: ModuleType) -> None:
    secret = {"service": "redis", "path": "/password", "mode": "0400", "secret": True, "content": "correct horse"}
    assert "correct horse" not in repr(pods.pod_project(SERVICES, [*FILES, secret], "acquisition", "lab"))


def test_every_service_has_the_labels_of_the_contract_and_bounded_logs(pods: ModuleType) -> None:
    project = pods.pod_project(SERVICES, FILES, "acquisition", "lab")
    for name, service in project["services"].items():
        labels = service["labels"]
        assert labels["org.bluefleet.site"] == "lab"
        assert labels["org.bluefleet.pod"] == "acquisition"
        assert labels["org.bluefleet.service"] == name
        assert len(labels["org.bluefleet.spec"]) == 64
        assert service["logging"]["options"]["max-size"]
        assert service["restart"] == "unless-stopped"
        assert service["init"] is True
    assert project["services"]["edge"]["healthcheck"]["interval"] == "5s"
    assert project["services"]["redis"]["healthcheck"]["start_interval"] == "500ms"


def test_a_network_that_services_name_is_closed_and_the_pods_own_is_not(pods: ModuleType) -> None:
    services = copy.deepcopy(SERVICES)
    services["edge"]["networks"] = {"default": {}, "people": {"aliases": ["data"]}}
    services["notebooks"] = {
        "image": "n@sha256:1",
        "networks": {"people": {}},
        "healthcheck": {"test": ["CMD", "true"]},
    }
    networks = pods.pod_project(services, FILES, "data", "lab")["networks"]
    assert set(networks) == {"default", "people"}
    assert networks["people"]["internal"] is True
    assert networks["people"]["driver_opts"] == {
        "com.docker.network.bridge.name": "bf-data-people",
        "com.docker.network.bridge.inhibit_ipv4": "true",
    }
    assert "internal" not in networks["default"]
    assert specs(pods, services, FILES)["redis"] == specs(pods, SERVICES, FILES)["redis"]


def test_no_secret_is_in_the_project(pods: ModuleType) -> None:
    files = [{"service": "redis", "path": "/r.conf", "mode": "0400", "content": "requirepass sesame", "secret": True}]
    assert "sesame" not in str(pods.pod_project(SERVICES, files, "acquisition", "lab"))


def container(spec: str, state: str = "running", status: str = "Up 1 hour (healthy)") -> dict[str, Any]:
    return {"Id": "1", "Labels": {"org.bluefleet.spec": spec}, "State": state, "Status": status}


def test_each_difference_is_named() -> None:
    state = load_role_file("_pod/library/pod_state.py")
    declared = {"a": "1", "b": "1", "c": "1", "d": "1", "e": "1"}
    running = {
        "a": container("1"),
        "b": container("2"),
        "c": container("1", "exited", "Exited (1)"),
        "d": container("1", status="Up 1 minute (unhealthy)"),
        "gone": container("1"),
    }
    assert state.differences(declared, running) == {
        "b": "is declared differently",
        "c": "is exited",
        "d": "is not healthy: Up 1 minute (unhealthy)",
        "e": "is not there",
        "gone": "is no longer declared",
    }


def test_only_guarded_services_that_run_and_would_be_replaced_hold_a_converge() -> None:
    state = load_role_file("_pod/library/pod_state.py")
    running = {"kafka": container("1"), "redis": container("old"), "edge": container("old"), "old": container("1")}
    declared = {"kafka": "1", "redis": "1", "edge": "1"}
    assert state.interrupted(["kafka", "redis", "re-manager"], declared, running) == ["redis"]
    assert state.interrupted(["old"], declared, running) == ["old"]


def test_logs_are_read_out_of_their_frames() -> None:
    state = load_role_file("_pod/library/pod_state.py")
    frames = b"\x01\0\0\0\0\0\0\x04one\n" + b"\x02\0\0\0\0\0\0\x04two\n"
    assert state._without_frames(frames) == b"one\ntwo\n"


@pytest.mark.parametrize("pod", ["data", "acquisition", "a-pod-with-a-long-name"])
def test_the_bridge_of_a_pod_is_one_the_firewall_knows(pods: ModuleType, pod: str) -> None:
    network = pods.pod_project(SERVICES, FILES, pod, "lab")["networks"]["default"]
    name = network["driver_opts"]["com.docker.network.bridge.name"]
    assert name.startswith("bf-")
    assert len(name) <= 15
