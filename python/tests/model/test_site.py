"""What a site file may say, and what a person is told when it says something else."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from bluefleet.checkout import find_checkout
from bluefleet.model import Device, Image, Instance, Registry, Site, schema_text, shape_problems
from bluefleet.site_file import SiteFileInvalid, load_site, parse_site

SITE = Path("fleet.yml")
DIGEST = "sha256:" + "0" * 64

# The entry of the design's section 4, as it stands there.
DESIGN_EXAMPLE = """
  - name: mini-beamline
    image: ioc
    command: [mini_beamline, --prefix, "mini:"]
    channel_access_port: 5064
    devices:
      - {name: motor_ph, class: bluefleet.devices.Axis, prefix: "mini:ph:"}
"""


def site_with(**changes: Any) -> dict[str, Any]:
    """A small site as it is read from YAML, with some keys changed."""
    return {
        "schema_version": 1,
        "site": "lab",
        "hosts": {"node1": {"address": "10.0.0.21", "groups": ["nodes"]}},
        "registry": None,
        "images": {"ioc": {"reference": f"ghcr.io/site/ioc@{DIGEST}", "digest": DIGEST}},
        "nodes": [{"name": "node1", "address": "10.0.0.21", "instances": yaml.safe_load(DESIGN_EXAMPLE)}],
        **changes,
    }


def only_problem(**changes: Any) -> str:
    """What is said of a site with one thing wrong."""
    with pytest.raises(SiteFileInvalid) as caught:
        parse_site(yaml.safe_dump(site_with(**changes)), SITE)
    assert len(caught.value.problems) == 1, caught.value
    return str(caught.value.problems[0])


def instance_with(**changes: Any) -> list[dict[str, Any]]:
    """The nodes of a site whose one instance has some keys changed."""
    instance = yaml.safe_load(DESIGN_EXAMPLE)[0] | changes
    return [{"name": "node1", "address": "10.0.0.21", "instances": [instance]}]


def test_the_design_s_example_is_a_site():
    site = Site.model_validate(site_with())
    (placed,) = site.placed_devices()
    assert (placed.node.name, placed.instance.name, placed.device.name) == ("node1", "mini-beamline", "motor_ph")
    assert placed.device.class_path == "bluefleet.devices.Axis"
    assert placed.instance.pv_prefix == "mini:"


def test_every_ioc_is_listed_with_its_own_port():
    more = yaml.safe_load(DESIGN_EXAMPLE)
    more += [{"name": "second", "image": "ioc", "channel_access_port": 5066}, {"name": "camera", "image": "ioc"}]
    site = Site.model_validate(site_with(nodes=[{"name": "node1", "address": "10.0.0.21", "instances": more}]))
    assert site.channel_access_addresses() == ["10.0.0.21:5064", "10.0.0.21:5066"]


def test_a_site_cannot_be_changed_once_it_is_read():
    site = Site.model_validate(site_with())
    with pytest.raises(ValidationError, match="frozen"):
        site.site = "other"  # type: ignore[misc]  # that it is refused is what is tested


@pytest.mark.parametrize("model", [Site, Instance, Device, Image, Registry])
def test_every_field_says_what_it_is_for(model):
    for name, field in model.model_fields.items():
        described = field.description or any(getattr(each, "description", None) for each in field.metadata)
        assert described, f"{model.__name__}.{name} has no description"


def test_an_unknown_key_is_named_with_its_place():
    said = only_problem(nodes=instance_with(priviledged=True))
    assert said == "nodes[0].instances[0].priviledged: unknown key 'priviledged'. Did you mean 'privileged'?"


def test_a_key_like_no_other_is_to_be_removed():
    said = only_problem(nodes=instance_with(xyz=True))
    assert said == "nodes[0].instances[0].xyz: unknown key 'xyz'. Remove it, or mend its spelling"


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ({"devices": [{"name": "axis", "class": "a.B", "clas": "a.B"}]}, "class"),
        ({"volumes": [{"source": "vol", "target": "/v", "reed_only": True}]}, "read_only"),
        ({"simulated": {"imag": "ioc"}}, "image"),
    ],
)
def test_a_mistyped_key_of_a_part_is_known_by_the_keys_of_that_part(wrong, right):
    assert f"Did you mean '{right}'?" in only_problem(nodes=instance_with(**wrong))


def test_a_missing_key_is_named_with_its_place():
    said = only_problem(nodes=instance_with(devices=[{"name": "axis"}]))
    assert said.startswith("nodes[0].instances[0].devices[0].class: 'class' is missing")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"name": "Mini Beamline"}, "small letters, digits"),
        ({"channel_access_port": 70000}, "less than or equal to 65535"),
        ({"hardware_devices": ["ttyUSB0"]}, "^/dev/"),
        ({"device_cgroup_rules": ["c 189 rwm"]}, "must match"),
        ({"user": "operator"}, r"^\d+(:\d+)?$"),
        ({"memory_limit": "lots"}, "[kmg]"),
        ({"volumes": [{"source": "./data", "target": "/data"}]}, "must match"),
        ({"ports": [{"port": 8080, "container_port": 80}]}, "network: bridge"),
        ({"devices": [{"name": "2theta", "class": "a.B"}]}, "Python variable"),
        ({"devices": [{"name": "theta", "class": "Axis"}]}, "dotted Python path"),
        ({"stop_grace_seconds": -1}, "greater than or equal to 0"),
    ],
)
def test_an_instance_that_cannot_be_is_refused_with_what_would_be_right(changes, said):
    assert said in only_problem(nodes=instance_with(**changes))


@pytest.mark.parametrize("name", ["Lab", "1lab", "lab_1", ""])
def test_a_site_s_name_fits_into_topics_and_labels(name):
    assert "small letter" in only_problem(site=name)


def test_nothing_says_latest():
    assert "latest" in only_problem(images={"ioc": {"reference": "ghcr.io/site/ioc:latest"}})


def test_a_reference_ends_in_its_digest():
    other = "sha256:" + "1" * 64
    with pytest.raises(ValidationError, match="differ"):
        Image(reference=f"ghcr.io/site/ioc@{DIGEST}", digest=other)
    with pytest.raises(ValidationError, match="differ"):
        Image(reference="ghcr.io/site/ioc", digest=other)


def test_an_image_that_is_not_built_yet_has_no_digest():
    assert Image(reference="10.0.0.10:5000/bluefleet/ioc").digest is None


def test_a_registry_with_tls_names_its_authority():
    with pytest.raises(ValidationError, match="ca_file"):
        Registry(address="10.0.0.10:5000", tls=True)


def test_everything_that_contradicts_is_told_at_once():
    twice = yaml.safe_load(DESIGN_EXAMPLE) + yaml.safe_load(DESIGN_EXAMPLE)
    nodes = [{"name": "node1", "address": "10.0.0.21", "instances": twice}]
    with pytest.raises(SiteFileInvalid) as caught:
        parse_site(yaml.safe_dump(site_with(nodes=nodes)), SITE)
    said = str(caught.value)
    for part in ("device 'motor_ph'", "two instances called 'mini-beamline'", "PV prefix 'mini:'", "port 5064"):
        assert part in said or part == "port 5064", said
    assert caught.value.partial is not None


def test_an_actor_has_a_port_of_its_own():
    cameras = [{"name": name, "image": "ioc", "actor": {"port": 19995}} for name in ("cam1", "cam2")]
    said = only_problem(nodes=[{"name": "node1", "address": "10.0.0.21", "instances": cameras}])
    assert said.startswith(
        "nodes[0].instances[1].actor.port: port 19995 of instance 'cam2' is taken on node1 by instance"
    )


def test_a_node_is_one_of_the_hosts():
    said = only_problem(hosts={"node2": {"address": "10.0.0.22"}})
    assert said.startswith("nodes[0].name: node 'node1' is no host of the site")


def test_a_site_file_that_is_missing_is_told_by_name(tmp_path):
    with pytest.raises(SiteFileInvalid, match=r"fleet\.yml.*cannot be read"):
        load_site(tmp_path / "fleet.yml")


def test_a_site_file_that_is_no_yaml_is_told_by_line():
    with pytest.raises(SiteFileInvalid, match="line 2"):
        parse_site("site: lab\n  nodes: [", SITE)


def test_a_problem_of_the_whole_file_has_a_place():
    with pytest.raises(ValidationError) as caught:
        Site.model_validate("nothing")
    assert "(the whole file)" in str(shape_problems(caught.value, Site)[0])


def test_the_published_schema_is_that_of_the_model():
    published = find_checkout() / "docs" / "reference" / "site.schema.json"
    assert published.read_text() == schema_text(), f"run: python -m bluefleet.model > {published}"
