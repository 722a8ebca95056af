"""What has to be done on a node, from what is declared and what is there."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from bluefleet.engine import Container, ContainerSpec
from bluefleet.fleet import drift, instances_status, plan

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
DIGEST, OTHER = "sha256:" + "a" * 64, "sha256:" + "b" * 64


def spec(instance: str, **more: object) -> ContainerSpec:
    labels = {"org.bluefleet.instance": instance}
    return replace(
        ContainerSpec(name=f"bluefleet-{instance}", reference=f"r/ioc@{DIGEST}", digest=DIGEST, labels=labels),
        **more,  # type: ignore[arg-type]  (fields by name)
    )


def container(made_from: ContainerSpec, **more: object) -> Container:
    found = Container(
        id="1",
        name=made_from.name,
        labels={**made_from.labels, "org.bluefleet.spec": made_from.sha256},
        image=f"r/ioc@{made_from.digest}",
        state="running",
        health="healthy",
        restarts=0,
        exit_code=0,
        reason="",
        started=NOW,
        finished=None,
    )
    return replace(found, **more)  # type: ignore[arg-type]  (fields by name)


CAM1, CAM10 = spec("cam1"), spec("cam10")


def steps(declared: list[ContainerSpec], there: list[Container]) -> list[tuple[str, str]]:
    return [(step.kind, step.instance) for step in plan(declared, there)]


def test_what_is_as_declared_is_left_alone() -> None:
    assert steps([CAM1], [container(CAM1)]) == []


def test_what_is_missing_is_created() -> None:
    assert steps([CAM1], []) == [("create", "cam1")]


def test_names_that_begin_like_others_are_not_mixed_up() -> None:
    assert steps([CAM1, CAM10], [container(CAM10)]) == [("create", "cam1")]
    assert steps([CAM1], [container(CAM1), container(CAM10)]) == [("remove", "cam10")]


def test_what_differs_is_recreated() -> None:
    assert steps([replace(CAM1, command=("other",))], [container(CAM1)]) == [("recreate", "cam1")]


def test_what_is_not_declared_goes_first() -> None:
    assert steps([CAM1], [container(CAM10)]) == [("remove", "cam10"), ("create", "cam1")]


@pytest.mark.parametrize("state", ["created", "exited"])
def test_what_does_not_run_is_started(state: str) -> None:
    assert steps([CAM1], [container(CAM1, state=state)]) == [("start", "cam1")]


@pytest.mark.parametrize("state", ["paused", "dead"])
def test_what_cannot_be_started_is_recreated(state: str) -> None:
    assert steps([CAM1], [container(CAM1, state=state)]) == [("recreate", "cam1")]


def test_what_its_engine_restarts_is_left_to_it() -> None:
    assert steps([CAM1], [container(CAM1, state="restarting")]) == []


def test_only_a_step_that_stops_something_interrupts() -> None:
    (create,) = plan([CAM1], [])
    (start,) = plan([CAM1], [container(CAM1, state="exited")])
    (recreate,) = plan([replace(CAM1, user="1")], [container(CAM1)])
    assert [create.interrupts, start.interrupts, recreate.interrupts] == [False, False, True]


def test_drift_tells_image_from_spec() -> None:
    newer = replace(CAM1, digest=OTHER)
    assert drift(CAM1, container(CAM1)) == ()
    assert drift(CAM1, None) == ("missing",)
    assert drift(newer, container(CAM1)) == ("image",)
    assert drift(replace(CAM1, user="1"), container(CAM1)) == ("spec",)
    assert drift(replace(newer, user="1"), container(CAM1)) == ("image", "spec")


@pytest.mark.parametrize(
    ("health", "seconds", "ok"),
    [("starting", 300, False), ("", 10, False), ("", 300, True), ("healthy", 10, True)],
)
def test_what_its_engine_started_again_is_well_only_when_it_stays_up(health: str, seconds: int, *, ok: bool) -> None:
    there = container(CAM1, health=health, restarts=7, started=NOW - timedelta(seconds=seconds))
    (found,) = instances_status([CAM1], [there], NOW)
    assert found.ok == ok
    assert ok or found.reason == "its engine restarts it, 7 times so far, and it is not up for long"
    # Its first start is no trouble.
    (found,) = instances_status([CAM1], [replace(there, restarts=0)], NOW)
    assert found.ok


def test_status_says_what_is_wrong_in_words_and_worst_first() -> None:
    declared = [CAM1, CAM10, spec("cam2"), spec("cam3")]
    there = [
        container(CAM1),
        container(spec("cam2"), state="exited", exit_code=3, finished=NOW),
        container(spec("cam3"), health="unhealthy"),
        container(spec("cam4")),
    ]
    found = {instance.name: instance for instance in instances_status(declared, there, NOW)}
    assert found["cam1"].ok
    assert found["cam10"].state == "missing"
    assert found["cam2"].reason == "exited, it ended with 3"
    assert found["cam3"].reason == "its health check fails"
    assert found["cam4"].drift == ["extra"]
    assert list(found)[-1] == "cam1"
