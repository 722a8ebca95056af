"""Desired is what is declared and what operators changed on top of it."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from bluefleet.engine import Container
from bluefleet.fleet import Override, Overrides, plan, select
from bluefleet.fleet._desired import Desired, desired, held_steps, steps_for
from bluefleet.fleet._refused_devices import refused_devices, silenced_devices
from bluefleet.model import Site

DIGEST, OTHER = "sha256:" + "a" * 64, "sha256:" + "b" * 64


def instance(name: str, **more: object) -> dict[str, object]:
    device = {"name": f"{name}_x", "class": "bluefleet.devices.Axis"}
    return {"name": name, "image": "ioc", "devices": [device], **more}


SITE = Site.model_validate(
    {
        "schema_version": 1,
        "site": "lab",
        "hosts": {},
        "registry": None,
        "images": {
            "ioc": {"reference": f"r:5000/ioc@{DIGEST}", "digest": DIGEST},
            "twin": {"reference": f"r:5000/twin@{OTHER}", "digest": OTHER},
        },
        "nodes": [
            {
                "name": "node1",
                "address": "10.0.0.1",
                "instances": [
                    instance("cam1", privileged=True, simulated={"image": "twin"}),
                    instance("cam10"),
                ],
            }
        ],
    }
)
NODE = SITE.nodes[0]


def override(kind: str, instance: str = "cam1", **more: str) -> Override:
    return Override.model_validate({"node": "node1", "instance": instance, "kind": kind, "who": "ada", **more})


def wanted(*overrides: Override) -> dict[str, Desired]:
    return {one.declared.name: one for one in desired(SITE, NODE, Overrides(overrides))}


def running(one: Desired, **more: object) -> Container:
    found = Container(
        id=one.declared.name,
        name=one.spec.name,
        labels={**one.spec.labels, "org.bluefleet.spec": one.spec.sha256},
        image=one.spec.reference,
        state="running",
        health="",
        restarts=0,
        exit_code=0,
        reason="",
        started=datetime.now(UTC),
        finished=None,
    )
    return replace(found, **more)  # type: ignore[arg-type]  (fields by name)


DECLARED = wanted()


def steps(
    *overrides: Override, there: list[Container], targets: tuple[str, ...] = (), force: bool = False
) -> list[tuple[str, str]]:
    now = Overrides(overrides)
    (chosen,) = select(SITE, targets)
    found = steps_for(chosen, desired(SITE, NODE, now), there, now, force=force)
    return [(step.kind, step.instance) for step in found]


BOTH = [running(DECLARED["cam1"]), running(DECLARED["cam10"])]
FOREIGN = replace(running(DECLARED["cam1"]), name="bluefleet-old", labels={"org.bluefleet.instance": "old"})


def test_without_overrides_it_is_what_is_declared() -> None:
    assert steps(there=BOTH) == []
    assert steps(there=[]) == [("create", "cam1"), ("create", "cam10")]


def test_what_is_stopped_is_stopped_and_neither_made_nor_made_anew() -> None:
    assert steps(override("stopped"), there=BOTH) == [("stop", "cam1")]
    assert steps(override("stopped"), there=BOTH[1:]) == []
    ended = running(DECLARED["cam1"], state="exited", labels={"org.bluefleet.instance": "cam1"})
    assert steps(override("stopped"), there=[ended, BOTH[1]]) == []
    assert steps(override("stopped"), there=[ended, BOTH[1]], force=True) == [("recreate", "cam10")]


@pytest.mark.parametrize("kind", ["disabled", "cordoned"])
def test_what_is_held_is_left_alone_and_the_other_is_not(kind: str) -> None:
    assert steps(override(kind), there=[]) == [("create", "cam10")]
    assert steps(override(kind, "cam10"), there=BOTH, force=True) == [("recreate", "cam1")]


@pytest.mark.parametrize("kind", ["disabled", "cordoned"])
def test_nothing_is_done_on_a_held_node_also_to_what_nobody_declares(kind: str) -> None:
    assert steps(override(kind, ""), there=[FOREIGN]) == []
    assert steps(there=[*BOTH, FOREIGN]) == [("remove", "old")]


def test_what_is_held_is_told_with_who_and_why() -> None:
    now = Overrides([override("cordoned", reason="beam time")])
    ((step, why),) = held_steps(select(SITE).chosen[0], desired(SITE, NODE, now), BOTH[1:])
    assert (step.kind, step.instance) == ("create", "cam1")
    assert why.startswith("cordoned by ada since")
    assert why.endswith("beam time")


def test_that_what_is_held_is_not_made_anew_is_told_also_where_nothing_differs() -> None:
    now = Overrides([override("cordoned", reason="beam time")])
    there = [running(one) for one in desired(SITE, NODE, now)]
    assert held_steps(select(SITE).chosen[0], desired(SITE, NODE, now), there) == []
    ((step, why),) = held_steps(select(SITE).chosen[0], desired(SITE, NODE, now), there, force=True)
    assert (step.kind, step.instance) == ("recreate", "cam1")
    assert why.startswith("cordoned by ada")


def test_what_was_not_chosen_is_left_alone() -> None:
    assert steps(there=[FOREIGN], targets=("cam10",)) == [("create", "cam10")]
    assert steps(there=[FOREIGN], targets=("node1",)) == [("remove", "old"), ("create", "cam1"), ("create", "cam10")]


def test_force_makes_anew_what_is_as_it_should_be() -> None:
    assert steps(there=BOTH, force=True, targets=("cam1",)) == [("recreate", "cam1")]


def test_a_pinned_image_replaces_the_declared_one() -> None:
    pinned = wanted(override("pinned", value=f"r:5000/ioc@{OTHER}"))["cam1"]
    assert (pinned.spec.digest, pinned.spec.reference) == (OTHER, f"r:5000/ioc@{OTHER}")
    assert steps(override("pinned", value=f"r:5000/ioc@{OTHER}"), there=BOTH) == [("recreate", "cam1")]
    assert steps(override("pinned", value=f"elsewhere/ioc@{DIGEST}"), there=BOTH) == []


def test_a_simulated_instance_is_its_twin_and_the_hardware_is_not_driven() -> None:
    twin = wanted(override("simulated"))["cam1"]
    assert (twin.spec.digest, twin.spec.privileged) == (OTHER, False)
    assert steps(override("simulated"), there=BOTH) == [("recreate", "cam1")]
    assert steps(there=[running(twin), BOTH[1]]) == [("recreate", "cam1")]


def test_an_instance_that_the_inventory_simulates_is_its_twin_without_any_override() -> None:
    node = NODE.model_copy(update={"simulate": True})
    found = {one.declared.name: one for one in desired(SITE, node, Overrides())}
    assert found["cam1"].spec == wanted(override("simulated"))["cam1"].spec
    assert (found["cam1"].simulated, found["cam1"].overrides) == ("simulated by the inventory", ())
    assert found["cam10"].held == "simulated by the inventory, but it declares no twin"


def test_what_is_to_be_simulated_without_a_twin_is_left_alone() -> None:
    found = wanted(override("simulated", "cam10"))["cam10"]
    assert found.held.endswith("but it declares no twin")
    assert steps(override("simulated", "cam10"), there=[]) == [("create", "cam1")]


def test_devices_of_what_is_disabled_are_refused_with_who_and_why() -> None:
    assert refused_devices(SITE, Overrides([override("cordoned")])) == {}
    found = refused_devices(SITE, Overrides([override("disabled", reason="leaks")]))
    assert list(found) == ["cam1_x"]
    assert found["cam1_x"].startswith("node1/cam1 is disabled by ada since")
    assert set(refused_devices(SITE, Overrides([override("disabled", "")]))) == {"cam1_x", "cam10_x"}


def test_devices_of_what_is_stopped_or_disabled_need_not_answer() -> None:
    assert silenced_devices(SITE, Overrides([override("stopped")])) == {"cam1_x"}
    assert silenced_devices(SITE, Overrides([override("cordoned", "")])) == set()


def test_a_plan_without_any_override_is_what_it_was() -> None:
    specs = [one.spec for one in DECLARED.values()]
    assert plan(specs, BOTH) == []
