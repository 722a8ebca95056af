"""What the queue accepts for each plan and what it refuses, by its own code, as a request of its API comes."""

from __future__ import annotations

import enum
from collections.abc import Iterator
from importlib import resources
from typing import Any

import ophyd.sim
import pytest
import yaml
from bluesky import RunEngine
from bluesky_queueserver.manager.profile_ops import (
    existing_plans_and_devices_from_nspace,
    load_allowed_plans_and_devices,
    prepare_plan,
    validate_plan,
)
from ophyd_async.core import StandardReadable
from tests.acquisition.conftest import Load
from tests.acquisition.xafs.conftest import SHORT, Beamline

from bluefleet.acquisition import plans
from bluefleet.acquisition.adaptive.plan import adaptive_plan
from bluefleet.acquisition.moves import MoveRefused

SIMULATED = ("det", "det1", "det2", "motor", "motor1", "motor2", "noisy_det")
# Centre, range and the like of both axes.
AROUND = (["det"], "motor1", "motor2", 0, 0, 2, 2)
# One of each plan, as somebody would queue it.
CALLS: dict[str, list[Any]] = {
    "adaptive": [["det"], "motor", 0],
    "adaptive_scan": [["det"], "det", "motor", -1, 1, 0.2, 1, 0.2, True],
    "count": [["det", "noisy_det"], 2],
    "fly": [["flyer"]],
    "grid_scan": [["det"], "motor1", -1, 1, 2, "motor2", -1, 1.5, 2, True],
    "list_grid_scan": [["det"], "motor1", [1, 2], "motor2", [3, 4]],
    "list_scan": [["det"], "motor1", [1, 2.5], "motor2", [3, 4]],
    "log_scan": [["det"], "motor", 1, 10, 2],
    "mv": ["motor1", 1, "motor2", 2.5],
    "mvr": ["motor1", 1, "motor2", -0.5],
    "rel_adaptive_scan": [["det"], "det", "motor", -1, 1, 0.2, 1, 0.2, True],
    "rel_grid_scan": [["det"], "motor1", -1, 1, 2, "motor2", -1, 1, 2],
    "rel_list_grid_scan": [["det"], "motor1", [1, 2], "motor2", [3, 4]],
    "rel_list_scan": [["det"], "motor1", [1, 2], "motor2", [3, 4]],
    "rel_log_scan": [["det"], "motor", 1, 10, 2],
    "rel_scan": [["det"], "motor", -1, 1, 3],
    "rel_spiral": [*AROUND[:3], 2, 2, 1, 3],
    "rel_spiral_fermat": [*AROUND[:3], 2, 2, 1, 1],
    "rel_spiral_square": [*AROUND[:3], 2, 2, 2, 2],
    "scan": [["det.val", "det1"], "motor1", -1, 1, "motor2", 0, 0.5, 3],
    "sleep": [0],
    "spiral": [*AROUND, 1, 3],
    "spiral_fermat": [*AROUND, 1, 1],
    "spiral_square": [*AROUND, 2, 2],
    "tune_centroid": [["det"], "det", "motor", -1, 1, 0.5],
    "x2x_scan": [["det"], "motor1", "motor2", -1, 1, 3],
    "xafs": [SHORT.replace("nscans        = 3", "nscans = 1"), "energy", "chambers", ["det"]],
}
# It waits for a service of the acquisition pod.
NOT_RUN = {"adaptive"}


class Queue:
    """The queue's lists for the group that keys have, of a worker with these names."""

    def __init__(self, **more: Any) -> None:
        beamline = Beamline()
        self.RE: RunEngine = beamline.RE
        self.documents = beamline.documents
        self._names: dict[str, Any] = {name: getattr(plans, name) for name in plans.__all__}
        self._names |= {name: getattr(ophyd.sim, name) for name in SIMULATED}
        self._names |= {"energy": beamline.energy, "chambers": beamline.chambers, "adaptive_plan": adaptive_plan}
        self._names |= {"flyer": ophyd.sim.TrivialFlyer(), **more}
        self.update()

    def update(self, **more: Any) -> None:
        """What the worker does when devices have joined."""
        self._names |= more
        existing_plans, existing_devices, *self._found = existing_plans_and_devices_from_nspace(nspace=self._names)
        permissions = resources.files("bluefleet.acquisition").joinpath("user_group_permissions.yaml")
        self._lists = load_allowed_plans_and_devices(
            existing_plans=existing_plans,
            existing_devices=existing_devices,
            user_group_permissions=yaml.safe_load(permissions.read_text(encoding="utf-8")),
        )
        self.plans, self.devices = (lists["primary"] for lists in self._lists)

    def refusal(self, name: str, *args: Any, **kwargs: Any) -> str:
        """Why the plan isn't added; nothing where it is."""
        item = {"name": name, "args": list(args), "kwargs": kwargs}
        accepted, why = validate_plan(item, allowed_plans=self.plans, allowed_devices=self.devices)
        assert accepted == (not why)
        return why

    def run(self, name: str, *args: Any, **kwargs: Any) -> None:
        item = {"name": name, "args": list(args), "kwargs": kwargs, "user_group": "primary"}
        plans_here, devices_here = self._found
        allowed_plans, allowed_devices = self._lists
        prepared = prepare_plan(
            item,
            plans_in_nspace=plans_here,
            devices_in_nspace=devices_here,
            allowed_plans=allowed_plans,
            allowed_devices=allowed_devices,
            nspace=self._names,
        )
        self.RE(prepared["callable"](*prepared["args"], **prepared["kwargs"]))


