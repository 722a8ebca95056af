"""What status says of the forwarder and the sinks."""

from pathlib import Path

from bluefleet.fleet import Settings
from bluefleet.fleet._document_path import desktops_status, document_path, service_status
from bluefleet.fleet._queue_status import with_worker
from bluefleet.fleet._report import QueueStatus
from bluefleet.model import Site

WRITER = {"backlog": 0, "refused": 0}


def site(pods: dict[str, object]) -> Site:
    return Site.model_validate(
        {"schema_version": 1, "site": "lab", "hosts": {}, "registry": None, "images": {}, "nodes": [], "pods": pods}
    )


def test_a_backlog_is_told_and_is_no_fault_of_its_own() -> None:
    said = {"problems": [], "writers": {"worker": WRITER | {"backlog": 40}, "terminal": WRITER | {"backlog": 2}}}
    found = service_status("forwarder", said)
    assert (found.waiting, found.ok) == (42, True)


def test_kafka_away_is_told_with_the_reason() -> None:
    said = {"problems": ["worker: Kafka at kafka:9092: not there"], "writers": {"worker": WRITER | {"backlog": 7}}}
    found = service_status("forwarder", said)
    assert not found.ok
    assert (found.waiting, found.reason) == (7, "worker: Kafka at kafka:9092: not there")


def test_desktops_are_told_as_the_forwarder_heard_of_them() -> None:
    said = {"problems": [], "writers": {}, "desktops": {"office": {"waiting": 4, "silent_for": 2.0}}}
    office, attic = desktops_status(said, ["office", "attic"])
    assert (office.name, office.waiting, office.ok) == ("terminals of office", 4, True)
    assert (attic.waiting, attic.ok) == (None, False)


def test_a_queue_whose_worker_died_in_a_plan_is_not_well() -> None:
    said = {"problems": [], "writers": {"worker": WRITER | {"alive": False}, "worker-2": WRITER}}
    forwarder = service_status("forwarder", said)
    busy = QueueStatus(state="executing_queue", waiting=1, running="scan", failed=None)
    idle = QueueStatus(state="idle", waiting=1, running="", failed=None)
    stuck = with_worker(busy, [forwarder])
    assert stuck is not None
    assert "environment/destroy" in stuck.reason
    # Without an open environment there is none; and who does not say is not dead.
    assert with_worker(idle, [forwarder]) == idle
    alive = service_status("forwarder", {"problems": [], "writers": {"worker": WRITER | {"alive": True}}})
    for services in ([alive], [service_status("forwarder", {"problems": [], "writers": {"worker": WRITER}})], []):
        assert with_worker(busy, services) == busy


def test_dead_letters_are_told() -> None:
    found = service_status("forwarder", {"problems": [], "writers": {}, "dead_letters": 3})
    assert "3 dead letters wait" in found.reason


def test_a_service_that_does_not_answer_is_told_with_its_address(tmp_path: Path) -> None:
    pods = {"acquisition": {"host": "manager", "address": "127.0.0.9"}}
    forwarder, recommender = document_path(site(pods), Settings(etc=tmp_path, lib=tmp_path), deadline=1.0)
    assert (forwarder.waiting, recommender.waiting) == (None, None)
    assert "https://127.0.0.9/documents/status" in forwarder.reason
    assert "https://127.0.0.9/recommender/status" in recommender.reason


def test_a_site_without_pods_has_no_document_path(tmp_path: Path) -> None:
    assert document_path(site({}), Settings(etc=tmp_path, lib=tmp_path), deadline=1.0) == []
