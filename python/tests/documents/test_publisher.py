"""The publisher on a real RunEngine."""

from pathlib import Path

import numpy as np
import pytest
from bluesky import RunEngine
from bluesky.plans import count
from documents_of_runs import make_run
from test_spool import spooled

from bluefleet.documents import Publisher, Spool
from bluefleet.documents.errors import DocumentRefused


class Camera:
    """The least that a plan can read."""

    name = "camera"
    parent = None

    def __init__(self, values: int) -> None:
        self._image = np.zeros(values, dtype="u1")

    def read(self) -> dict:
        return {"image": {"value": self._image, "timestamp": 0.0}}

    def describe(self) -> dict:
        return {
            "image": {
                "dtype": "array",
                "shape": list(self._image.shape),
                "source": "SIM",
            }
        }

    def read_configuration(self) -> dict:
        return {}

    def describe_configuration(self) -> dict:
        return {}


def test_a_plan_is_in_the_spool_when_the_run_engine_returns(tmp_path: Path) -> None:
    engine = RunEngine()
    with Spool(tmp_path, writer="worker") as spool:
        engine.subscribe(Publisher(spool))
        engine(count([Camera(10)], num=3), sample="iron")
        names = [name for name, _ in spooled(tmp_path)]
    assert names == ["start", "descriptor", "event", "event", "event", "stop"]


def test_a_document_above_the_limit_ends_the_run_with_a_reason(tmp_path: Path) -> None:
    engine = RunEngine()
    with Spool(tmp_path, writer="worker") as spool:
        engine.subscribe(Publisher(spool, limit=10_000))
        with pytest.raises(DocumentRefused, match="image"):
            engine(count([Camera(20_000)]))
    documents = spooled(tmp_path)
    assert [name for name, _ in documents] == ["start", "descriptor", "stop"]
    assert documents[-1][1]["exit_status"] == "fail"
    assert "above the limit" in documents[-1][1]["reason"]


def test_a_run_whose_start_is_refused_leaves_nothing_behind(tmp_path: Path) -> None:
    good, bad = make_run(1), make_run(2, sample={"made": {1, 2}.__class__})
    with Spool(tmp_path, writer="worker") as spool:
        publish = Publisher(spool)
        with pytest.raises(DocumentRefused, match="sample"):
            publish(*bad[0])
        for name, document in bad[1:] + good:
            publish(name, document)
    assert spooled(tmp_path) == good


def test_interleaved_runs_keep_their_documents_apart(tmp_path: Path) -> None:
    first, second = make_run(3), make_run(3)
    with Spool(tmp_path, writer="worker") as spool:
        publish = Publisher(spool)
        for pair in zip(first, second, strict=True):
            for name, document in pair:
                publish(name, document)
        from bluefleet.documents import spool_store

        connection = spool_store.connect(spool.path)
        for run in (first, second):
            assert sum(1 for _ in spool_store.documents_of(connection, run[0][1]["uid"])) == len(run)
        connection.close()