@pytest.fixture(scope="module", autouse=True)
def names_that_can_be_copied() -> Iterator[None]:
    """The queue copies an enumeration of its own; the Python of Debian 12 can't yet, that of the image can."""
    with pytest.MonkeyPatch.context() as patch:
        if not hasattr(enum.Enum, "__deepcopy__"):
            patch.setattr(enum.Enum, "__deepcopy__", lambda self, _memo: self, raising=False)
            patch.setattr(enum.Enum, "__copy__", lambda self: self, raising=False)
        yield


@pytest.fixture(scope="module")
def queue() -> Queue:
    return Queue()


def test_of_each_plan_that_may_be_queued_there_is_a_call_here(queue: Queue) -> None:
    assert set(queue.plans) == set(CALLS)
    # They need what no request can hold, or a person at a terminal.
    assert set(plans.__all__) - set(queue.plans) == {"ramp_plan", "scan_nd", "tweak"}


@pytest.mark.parametrize("name", CALLS)
def test_a_call_as_a_person_would_write_it_is_accepted_and_runs(queue: Queue, name: str) -> None:
    assert queue.refusal(name, *CALLS[name]) == ""
    if name not in NOT_RUN:
        queue.run(name, *CALLS[name])


def misspelt(call: Any) -> list[tuple[str, Any]]:
    """The same call once for each of its devices, with that one's name misspelt."""
    devices = {*SIMULATED, "energy", "chambers", "flyer", "det.val"}
    found: list[tuple[str, Any]] = []
    for at, each in enumerate(call):
        inner = misspelt(each) if isinstance(each, list) else []
        if isinstance(each, str) and each in devices:
            inner = [(f"{each}t", f"{each}t")]
        found += [(wrong, [*call[:at], instead, *call[at + 1 :]]) for wrong, instead in inner]
    return found


@pytest.mark.parametrize("name", [name for name in CALLS if name not in ("mv", "sleep")])
def test_a_misspelt_device_is_refused_by_name_when_the_plan_is_added(queue: Queue, name: str) -> None:
    # The second argument of these is a field's name.
    fields = {"dett"} if name in ("adaptive_scan", "rel_adaptive_scan", "tune_centroid") else set()
    calls = [(wrong, call) for wrong, call in misspelt(CALLS[name]) if not (fields and call[1] in fields)]
    assert calls
    for wrong, call in calls:
        assert f"input_value='{wrong}'" in queue.refusal(name, *call)


def test_the_axes_that_a_grid_is_snaked_over_are_devices(queue: Queue) -> None:
    for name in ("grid_scan", "list_grid_scan", "rel_grid_scan", "rel_list_grid_scan"):
        call = CALLS[name][:9]  # without the flag, which says the same
        assert "input_value='motor3'" in queue.refusal(name, *call, snake_axes=["motor3"])
        assert queue.refusal(name, *call, snake_axes=["motor2"]) == ""
        queue.run(name, *call, snake_axes=["motor2"])


def test_mv_may_set_texts_and_refuses_a_misspelt_device_before_it_moves_another(queue: Queue) -> None:
    assert "input_value='moter'" in queue.refusal("mv", "moter", 1)
    assert queue.refusal("mv", "motor", "open", "motor1", "closed") == ""
    queue.run("mv", "motor", 3)
    with pytest.raises(MoveRefused, match="'moter' is no device that can be moved, and nothing was"):
        queue.run("mv", "motor", 4, "moter", 5)
    with pytest.raises(MoveRefused, match="3 words are no pairs"):
        queue.run("mv", "motor", 4, "motor1")
    assert ophyd.sim.motor.position == 3


class Axis(ophyd.Device):
    """A device's part that has a part."""

    speed = ophyd.Component(ophyd.Signal, value=1)


class Stage(ophyd.Device):
    """A device in three levels."""

    x = ophyd.Component(Axis)


def test_plans_take_a_devices_parts_and_mv_and_mvr_parts_of_these_too() -> None:
    queue = Queue(stage=Stage(name="stage"))
    assert queue.refusal("scan", ["stage.x"], "stage.x", 0, 1, 3) == ""
    assert "input_value='stage.x.speed'" in queue.refusal("scan", ["det"], "stage.x.speed", 0, 1, 3)
    assert queue.refusal("mv", "stage.x.speed", 2) == queue.refusal("mvr", "stage.x.speed", 2) == ""
    queue.run("mv", "stage.x.speed", 2, "motor", 1)


def test_texts_that_are_no_devices_stay_texts(queue: Queue) -> None:
    assert queue.refusal("count", ["det"], md={"sample": "dett", "detectors": ["dett"]}) == ""
    assert queue.refusal("list_scan", ["det"], "motor", ["in", "out"]) == ""
    assert queue.refusal("adaptive", ["det"], "motor", 0, recommender="step", arguments={"step": 1.5}) == ""


