"""The plans of a campaign: `adaptive_plan`, called as that of bluesky-adaptive 0.x is, and `adaptive` for the queue.

Annotations are objects here, not texts: the queue reads them.
"""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false, reportUnknownParameterType=false, reportMissingTypeArgument=false, reportUnknownLambdaType=false
# (bluesky's plans and protocols have partial types, and the queue knows the protocols as they are written here)
import asyncio
import itertools
import queue
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import bluesky.plan_stubs as bps
import bluesky.preprocessors as bpp
from bluesky.plans import count
from bluesky.protocols import Movable, Readable
from bluesky.utils import CustomPlanMetadata, MsgGenerator

from bluefleet.acquisition.adaptive.campaign import CAMPAIGN, NUMBER, Point
from bluefleet.acquisition.adaptive.ends import ASK_EVERY, DEADLINE, RUNS, FromRecommender, ToRecommender
from bluefleet.acquisition.adaptive.errors import CampaignWrong, RecommenderFailed, RecommenderSilent


def adaptive_plan(
    dets: Sequence[Any],
    first_point: Mapping[Any, Any],
    *,
    to_recommender: Any,
    from_recommender: Any,
    md: CustomPlanMetadata | None = None,
    take_reading: Callable[[list[Any]], MsgGenerator[Any]] | None = None,
    deadline: float = DEADLINE,
) -> MsgGenerator[list[str]]:
    """
    One run at each point, and a recommender says where the next one is.

    Parameters
    ----------
    dets : list
        devices that are read at each point
    first_point : dict
        where it begins: position by device that is moved
    to_recommender : ToRecommender or callable
        who decides; or a function that is given each document, ``(name, document)``
    from_recommender : FromRecommender or queue.Queue
        where recommendations come from: positions by name of device; None ends the campaign
    md : dict, optional
        metadata of each run
    take_reading : callable, optional
        a plan that takes the reading, given all devices; ``bluesky.plan_stubs.trigger_and_read`` by default
    deadline : float, optional
        seconds to wait for each recommendation

    Returns
    -------
    list
        the uids of the runs

    Raises
    ------
    CampaignWrong
        before anything is moved, when it can't be done
    RecommenderSilent, RecommenderFailed
        when it can't go on. The runs that were measured are kept.
    """
    axes = _by_name(first_point)
    point: Point = {device.name: position for device, position in first_point.items()}
    fields = [field for det in dets for field in _hinted(det)]
    ours = to_recommender if isinstance(to_recommender, ToRecommender) else None
    if ours is not None:
        ours.check(list(axes), fields)
    if not deadline > 0:
        raise CampaignWrong(f"deadline is {deadline}: give the seconds to wait for each recommendation")
    campaign = str(uuid.uuid4())
    answers = from_recommender.of(campaign) if hasattr(from_recommender, "of") else _drained(from_recommender)
    devices = [*dets, *axes.values()]
    # Its type has an argument more, which `count` does not give.
    per_shot: Any = None if take_reading is None else lambda read: take_reading(list(read))
    dimensions = [(_hinted(device) or [device.name], "primary") for device in axes.values()]
    uids: list[str] = []

    @bpp.subs_decorator(to_recommender if ours is None else [])
    def campaign_of_runs() -> MsgGenerator[list[str]]:
        at: Point | None = point
        for number in itertools.count():
            yield from bps.mv(*itertools.chain.from_iterable((axes[name], at[name]) for name in axes))
            about: dict[str, Any] = {CAMPAIGN: campaign, NUMBER: number}
            if ours is not None:
                about = ours.metadata(campaign, number, {name: at[name] for name in axes}, fields, deadline)
            hints = {"dimensions": dimensions}
            all_of_it = {"plan_name": "adaptive_plan", "hints": hints, **dict(md or {}), **about}
            uids.append((yield from count(devices, md=all_of_it, per_shot=per_shot)))
            at = yield from _next_point(answers, campaign, number, deadline)
            if at is None:
                return uids
            if set(at) != set(axes):
                raise RecommenderFailed(
                    f"after run {number} of campaign {campaign} positions were recommended for "
                    f"{', '.join(sorted(at)) or 'nothing'}; the axes are {', '.join(sorted(axes))}"
                )
        return uids

    return (yield from campaign_of_runs())


