"""A host that runs is not made anew under a plan, unless that is allowed by name."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible.module_utils.virtual_host_engine import VirtualHostError
from ansible.module_utils.virtual_host_plan import Host, Plan
from virtual_hosts import refuse_while_a_plan_runs

from queue_stand_in import KEY, QueueStandIn
from tls_front import Authority

NODE1 = Host("node1", "172.30.77.21")
PLAN = {"name": "scan", "args": [["pinhole"], "motor_ph", -1, 1, 3]}


@pytest.fixture
def stand_in(tmp_path: Path) -> Iterator[QueueStandIn]:
    authority = Authority(tmp_path, "site")
    authority.sign(tmp_path / "server", ["127.0.0.1"])
    found = QueueStandIn(tmp_path / "server")
    yield found
    found.close()


@pytest.fixture
def queue(stand_in: QueueStandIn, tmp_path: Path) -> dict[str, str]:
    (tmp_path / "key").write_text(f"{KEY}\n")
    return {"url": stand_in.url, "key_file": str(tmp_path / "key"), "ca_file": str(tmp_path / "site.crt")}


def test_a_host_is_not_made_anew_while_a_plan_runs(stand_in: QueueStandIn, queue: dict[str, str]) -> None:
    stand_in.item = PLAN
    with pytest.raises(VirtualHostError) as refused:
        refuse_while_a_plan_runs(Plan(replace=[NODE1]), queue, False)
    assert str(refused.value).startswith("node1 would be made anew while the queue runs plan scan, run run-1;")
    assert "interrupt_runs=true" in str(refused.value)


def test_it_is_when_nothing_runs_or_when_it_is_allowed(stand_in: QueueStandIn, queue: dict[str, str]) -> None:
    refuse_while_a_plan_runs(Plan(replace=[NODE1]), queue, False)
    stand_in.item = PLAN
    refuse_while_a_plan_runs(Plan(replace=[NODE1]), queue, True)
    refuse_while_a_plan_runs(Plan(start=[NODE1]), queue, False)


def test_a_laboratory_without_a_queue_can_be_mended(queue: dict[str, str], tmp_path: Path) -> None:
    refuse_while_a_plan_runs(Plan(replace=[NODE1]), {**queue, "key_file": str(tmp_path / "none")}, False)
    refuse_while_a_plan_runs(Plan(replace=[NODE1]), {**queue, "url": "https://127.0.0.1:1/api"}, False)
    refuse_while_a_plan_runs(Plan(replace=[NODE1]), None, False)