def test_a_device_that_joins_is_accepted_from_then_on() -> None:
    queue = Queue()
    assert "input_value='det7'" in queue.refusal("count", ["det7"])
    queue.update(det7=ophyd.sim.SynSignal(name="det7"))
    assert queue.refusal("count", ["det7"]) == ""


SITE_PLANS = """
from bluesky.plan_stubs import sleep
from bluesky_queueserver import parameter_annotation_decorator
from bluesky.protocols import Readable
from ophyd_async.core import StandardReadable

def align(spot: StandardReadable, detectors: list[Readable], word: str, names: list[str], anything):
    yield from sleep(0)

__all__ = ["align", "align_one"]

@parameter_annotation_decorator({"parameters": {"spot": {"annotation": "Spots", "devices": {"Spots": ["det1"]}}}})
def align_one(spot):
    yield
"""


def test_the_annotations_of_a_sites_own_plan_say_which_names_it_takes(load: Load) -> None:
    queue = Queue(**load(seven=SITE_PLANS).plans, spot=StandardReadable(name="spot"))
    assert queue.refusal("align", "spot", ["det"], "dett", ["dett"], "dett") == ""
    assert "input_value='spto'" in queue.refusal("align", "spto", ["det"], "", [], "")
    assert "input_value='dett'" in queue.refusal("align", "spot", ["dett"], "", [], "")
    # What its author has told the queue stays.
    assert queue.refusal("align_one", "det1") == ""
    assert "Input should be 'det1'" in queue.refusal("align_one", "det2")


def test_annotations_that_are_texts_are_read_as_far_as_they_go(load: Load) -> None:
    later = "from __future__ import annotations\nfrom typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from numpy import ndarray\n"
    odd = SITE_PLANS.replace("anything):", "anything: ndarray, number: int = 1):", 1)
    queue = Queue(**load(seven=later + odd).plans, spot=StandardReadable(name="spot"))
    assert queue.refusal("align", "spot", ["det"], "dett", ["dett"], "dett") == ""
    assert "input_value='dett'" in queue.refusal("align", "spot", ["dett"], "", [], "")
    assert "input_value='three'" in queue.refusal("align", "spot", ["det"], "", [], "", "three")
    queue.run("align", "spot", ["det"], "", [], "")


DEVICES_IN_ANNOTATIONS = """
from __future__ import annotations
from collections.abc import Callable, Iterable
from typing import Annotated, Literal, Optional, TYPE_CHECKING
from bluesky.protocols import Movable, Readable
from ophyd_async.core import StandardReadable
if TYPE_CHECKING:
    from numpy import ndarray

def maybe(it: StandardReadable | None = None): yield
def optional(it: Optional[StandardReadable] = None): yield
def several(it: list[StandardReadable]): yield
def any_of(it: Iterable[StandardReadable]): yield
def different(it: set[Readable]): yield
def each(*it: StandardReadable): yield
def by_word(it: dict[str, "StandardReadable"]): yield
def marked(it: Annotated[StandardReadable, "of the hutch"]): yield
def quoted(it: "StandardReadable | int"): yield
def inside(it: list["StandardReadable | None"]): yield
def axis(it: Movable[float] | Literal["none"]): yield
def wordy(it: "Readable | str"): yield
def no_words_for_one(it: StandardReadable | Callable[[], int]): yield
def only_for_checkers(it: list["ndarray | Readable"]): yield
"""


def test_a_device_is_looked_for_wherever_an_annotation_has_one(load: Load) -> None:
    queue = Queue(**load(seven=DEVICES_IN_ANNOTATIONS).plans)
    for name in ("maybe", "optional", "each", "marked", "quoted", "axis"):
        assert queue.refusal(name, "det") == ""
        assert "input_value='dett'" in queue.refusal(name, "dett"), name
    for name in ("several", "any_of", "different", "inside"):
        assert queue.refusal(name, ["det", "motor"]) == ""
        assert "input_value='dett'" in queue.refusal(name, ["motor", "dett"]), name
    assert queue.refusal("by_word", {"x": "det"}) == ""
    assert "input_value='dett'" in queue.refusal("by_word", {"x": "dett"})
    assert queue.refusal("maybe") == queue.refusal("maybe", None) == queue.refusal("axis", "none") == ""


def test_an_annotation_that_takes_any_text_or_is_beyond_the_queues_words_refuses_nothing(load: Load) -> None:
    queue = Queue(**load(seven=DEVICES_IN_ANNOTATIONS).plans)
    for name in ("wordy", "no_words_for_one"):
        assert queue.refusal(name, "det") == queue.refusal(name, "dett") == ""
    assert queue.refusal("only_for_checkers", ["det"]) == ""


def test_a_plan_that_the_queue_can_not_describe_is_left_to_it(load: Load) -> None:
    plan = load(seven="def odd(device=object()):\n    yield\n").plans["odd"]
    assert not hasattr(plan, "__wrapped__")
