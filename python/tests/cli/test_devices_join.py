"""What `bluefleet devices join --dry-run` says, and that it leaves queue and files alone."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner, Result

from bluefleet.cli.main import build
from bluefleet.fleet import Settings
from queue_stand_in import QueueStandIn, in_the_queues_place

MOTOR = {"name": "motor", "class": "bluefleet.devices.Axis", "prefix": "m:"}
SITE = {
    "schema_version": 1,
    "site": "hill",
    "hosts": {"node1": {"address": "10.0.0.1", "groups": ["nodes"]}},
    "registry": None,
    "images": {"ioc": {"reference": "ioc"}},
    "nodes": [
        {"name": "node1", "address": "10.0.0.1", "instances": [{"name": "ioc", "image": "ioc", "devices": [MOTOR]}]}
    ],
}


@pytest.fixture
def queue(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[QueueStandIn]:
    monkeypatch.setenv("BLUEFLEET_ETC", str(settings.etc))
    monkeypatch.setenv("BLUEFLEET_LIB", str(settings.lib))
    monkeypatch.delenv("BLUEFLEET_INVENTORY", raising=False)
    settings.site_file.write_text(yaml.safe_dump(SITE))
    with in_the_queues_place(settings, tmp_path, monkeypatch) as found:
        yield found


def dry_run() -> Result:
    words = ["devices", "join", "--dry-run"]
    return CliRunner().invoke(build(words), words)


def test_a_dry_run_names_what_would_be_loaded_and_loads_nothing(settings: Settings, queue: QueueStandIn) -> None:
    queue.declared = {"motor"}
    for queue.item in ({}, {"name": "scan"}):
        done = dry_run()
        assert done.exit_code == 0, done.stderr
        assert done.stderr == "would make the queue's worker load motor as soon as it is idle\n"
    assert queue.functions == []
    assert not settings.devices_file.exists()
    assert not settings.pending_file.exists()


def test_where_there_is_nothing_to_load_the_state_is_told(queue: QueueStandIn) -> None:
    queue.open = False
    done = dry_run()
    assert (done.exit_code, "devices: closed the queue's environment is closed" in done.stderr) == (0, True)
    queue.close()
    assert (dry_run().exit_code, "devices: unknown" in dry_run().stderr) == (1, True)