def adaptive(
    detectors: Sequence[Readable],
    *args: Movable | Any,
    recommender: str = "step",
    arguments: dict[str, Any] | None = None,
    runs: int = RUNS,
    deadline: float = DEADLINE,
    md: CustomPlanMetadata | None = None,
) -> MsgGenerator[list[str]]:
    """
    One run at each point, and a recommender says where the next one is.

    Parameters
    ----------
    detectors : list
        list of 'readable' objects
    *args :
        where it begins: ``motor1, start1, motor2, start2, …``
    recommender : str
        ``step``, ``gaussian-process``, or the path of a class of the site's own
    arguments : dict, optional
        of the recommender: ``{"step": 1.5}``, ``{"bounds": {"motor": [-5, 5]}}``
    runs : int
        how many runs there are at most
    deadline : float
        seconds to wait for each recommendation
    md : dict, optional
        metadata of each run
    """
    if not args or len(args) % 2:
        raise CampaignWrong(f"say where it begins, motor1, start1, motor2, start2, …; {len(args)} words are no pairs")
    to_recommender = ToRecommender(recommender, arguments or {}, runs)
    return (
        yield from adaptive_plan(
            detectors,
            dict(zip(args[::2], args[1::2], strict=True)),
            to_recommender=to_recommender,
            from_recommender=FromRecommender.of_this_process(),
            md={"plan_name": "adaptive", **dict(md or {})},
            deadline=deadline,
        )
    )


def _by_name(first_point: Mapping[Any, Any]) -> dict[str, Any]:
    """The devices that are moved. Raises CampaignWrong."""
    if not first_point:
        raise CampaignWrong("a campaign needs at least one axis: give its first point, such as {motor: 0}")
    each: Any
    for each, position in first_point.items():
        name = getattr(each, "name", "")
        if not isinstance(each, Movable):
            raise CampaignWrong(f"{each!r} is no device that can be moved; compare with `bluefleet devices list`")
        if isinstance(position, bool) or not isinstance(position, int | float):
            raise CampaignWrong(f"{name} can't begin at {position!r}: give a number")
    return {device.name: device for device in first_point}


def _hinted(device: Any) -> list[str]:
    """The fields that a device itself thinks matter."""
    return list((getattr(device, "hints", None) or {}).get("fields", []))


def _drained(answers: Any) -> Any:
    """A queue that is shared, without what somebody left in it."""
    while True:
        try:
            answers.get(block=False)
        except queue.Empty:
            return answers


class _Waiting:
    """For one recommendation. What was found stays: after a pause the RunEngine repeats messages, and heeds no answer."""

    def __init__(self, answers: Any) -> None:
        self._answers = answers
        self.over = False
        self._point: Point | None = None
        self._failure: RecommenderFailed | None = None

    def look(self) -> None:
        """Whether it is there."""
        if self.over:
            return
        try:
            self._point = self._answers.get(block=False)
        except queue.Empty:
            return
        except RecommenderFailed as failure:
            self._failure = failure
        self.over = True

    def result(self) -> Point | None:
        """The recommendation. Raises RecommenderFailed."""
        if self._failure is not None:
            raise self._failure
        return self._point

    @property
    def trouble(self) -> str:
        """What stands between us and it."""
        return getattr(self._answers, "trouble", "")


def _next_point(answers: Any, campaign: str, number: int, deadline: float) -> MsgGenerator[Point | None]:
    """The recommendation, asked for in small steps and beside the RunEngine's own thread: it can be paused and aborted."""
    waiting = _Waiting(answers)
    end = time.monotonic() + deadline
    while True:
        # Before the look: who comes back from a long pause finds what came meanwhile.
        late = time.monotonic() > end
        # What was measured is not measured again after a pause.
        yield from bps.checkpoint()
        yield from bps.wait_for([partial(asyncio.to_thread, waiting.look)])
        if waiting.over:
            return waiting.result()
        if late:
            why = f" ({waiting.trouble})" if waiting.trouble else ""
            raise RecommenderSilent(
                f"no recommendation after run {number} of campaign {campaign} within {deadline:g} s{why}: "
                "`bluefleet status` says how the recommender is, and `docker compose -p acquisition logs recommender` "
                "on its host what it did; the runs until here are kept"
            )
        yield from bps.sleep(ASK_EVERY)
