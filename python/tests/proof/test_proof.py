"""The proof finds a promise that isn't kept: each check against something that keeps it and something that doesn't."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from bluefleet.fleet import InstanceStatus, NodeStatus, Override
from bluefleet.proof import checks
from bluefleet.proof.__main__ import look
from bluefleet.proof.facts import Rule, Site


def rule(name: str, port: int, *sources: str) -> dict[str, Any]:
    """What the firewall has for a port; without sources it is open to anybody."""
    return {"name": name, "protocol": "tcp", "port": port, "sources": [["ip", list(sources)]] if sources else None}


SSH, EDGE, KAFKA = rule("ssh", 22), rule("edge", 443), rule("kafka", 9093)
MANAGER = "192.0.2.10"


@pytest.fixture
def site(tmp_path: Path) -> Site:
    for name in ("queue_api_key", "tiled_api_key", "kafka_password", "fleet_token"):
        (tmp_path / name).write_text("key")
    return Site.model_validate(
        {
            "site": "lab",
            "hosts": {
                "manager": {"address": MANAGER, "groups": ["manager", "acquisition"], "rules": [SSH, EDGE, KAFKA]},
                "data": {"address": "192.0.2.11", "groups": ["data"], "rules": [SSH, EDGE]},
                "node1": {
                    "address": "192.0.2.21",
                    "groups": ["nodes"],
                    "rules": [SSH, rule("engine", 2376, MANAGER), rule("instance axis", 5064, MANAGER)],
                },
            },
            "services": ["ssh", "edge", "kafka", "engine"],
            "kafka_port": 9093,
            "never": [2375, 6379],
            "engines": [{"host": "node1", "port": 2376, "transport": "tls"}],
            "registry": "192.0.2.10:5000",
            "registry_tls": True,
            "acquisition": "manager",
            "data": "data",
            "fleet": "manager",
            "ca_file": tmp_path / "ca.crt",
            "stranger_certificate": tmp_path / "s.crt",
            "stranger_key": tmp_path / "s.key",
            "queue_api_key_file": tmp_path / "queue_api_key",
            "tiled_api_key_file": tmp_path / "tiled_api_key",
            "fleet_token_file": tmp_path / "fleet_token",
            "kafka_password_file": tmp_path / "kafka_password",
        }
    )


@pytest.fixture
def listening() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_every_host_is_looked_at_for_what_it_opens_and_for_what_it_must_not(site: Site) -> None:
    promises = {(check.host, check.promise) for check in checks.all_checks(site)}
    assert ("manager", "port 443 answers") in promises
    assert ("manager", "port 2376 does not answer") in promises
    assert ("node1", "port 22 answers") in promises
    assert ("node1", "port 2376 does not answer") in promises, "it is open to the manager only"
    assert ("node1", "port 5064 does not answer") in promises
    assert ("data", "port 9093 does not answer") in promises
    assert {host for host, promise in promises if promise == "port 6379 does not answer"} == {
        "manager",
        "data",
        "node1",
    }
    assert ("node1", "engine refuses a client without a certificate") in promises
    assert ("manager", "registry refuses anonymous pushes") in promises
    assert ("data", "documents arrive in both databases") in promises


def test_that_notebooks_ask_for_a_password_is_looked_at_where_there_are_any(site: Site) -> None:
    promise = ("data", "Jupyter refuses who has not logged in")
    assert promise not in {(check.host, check.promise) for check in checks.all_checks(site)}
    with_jupyter = site.model_copy(update={"jupyter": True})
    assert promise in {(check.host, check.promise) for check in checks.all_checks(with_jupyter)}


def test_an_open_port_that_should_be_closed_is_found_and_the_reverse(listening: int) -> None:
    assert checks._must_not_answer("127.0.0.1", listening) == "something answers"
    assert checks._must_answer("127.0.0.1", listening) is None
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        closed = free.getsockname()[1]
    assert checks._must_not_answer("127.0.0.1", closed) is None
    assert checks._must_answer("127.0.0.1", closed) == "nothing answers"


def test_an_engine_that_hangs_up_on_a_stranger_refuses_it() -> None:
    with socket.create_server(("127.0.0.1", 0)) as refusing:

        def hang_up() -> None:
            refusing.accept()[0].close()

        threading.Thread(target=hang_up, daemon=True).start()
        assert checks._must_refuse("127.0.0.1", refusing.getsockname()[1], None) is None


def test_an_engine_behind_a_closed_port_is_not_proven_to_refuse_anybody() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        closed = free.getsockname()[1]
    with pytest.raises(checks.NotLookedAt, match="the manager looks"):
        checks._must_refuse("127.0.0.1", closed, None)


def promises(site: Site, host: str, **changes: Any) -> set[str]:
    """What is promised of the ports of a host that is declared a little differently."""
    changed = site.hosts[host].model_copy(update=changes)
    everybody = site.model_copy(update={"hosts": {**site.hosts, host: changed}})
    return {check.promise for check in checks._port_checks(everybody, host, changed)}


def rules(*declared: dict[str, Any]) -> list[Rule]:
    return [Rule.model_validate(each) for each in declared]


def test_the_port_of_ssh_is_the_one_that_is_used(site: Site) -> None:
    found = promises(site, "node1", ssh_port=2222, rules=rules(SSH, rule("ssh", 2222)))
    assert "port 2222 answers" in found
    assert "port 22 answers" not in found


def test_ssh_that_is_kept_to_networks_must_not_answer_here(site: Site) -> None:
    assert "port 22 does not answer" in promises(site, "node1", rules=rules(rule("ssh", 22, "198.51.100.0/24")))


def test_a_port_that_a_site_opens_besides_may_answer_and_need_not(site: Site) -> None:
    found = promises(site, "node1", rules=rules(SSH, rule("node exporter", 9100)))
    assert not [promise for promise in found if "9100" in promise]


def test_of_a_host_without_firewall_closed_ports_are_not_promised(site: Site) -> None:
    assert promises(site, "data", firewalled=False) == {
        "port 22 answers",
        "port 443 answers",
        "other ports do not answer",
    }


def test_ports_of_this_very_machine_are_not_looked_at_and_those_of_others_are(site: Site) -> None:
    here = site.hosts["data"].model_copy(update={"address": "127.0.0.1"})
    everybody = site.model_copy(update={"hosts": {**site.hosts, "data": here}})
    found = [check for check in checks.all_checks(everybody) if "port" in check.promise]
    of_this = [check for check in found if check.host == "data"]
    assert [look(check)[0] for check in of_this] == ["not looked at"]
    assert {check.host for check in found} == {"manager", "data", "node1"}


def answering(monkeypatch: pytest.MonkeyPatch, answers: dict[str, Any]) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        found = answers.get(request.url.path)
        if "/runs/" in request.url.path and request.headers.get("Authorization") != "ApiKey key":
            return httpx.Response(401)
        if isinstance(found, int):
            return httpx.Response(found)
        return httpx.Response(404) if found is None else httpx.Response(200, json=found)

    transport = httpx.MockTransport(answer)
    monkeypatch.setattr(checks, "_client", lambda _: httpx.Client(transport=transport))
    monkeypatch.setattr(checks, "DELIVERY", 0.0)
    monkeypatch.setattr(checks, "RECOVERY", 0.0)


RUN = {"run": "u", "stop": "hash"}
ALL_WELL: dict[str, Any] = {
    "/documents/status": {"ok": True, "writers": {"worker": {"backlog": 0}}},
    "/documents/runs/-1": RUN,
    "/sinks/mongo/status": {"ok": True, "lag": 0},
    "/sinks/tiled/status": {"ok": True, "lag": 0},
    "/sinks/mongo/runs/u": RUN,
    "/sinks/tiled/runs/u": RUN,
}


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({}, None),
        ({"/documents/runs/-1": 503}, "503"),
        ({"/documents/status": {"writers": {"worker": {"backlog": 3}}}}, "wait in the spool"),
        ({"/sinks/tiled/status": {"lag": 7}}, "wait in Kafka"),
        ({"/sinks/mongo/status": 502}, "502"),
        ({"/documents/status": 404}, "404"),
        ({"/sinks/mongo/runs/u": 401}, "401"),
        ({"/sinks/mongo/runs/u": None}, "is not in mongo"),
        ({"/sinks/tiled/runs/u": {"run": "u", "stop": "other"}}, "ended differently in tiled"),
    ],
    ids=[
        "all well",
        "spool says nothing of its runs",
        "spool backlog",
        "sink behind",
        "sink broken",
        "no forwarder",
        "sink says nothing of its runs",
        "not in Mongo",
        "another end",
    ],
)
def test_documents_that_do_not_arrive_are_found(
    site: Site, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], found: str | None
) -> None:
    answering(monkeypatch, {**ALL_WELL, **changes})
    how, what = look(checks._document_check(site, "manager", "data"))
    assert how == ("kept" if found is None else "broken")
    assert (found or "") in (what or "")


def test_without_a_run_it_is_said_that_none_was_looked_at(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    answering(monkeypatch, {**ALL_WELL, "/documents/runs/-1": None})
    how, why = look(checks._document_check(site, "manager", "data"))
    assert how == "not looked at"
    assert why == "no run yet in the spool; `bluefleet first-scan` takes one"


def test_a_service_that_is_not_well_says_why(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    answering(monkeypatch, {"/status": {"ok": False, "problems": ["Mongo is away"]}})
    assert "Mongo is away" in (checks._says_ok(site, "https://192.0.2.11/status") or "")


def test_an_answer_without_a_key_where_one_is_needed_is_found(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    answering(monkeypatch, {"/api/queue/get": {}})
    assert "answered 200, not 401" in (checks._status(site, "GET", "https://192.0.2.10/api/queue/get", None, 401) or "")


def node(reason: str = "", *instances: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A node as the fleet service tells of it; it answers unless there is a reason why not."""
    found = NodeStatus(
        name="node1", address="192.0.2.21", transport="tls", reachable=not reason, engine_version="28", reason=reason,
        remedy="", instances=[instance(**each) for each in instances], **more,
    )  # fmt: skip
    return found.model_dump(mode="json")


