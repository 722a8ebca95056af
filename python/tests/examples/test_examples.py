"""Example data against a queue and a Tiled that answer as the real ones do."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from bluefleet.cli import examples as command
from bluefleet.examples import MARK, ExampleRun, Examples, QueueBusy, examples_for, series
from bluefleet.first_scan import StageFailed, runs
from bluefleet.first_scan import queue as queue_module
from bluefleet.first_scan.queue import Queue
from bluefleet.first_scan.runs import Runs
from bluefleet.model import Site
from site_stand_in import SiteStandIn

OPHYD = {"det", "det1", "det2", "motor", "motor1", "motor2", "noisy_det"}
PLANS = {"count", "scan", "rel_scan", "grid_scan", "adaptive_scan", "xafs"}
THEIRS = {"name": "fly", "item_uid": "theirs", "meta": {}}
# Of another series, at work or broken off.
ANOTHERS = {
    "name": "scan",
    "item_uid": "another's",
    "meta": {"bluefleet_example": True, "bluefleet_example_id": "another"},
}


def device(name: str, kind: str, prefix: str) -> dict[str, str]:
    return {"name": name, "class": f"bluefleet.devices.{kind}", "prefix": prefix}


NODE: dict[str, Any] = {
    "name": "node1",
    "address": "10.0.0.1",
    "instances": [
        {
            "name": "beam",
            "image": "ioc",
            "command": ["mini_beamline", "--prefix", "b:"],
            "devices": [device("hole", "Detector", "b:ph:"), device("axis", "Axis", "b:ph:")],
        },
        {
            "name": "foil",
            "image": "ioc",
            "command": ["simulated.xafs_beamline", "--prefix", "x:"],
            "devices": [device("energy", "Axis", "x:mono:"), device("chambers", "IonChambers", "x:")],
        },
    ],
}


def site(*nodes: dict[str, Any]) -> Site:
    return Site.model_validate(
        {"schema_version": 1, "site": "s", "hosts": {}, "registry": None, "images": {}, "nodes": list(nodes)}
    )


class SiteInUse(SiteStandIn):
    """Its queue runs all that it has when it is started; the plan `stays` runs until it is aborted, `fails` fails."""

    def __init__(self) -> None:
        super().__init__()
        self.devices, self.plans = sorted(OPHYD), PLANS
        self.stays = self.fails = ""
        self.running: dict[str, Any] = {}
        self.paused = self.holds = self.between_plans = False
        self.histories = 0
        self.stored = {"start": {"scan_id": 7}, "stop": {"num_events": {"primary": 31}}}
        self.count = 0

    def status(self, _: Any) -> dict[str, Any]:
        said = {"running_item_uid": self.running.get("item_uid"), "re_state": "paused" if self.paused else "idle"}
        state = "paused" if self.paused else "executing_queue" if self.running or self.between_plans else "idle"
        return {**super().status(_), **said, "manager_state": state}

    def plans_allowed(self, _: Any) -> dict[str, Any]:
        return {"plans_allowed": {name: {} for name in self.plans}}

    def queue_get(self, _: Any) -> dict[str, Any]:
        return {"items": self.queue, "running_item": self.running}

    def queue_item_add(self, body: Any) -> dict[str, Any]:
        self.count += 1
        item = {**body["item"], "item_uid": f"item {self.count}"}
        self.queue.append(item)
        return {"item": item}

    def queue_start(self, _: Any) -> dict[str, Any]:
        while self.queue and not self.running:
            item = self.queue.pop(0)
            if item["name"] == self.stays:
                self.running = item
            elif item["name"] == self.fails:
                self.end(item, "failed")
                break
            else:
                self.end(item, "completed")
        return {}

    def queue_stop(self, _: Any) -> dict[str, Any]:
        self.holds = bool(self.running)
        return {"success": self.holds}

    def queue_stop_cancel(self, _: Any) -> dict[str, Any]:
        self.holds = False
        return {}

    def re_pause(self, _: Any) -> dict[str, Any]:
        self.paused = True
        return {}

    def re_abort(self, _: Any) -> dict[str, Any]:
        item, self.running, self.paused = self.running, {}, False
        self.end(item, "aborted")
        return {}

    def history_get(self, _: Any) -> dict[str, Any]:
        self.histories += 1
        return super().history_get(_)

    def environment_close(self, _: Any) -> dict[str, Any]:
        self.open = False
        return {}

    def end(self, item: dict[str, Any], status: str) -> None:
        uids = [f"run of {item['name']}"] if status == "completed" else []
        result = {"exit_status": status, "run_uids": uids, "msg": "Plan failed: no light\n" if uids == [] else ""}
        self.history.append({**item, "result": result})
        if status != "completed":
            self.queue.insert(0, item)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (queue_module, runs, series):
        monkeypatch.setattr(module, "POLL", 0.001)
    monkeypatch.setattr(queue_module, "STALE", 0.001)
    monkeypatch.setattr(series, "STORED_DEADLINE", 0.05)
    monkeypatch.setattr(series, "STOPPED_AFTER", 0.05)


def series_on(
    stand_in: SiteInUse,
    *nodes: dict[str, Any],
    keep_open: bool = False,
    told: Callable[[str], None] = lambda _: None,
    answer: Callable[[httpx.Request], httpx.Response] | None = None,
) -> list[ExampleRun]:
    client = httpx.Client(base_url="https://site", transport=httpx.MockTransport(answer or stand_in.answer))
    queue, stored = Queue(client, "manager", MARK), Runs(client, "data")
    found = Examples(queue, stored, lambda: None, ("manager", "data"), site(*nodes), keep_open=keep_open)
    return found.run(lambda stage, *_: told(stage))


def interrupt_at(words: str) -> Callable[[str], None]:
    def told(stage: str) -> None:
        if stage.startswith(words):
            raise KeyboardInterrupt

    return told


def test_varied_runs_are_made_and_read_back() -> None:
    found = series_on(SiteInUse())
    names = [run.example.name for run in found]
    assert names == ["count", "scan", "rel_scan", "grid_scan", "adaptive_scan"]
    assert {(run.scan_id, run.points) for run in found} == {(7, 31)}
    assert any(len(run.example.args[0]) == 2 for run in found)


def test_the_sites_own_simulated_devices_are_used_where_the_queue_has_them() -> None:
    own = {"hole", "axis", "energy", "chambers"}
    names = {example.name: set(example.devices) for example in examples_for(site(NODE), PLANS, OPHYD | own)}
    assert names["scan"] == {"hole", "axis"}
    assert names["xafs"] == {"energy", "chambers"}
    names = {example.name: set(example.devices) for example in examples_for(site(NODE), PLANS, OPHYD | {"hole"})}
    assert names["scan"] == {"motor", "det", "noisy_det"}
    assert "xafs" not in names


def test_what_the_queue_does_not_allow_is_left_out() -> None:
    assert [each.name for each in examples_for(site(), {"count", "fly"}, OPHYD)] == ["count"]
    stand_in = SiteInUse()
    stand_in.plans = {"fly"}
    with pytest.raises(StageFailed, match="allows none of the plans"):
        series_on(stand_in)


@pytest.mark.parametrize("was_open", [True, False])
@pytest.mark.parametrize("keep_open", [True, False])
def test_the_environment_is_as_it_was(was_open: bool, keep_open: bool) -> None:
    stand_in = SiteInUse()
    stand_in.open = was_open
    series_on(stand_in, keep_open=keep_open)
    assert stand_in.open == (was_open or keep_open)


def test_somebodys_queue_is_left_alone() -> None:
    stand_in = SiteInUse()
    stand_in.queue = [THEIRS]
    with pytest.raises(QueueBusy, match=r"1 .*wait in the queue: fly"):
        series_on(stand_in)
    stand_in.queue, stand_in.running = [], THEIRS
    with pytest.raises(QueueBusy, match="runs fly"):
        series_on(stand_in)
    assert (stand_in.running, stand_in.history, stand_in.open) == (THEIRS, [], False)


def test_what_an_interrupted_series_left_is_no_hindrance() -> None:
    stand_in = SiteInUse()
    stand_in.queue = [ANOTHERS]
    series_on(stand_in)
    assert stand_in.queue == []
    assert "another's" not in [item["item_uid"] for item in stand_in.history]


def test_the_runs_of_a_series_say_which_one_they_are_of() -> None:
    stand_in = SiteInUse()
    series_on(stand_in)
    first = {item["meta"]["bluefleet_example_id"] for item in stand_in.history}
    series_on(stand_in)
    both = {item["meta"]["bluefleet_example_id"] for item in stand_in.history}
    assert (len(first), len(both)) == (1, 2)
    assert all(item["meta"]["bluefleet_example"] is True for item in stand_in.history)


def test_a_series_between_two_of_its_plans_is_left_alone() -> None:
    stand_in = SiteInUse()
    stand_in.queue, stand_in.between_plans = [ANOTHERS], True
    with pytest.raises(QueueBusy, match="other examples are at work"):
        series_on(stand_in)
    assert (stand_in.queue, stand_in.holds) == ([ANOTHERS], False)


def test_a_series_that_is_being_queued_is_left_alone() -> None:
    class Filling(SiteInUse):
        """Somebody adds a plan of a series every other time that it is asked."""

        def status(self, _: Any) -> dict[str, Any]:
            self.queue.append({**ANOTHERS, "item_uid": f"another's {len(self.queue)}"})
            return super().status(_)

    stand_in = Filling()
    stand_in.queue = [ANOTHERS]
    with pytest.raises(QueueBusy, match="other examples are at work"):
        series_on(stand_in)
    assert ANOTHERS in stand_in.queue


def test_ctrl_c_aborts_its_own_plan_and_takes_its_own_items_out() -> None:
    stand_in = SiteInUse()
    stand_in.stays = "rel_scan"

    def told(stage: str) -> None:
        if stage.startswith("run rel_scan"):
            stand_in.queue.append(THEIRS)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as caught:
        series_on(stand_in, told=told)
    assert "its plans are out of the queue; others' wait in it for queue/start: fly" in caught.value.__notes__[0]
    ended = {item["name"]: item["result"]["exit_status"] for item in stand_in.history}
    assert ended == {"count": "completed", "scan": "completed", "rel_scan": "aborted"}
    assert stand_in.queue == [THEIRS]
    assert stand_in.open, "somebody has come meanwhile"


@pytest.fixture
def in_a_terminal() -> Iterator[None]:
    """Ctrl-C comes through, which a shell turns off for what it runs in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.usefixtures("in_a_terminal")
