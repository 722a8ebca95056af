"""What is started is watched beside the work, not in its way."""

import asyncio
from collections.abc import Sequence
from typing import Any

from bluefleet.engine import Container, ContainerSpec, Mount, Observation
from bluefleet.fleet import Call, Settings, Step, container_spec
from bluefleet.fleet._guard import Guard
from bluefleet.fleet._steps import Steps
from bluefleet.model import Site

DIGEST = "sha256:" + "a" * 64
NAMES = [f"cam{number}" for number in range(9)]
SITE = Site.model_validate(
    {
        "schema_version": 1,
        "site": "lab",
        "hosts": {},
        "registry": None,
        "images": {"ioc": {"reference": f"r:5000/ioc@{DIGEST}", "digest": DIGEST}},
        "nodes": [{"name": "node1", "address": "10.0.0.1", "instances": [{"name": n, "image": "ioc"} for n in NAMES]}],
    }
)


class StartsTogether:
    """An engine whose containers are healthy when all of them have been started, as those that wait for each other."""

    def __init__(self) -> None:
        self.started: set[str] = set()

    async def ensure_image(self, reference: str, *_: object) -> str:
        return reference

    async def ensure_volumes(self, _mounts: Sequence[Mount], _labels: object) -> None:
        """They have none."""

    async def create(self, spec: ContainerSpec, _image: str) -> str:
        return spec.name

    async def start(self, container: str) -> None:
        self.started.add(container)

    async def observe(self, labels: dict[str, str]) -> Observation:
        health = "healthy" if len(self.started) == len(NAMES) else "starting"
        name = labels["instance"]
        seen = Container(name, name, {}, f"ioc@{DIGEST}", "running", health, 0, 0, "", None, None)
        return Observation("1", (seen,))


def test_none_waits_for_its_start_until_another_is_well(settings: Settings) -> None:
    engine: Any = StartsTogether()
    call = Call("apply", who="ada")
    steps = Steps(
        SITE,
        SITE.nodes[0],
        settings,
        guard=Guard(SITE, settings, permitted=True),
        call=call,
        instances={one.name: one for one in SITE.nodes[0].instances},
    )
    wanted = [
        Step("create", one.name, "it is not there", spec=container_spec(SITE, SITE.nodes[0], one))
        for one in SITE.nodes[0].instances
    ]

    async def done() -> list[str]:
        async with asyncio.timeout(30):
            return [found.outcome for found in await steps.do(engine, wanted)]

    assert asyncio.run(done()) == ["done"] * len(NAMES)