def instance(name: str, reason: str = "", **more: Any) -> InstanceStatus:
    return InstanceStatus(
        name=name, state="running", health="healthy", uptime_seconds=60, restarts=0, exit_code=None, digest="sha256:0",
        drift=[], reason=reason, **more,
    )  # fmt: skip


DISABLED = Override(node="node1", instance="axis", kind="disabled", who="ada", reason="no motor")


@pytest.mark.parametrize(
    ("nodes", "found"),
    [
        ([node("", {"name": "axis"})], None),
        (
            [node("", {"name": "axis"}, {"name": "camera", "reason": "its health check fails"})],
            "node1/camera: its health",
        ),
        ([node("it does not answer within 5 s", {"name": "axis"})], "node1: it does not answer within 5 s"),
        ([node("", {"name": "axis"}, problems=["its disk is full"])], "node1: its disk is full"),
        ([node("", {"name": "axis", "reason": "exited", "overrides": [DISABLED]})], None),
    ],
    ids=["all well", "unhealthy", "a node that hangs", "a node with a problem", "disabled with a reason"],
)
def test_instances_that_are_not_well_are_named(
    site: Site, monkeypatch: pytest.MonkeyPatch, nodes: list[dict[str, Any]], found: str | None
) -> None:
    answering(monkeypatch, {"/fleet/status": {"nodes": nodes}})
    (check,) = [check for check in checks.all_checks(site) if check.promise == "instances are well"]
    how, what = look(check)
    assert (how, what or "") == ("kept", "") if found is None else ("broken", what)
    assert (found or "") in (what or "")


def test_a_fleet_service_that_does_not_answer_is_found(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    answering(monkeypatch, {"/fleet/status": 502})
    (check,) = [check for check in checks.all_checks(site) if check.promise == "instances are well"]
    how, what = look(check)
    assert how == "broken"
    assert "502" in (what or "")