def test_the_command_takes_its_plans_out_whatever_ends_it(
    number: signal.Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in = SiteInUse()
    stand_in.stays = "rel_scan"
    client = httpx.Client(base_url="https://site", transport=httpx.MockTransport(stand_in.answer))
    door = SimpleNamespace(
        site=site(), hosts=("manager", "data"), failures_told=nullcontext, clients=lambda: nullcontext((client, client))
    )
    monkeypatch.setattr(command, "front_door", lambda *_: door)
    show = command.Stages.show

    def end_the_command(self: command.Stages, stage: str, *how: Any) -> None:
        if stage == "run rel_scan" and stand_in.running:
            signal.raise_signal(number)
        show(self, stage, *how)

    monkeypatch.setattr(command.Stages, "show", end_the_command)
    ended = CliRunner().invoke(command.app, [])
    assert (ended.exit_code, "interrupted: its plans are out of the queue" in ended.stderr) == (1, True)
    assert (stand_in.queue, stand_in.running, stand_in.open) == ([], {}, False)
    assert stand_in.history[-1]["result"]["exit_status"] == "aborted"


@pytest.mark.parametrize("theirs", [THEIRS, ANOTHERS], ids=["a plan", "another series"])
def test_ctrl_c_never_ends_what_somebody_else_runs(theirs: dict[str, Any]) -> None:
    stand_in = SiteInUse()
    stand_in.stays = "rel_scan"

    def told(stage: str) -> None:
        if stage.startswith("run rel_scan"):
            stand_in.end(stand_in.running, "completed")
            stand_in.running = theirs
            stand_in.queue.append({**theirs, "item_uid": "their next"})
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as caught:
        series_on(stand_in, told=told)
    assert (stand_in.running, stand_in.paused, stand_in.holds) == (theirs, False, False)
    assert [item["item_uid"] for item in stand_in.queue] == ["their next"]
    assert not hasattr(caught.value, "__notes__"), "the queue goes on with theirs"


def test_ctrl_c_while_runs_are_read_back_closes_what_was_opened() -> None:
    stand_in = SiteInUse()
    stand_in.stored = None
    with pytest.raises(KeyboardInterrupt):
        series_on(stand_in, told=interrupt_at("read"))
    assert not stand_in.open


@pytest.mark.parametrize("gone", [BrokenPipeError, SystemExit])
def test_plans_are_taken_back_also_when_nothing_can_be_told_any_more(gone: type[BaseException]) -> None:
    stand_in = SiteInUse()
    stand_in.stays = "rel_scan"
    closed = False

    def told(stage: str) -> None:
        nonlocal closed
        closed = closed or stage.startswith("run rel_scan")
        if closed:
            raise gone

    with pytest.raises(gone):
        series_on(stand_in, told=told)
    assert (stand_in.queue, stand_in.running, stand_in.open) == ([], {}, False)
    assert stand_in.history[-1]["result"]["exit_status"] == "aborted"


def test_a_second_ctrl_c_claims_nothing() -> None:
    stand_in = SiteInUse()
    stand_in.stays = "rel_scan"
    interrupted = False

    def told(stage: str) -> None:
        nonlocal interrupted
        interrupted = interrupted or stage.startswith("run rel_scan")
        if interrupted:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as caught:
        series_on(stand_in, told=told)
    assert caught.value.__notes__ == ["not all was taken back: interrupted again"]


@pytest.mark.parametrize(
    ("path", "host"), [("/api/history/get", "manager"), ("/tiled/api/v1/metadata", "data")], ids=["queue", "tiled"]
)
def test_an_answer_that_is_no_json_is_a_failure_like_any_other(path: str, host: str) -> None:
    stand_in = SiteInUse()

    def answer(request: httpx.Request) -> httpx.Response:
        broken = request.url.path.startswith(path)
        return httpx.Response(200, text="<html>") if broken else stand_in.answer(request)

    with pytest.raises(StageFailed, match="not JSON: <html>") as caught:
        series_on(stand_in, answer=answer)
    assert caught.value.host == host
    assert (stand_in.queue, stand_in.open) == ([], False)


def test_a_long_plan_does_not_fetch_the_history_over_and_over() -> None:
    stand_in = SiteInUse()
    stand_in.stays = "scan"
    polls = 0

    def told(stage: str) -> None:
        nonlocal polls
        polls += stage == "run scan"
        if stand_in.running and polls == 20:
            item, stand_in.running, stand_in.stays = stand_in.running, {}, ""
            stand_in.end(item, "completed")
            stand_in.queue_start({})

    found = series_on(stand_in, told=told)
    assert polls == 20
    # Once for each plan, and once more for the one that was waited for.
    assert stand_in.histories == len(found) + 1


def test_a_plan_that_fails_is_told_and_not_left_in_the_queue() -> None:
    stand_in = SiteInUse()
    stand_in.fails = "rel_scan"
    with pytest.raises(StageFailed, match="no light") as caught:
        series_on(stand_in)
    assert (caught.value.stage, caught.value.host) == ("run rel_scan", "manager")
    assert (stand_in.queue, stand_in.open) == ([], False)
    assert not hasattr(caught.value, "__notes__")


def test_a_plan_that_fails_names_others_plans_that_wait_behind_it() -> None:
    stand_in = SiteInUse()
    stand_in.fails = "count"

    def told(stage: str) -> None:
        if stage == "take back what is queued":
            stand_in.queue.append(THEIRS)

    with pytest.raises(StageFailed, match="no light") as caught:
        series_on(stand_in, told=told)
    assert caught.value.__notes__ == ["its plans are out of the queue; others' wait in it for queue/start: fly"]
    assert stand_in.queue == [THEIRS]


def test_a_queue_that_somebody_stops_is_told() -> None:
    stand_in = SiteInUse()
    stand_in.queue_start = lambda _: {}
    with pytest.raises(StageFailed, match="somebody stopped the queue"):
        series_on(stand_in)
    assert stand_in.queue == []


@pytest.mark.parametrize(("emitted", "said"), [({"primary": 32}, 32), ({}, 0)])
def test_events_that_are_not_stored_are_a_failure(emitted: dict[str, int], said: int) -> None:
    stand_in = SiteInUse()
    stand_in.stored = {"start": {"scan_id": 7}, "stop": {"num_events": emitted}}
    with pytest.raises(StageFailed, match=f"run of count has 31 of its {said} events") as caught:
        series_on(stand_in)
    assert (caught.value.host, stand_in.open) == ("data", False)
