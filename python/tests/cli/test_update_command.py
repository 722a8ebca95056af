"""`bluefleet update` and `rollback` as commands: what is asked wrongly is refused before any engine is asked."""

from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from bluefleet.cli import update

RUN = CliRunner()
DIGEST = "sha256:" + "a" * 64


@pytest.fixture(autouse=True)
def manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A site with one node that nobody can reach, and two images."""
    monkeypatch.setenv("BLUEFLEET_ETC", str(tmp_path))
    monkeypatch.setenv("BLUEFLEET_LIB", str(tmp_path / "lib"))
    image = {"reference": f"r:5000/ioc@{DIGEST}", "digest": DIGEST}
    node = {"name": "node1", "address": "127.0.0.1", "port": 1, "transport": "plain"}
    content = {
        "schema_version": 1,
        "site": "lab",
        "hosts": {"node1": {"address": "127.0.0.1"}},
        "registry": None,
        "images": {"ioc": image, "camera": image},
        "nodes": [{**node, "instances": [{"name": "simple", "image": "ioc"}]}],
    }
    (tmp_path / "fleet.yml").write_text(yaml.safe_dump(content))


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("icc=r:5000/ioc@" + DIGEST, "Did you mean 'ioc'?"),
        ("ioc=r:5000/ioc:1", "has no digest"),
        ("ioc=r:5000/ioc@sha256:12", "is no image by its digest"),
        ("camera=r:5000/camera@" + DIGEST, "nothing that is chosen runs from camera"),
    ],
)
def test_an_image_that_makes_no_sense_is_refused(said: str, told: str) -> None:
    found = RUN.invoke(update.update, ["--image", said])
    assert found.exit_code == 2
    assert told in found.stderr


def test_a_rollback_of_everything_has_to_be_said() -> None:
    found = RUN.invoke(update.rollback, [])
    assert (found.exit_code, "nothing is chosen" in found.stderr) == (2, True)


def test_a_node_that_does_not_answer_is_told_with_exit_code_1() -> None:
    found = RUN.invoke(update.update, ["--image", f"ioc=r:5000/ioc@{DIGEST}"])
    assert found.exit_code == 1
    assert "failed: node1" in found.stderr
