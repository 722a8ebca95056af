"""What is started is watched beside the work, not in its way."""

import asyncio
import selectors
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


class Well:
    """An engine whose containers are healthy from some second on, or when all of them have been started."""

    def __init__(self, *, after: float = 0.0) -> None:
        self.after = after
        self.started: set[str] = set()
        self.looks = 0
        self.looking = self.most = 0

    async def ensure_image(self, reference: str, *_: object) -> str:
        return reference

    async def ensure_volumes(self, _mounts: Sequence[Mount], _labels: object) -> None:
        """They have none."""

    async def create(self, spec: ContainerSpec, _image: str) -> str:
        return spec.name

    async def start(self, container: str) -> None:
        self.started.add(container)

    async def observe(self, labels: dict[str, str]) -> Observation:
        self.looks += 1
        self.looking += 1
        self.most = max(self.most, self.looking)
        await asyncio.sleep(0.01)
        self.looking -= 1
        well = len(self.started) == len(NAMES) and asyncio.get_running_loop().time() > self.after
        name, health = labels["instance"], "healthy" if well else "starting"
        seen = Container(name, name, {}, f"ioc@{DIGEST}", "running", health, 0, 0, "", None, None)
        return Observation("1", (seen,))


class Leaping(asyncio.SelectorEventLoop):
    """A loop on which nobody waits: its clock, which begins at 0, leaps to what is next."""

    def __init__(self) -> None:
        self._now = 0.0
        super().__init__(_NoWait(self))

    def time(self) -> float:
        return self._now

    def leap(self, seconds: float) -> None:
        self._now += seconds


class _NoWait(selectors.SelectSelector):
    def __init__(self, loop: Leaping) -> None:
        self._loop = loop
        super().__init__()

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        self._loop.leap(max(timeout or 0, 0))
        return super().select(0)


def outcomes(settings: Settings, engine: Any) -> tuple[list[str], float]:
    """What comes of starting all of them, and after how many seconds."""
    steps = Steps(
        SITE,
        SITE.nodes[0],
        settings,
        guard=Guard(SITE, settings, permitted=True),
        call=Call("apply", who="ada"),
        instances={one.name: one for one in SITE.nodes[0].instances},
    )
    wanted = [
        Step("create", one.name, "it is not there", spec=container_spec(SITE, SITE.nodes[0], one))
        for one in SITE.nodes[0].instances
    ]

    async def done() -> tuple[list[str], float]:
        found = await steps.do(engine, wanted)
        return [one.outcome for one in found], asyncio.get_running_loop().time()

    with asyncio.Runner(loop_factory=Leaping) as runner:
        return runner.run(done())


def test_none_waits_for_its_start_until_another_is_well(settings: Settings) -> None:
    found, _ = outcomes(settings, Well())
    assert found == ["done"] * len(NAMES)


def test_what_is_started_is_looked_at_one_after_the_other(settings: Settings) -> None:
    engine = Well(after=2.0)
    outcomes(settings, engine)
    assert engine.most == 1


def test_what_is_soon_well_is_soon_seen_to_be(settings: Settings) -> None:
    _, seconds = outcomes(settings, Well(after=1.5))
    assert seconds < 2.5


def test_what_is_long_in_coming_is_looked_at_ever_less_often(settings: Settings) -> None:
    engine = Well(after=1000.0)
    found, _ = outcomes(settings, engine)
    assert found == ["failed"] * len(NAMES)
    # Less than one each second; it is given up after a minute and a half.
    assert engine.looks < 60 * len(NAMES)
