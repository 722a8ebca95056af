"""Which nodes and instances a person means."""

import pytest

from bluefleet.fleet import SelectionInvalid, categories_of, select
from bluefleet.model import Site


def instance(name: str, *categories: str) -> dict[str, object]:
    return {"name": name, "image": "ioc", "categories": list(categories)}


SITE = Site.model_validate(
    {
        "schema_version": 1,
        "site": "lab",
        "hosts": {},
        "registry": None,
        "images": {"ioc": {"reference": "ioc"}},
        "nodes": [
            {
                "name": "node1",
                "address": "10.0.0.1",
                "categories": ["guider"],
                "instances": [instance("cam1", "camera"), instance("cam10", "camera"), instance("stage")],
            },
            {"name": "node10", "address": "10.0.0.10", "instances": [instance("cam1", "camera"), instance("node1")]},
            {"name": "node2", "address": "10.0.0.2"},
        ],
    }
)


def names(*targets: str, categories: tuple[str, ...] = ()) -> list[str]:
    return select(SITE, targets, categories).names


@pytest.mark.parametrize(
    ("targets", "chosen"),
    [
        ((), ["node1", "node10", "node2"]),
        (("node10",), ["node10"]),
        (("node1/",), ["node1"]),
        (("node1/cam1",), ["node1/cam1"]),
        (("cam10",), ["node1/cam10"]),
        (("cam1",), ["node1/cam1", "node10/cam1"]),
        (("node2", "stage"), ["node1/stage", "node2"]),
        (("node10", "node10/cam1"), ["node10"]),
    ],
)
def test_names_are_whole_and_in_the_order_of_the_site(targets: tuple[str, ...], chosen: list[str]) -> None:
    assert names(*targets) == chosen


def test_a_whole_node_is_chosen_with_all_its_instances() -> None:
    (chosen,) = select(SITE, ["node10"])
    assert chosen.whole
    assert [one.name for one in chosen.instances] == ["cam1", "node1"]
    assert not select(SITE, ["node10/cam1"]).chosen[0].whole


def test_a_category_narrows_and_a_node_s_is_its_instances_too() -> None:
    assert names(categories=("camera",)) == ["node1/cam1", "node1/cam10", "node10/cam1"]
    assert names(categories=("guider",)) == ["node1"]
    assert names("node10", categories=("camera",)) == ["node10/cam1"]
    assert names("node10", "cam10", categories=("camera", "guider")) == ["node1/cam10", "node10/cam1"]


@pytest.mark.parametrize("wrong", ["node", "cam", "node3", "node1/cam", "node2/cam1", "/cam1", "/"])
def test_an_unknown_name_is_an_error_that_lists_what_exists(wrong: str) -> None:
    with pytest.raises(SelectionInvalid, match=f"is called {wrong}$") as caught:
        names(wrong)
    assert "Nodes are node1, node10, node2; instances are node1/cam1, " in caught.value.remedy


def test_every_unknown_name_is_told_at_once_with_the_nearest_known() -> None:
    with pytest.raises(SelectionInvalid, match="nod2 or stagee") as caught:
        names("nod2", "cam1", "stagee")
    assert "Did you mean 'node2'?" in caught.value.remedy
    assert "Did you mean 'stage'?" in caught.value.remedy


def test_a_name_of_two_things_is_refused_with_both_spellings() -> None:
    with pytest.raises(SelectionInvalid, match="node1 is a node and an instance") as caught:
        names("node1")
    assert caught.value.remedy == "Write node1/ for the node, node10/node1 for the instance"


def test_an_unknown_category_is_an_error_that_lists_what_exists() -> None:
    with pytest.raises(SelectionInvalid, match="category cameras") as caught:
        names(categories=("cameras",))
    assert caught.value.remedy == "Categories are camera, guider"
    assert categories_of(SITE) == ["camera", "guider"]


def test_a_choice_that_leaves_nothing_over_is_an_error() -> None:
    with pytest.raises(SelectionInvalid, match="nothing of category camera is among node2"):
        names("node2", categories=("camera",))
