"""The image builder with this machine's own engine, on images of no size: built once, found again, ended with its play."""

import json
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

BUILDER = Path(__file__).parents[3] / "roles" / "image" / "builder"
DEADLINE = 40


class Checkout:
    """A repository with one image of its own name, made from nothing, and orders for it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.name = f"test-{uuid.uuid4().hex[:8]}"
        self.image = folder / "images" / self.name
        self.image.mkdir(parents=True)
        (self.image / "Containerfile").write_text("ARG PARENT=scratch\nFROM ${PARENT}\nCOPY content /\n")
        (self.image / "content").write_text("one\n")

    def order(self, state: str, **more: Any) -> str:
        """What the builder is asked."""
        registry = {"address": "", "tls": True, "ca_file": "", "user": "push", "password_file": ""}
        return json.dumps(
            {
                "state": state,
                "repository": str(self.folder),
                "declared": {
                    "versions": {"debian_suite": "none", "debian_release": "1"},
                    "images": {self.name: {"uses": ["debian_suite"]}},
                },
                "images": [self.name],
                "published": {},
                "uids": {},
                "ca_bundle": "",
                "apt_mirror": "",
                "pip_index": "",
                "packages": [],
                "device_classes": [],
                "registry": registry,
                "engine": "",
                "log_dir": str(self.folder / "builds"),
                "jobs": 2,
                "kept_tags": 3,
                "record": "",
                **more,
            }
        )

    def ask(self, state: str, **more: Any) -> dict[str, Any]:
        """Run the builder to its end and return the last thing it said."""
        order = self.order(state, **more)
        done = subprocess.run(
            [sys.executable, BUILDER], input=order, capture_output=True, text=True, timeout=DEADLINE, check=False
        )
        last: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        assert (last["event"] == "result") == (done.returncode == 0), done.stderr
        return last

    def engine_images(self) -> list[str]:
        """The engine's images of this name, by label."""
        command = [
            "docker",
            "image",
            "ls",
            "--filter",
            f"label=org.bluefleet.image={self.name}",
            "--format",
            "{{.Tag}}",
        ]
        return subprocess.run(command, check=True, capture_output=True, text=True, timeout=DEADLINE).stdout.split()

    def remove(self) -> None:
        for tag in self.engine_images():
            subprocess.run(["docker", "image", "rm", f"bluefleet/{self.name}:{tag}"], check=True, capture_output=True)


@pytest.fixture
def checkout(tmp_path: Path) -> Iterator[Checkout]:
    """One that leaves no image behind."""
    made = Checkout(tmp_path)
    yield made
    made.remove()


def test_an_image_is_built_once_and_then_found(checkout: Checkout) -> None:
    first, second = checkout.ask("built"), checkout.ask("built")
    assert (first["changed"], second["changed"]) == (True, False)
    assert first["images"] == second["images"]
    assert checkout.engine_images() == [first["images"][checkout.name]["tag"]]


def test_a_change_is_told_before_it_is_built_and_built_when_asked(checkout: Checkout) -> None:
    checkout.ask("built")
    (checkout.image / "content").write_text("two\n")
    assert checkout.ask("planned")["built"] == [checkout.name]
    assert len(checkout.engine_images()) == 1
    assert checkout.ask("built")["built"] == [checkout.name]
    assert len(checkout.engine_images()) == 2


def test_what_hosts_pull_is_recorded_once(checkout: Checkout) -> None:
    published = {checkout.name: "registry.example/ioc@sha256:" + "a" * 64}
    record = checkout.folder / "images.yml"
    first, second = (checkout.ask("pushed", published=published, record=str(record)) for _ in range(2))
    assert (first["changed"], second["changed"]) == (True, False)
    recorded = yaml.safe_load(record.read_text())["site_images"]
    assert recorded[checkout.name]["reference"] == published[checkout.name]
    assert recorded[checkout.name]["digest"] == "sha256:" + "a" * 64


def test_a_failed_build_says_where_its_log_is(checkout: Checkout) -> None:
    (checkout.image / "Containerfile").write_text("FROM scratch\nCOPY nothing /\n")
    said = checkout.ask("built")
    assert said["event"] == "error"
    assert f"image {checkout.name}: the build ended with code 1; the end of {checkout.folder}/builds" in said["message"]


def test_the_builder_ends_with_the_play_that_started_it(checkout: Checkout) -> None:
    root = checkout.image / "root"
    root.write_text("#!/bin/sh\nsleep 60\necho scratch\n")
    root.chmod(0o755)
    with subprocess.Popen(["sleep", "2"]) as play:
        builder = subprocess.Popen(
            [sys.executable, BUILDER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
        )
        assert builder.stdin is not None
        builder.stdin.write(checkout.order("built", while_alive=play.pid))
        builder.stdin.close()
        play.wait()
    ended = time.monotonic()
    assert builder.wait(10) == -signal.SIGTERM
    assert time.monotonic() - ended < 5
    assert builder.stdout is not None
    builder.stdout.close()
    assert checkout.engine_images() == []
