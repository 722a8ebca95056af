"""Every refusal names file, line, host, variable, value and remedy."""

import json
from pathlib import Path

import pytest

from bluefleet.checkout import find_checkout
from bluefleet.inventory import Finding, everything_wrong
from sources_with_logins import SOURCES

# Ansible renders the inventory first: 3 s, several times that where lint and image builds run beside it.
pytestmark = pytest.mark.timeout(180)


def told(finding: Finding, place: str, *parts: str) -> None:
    """Assert that the message begins with the place and has every part."""
    text = str(finding)
    file, line = place.split(":")
    assert f"{Path(finding.file).name}:{finding.line}" == f"{Path(file).name}:{line}", text
    for part in parts:
        assert part in text, f"{part!r} is not in:\n{text}"


def test_the_good_inventory_passes(site):
    assert site.findings() == []


def test_a_site_without_manager_is_refused(site):
    site.change(
        "hosts.yml", "manager:\n  hosts:\n    manager:\n      ansible_host: 10.0.0.10\n", "manager:\n  hosts: {}\n"
    )
    told(site.the_finding(), "hosts.yml:1", "manager = []", "group manager has 0 hosts", "exactly one host")


def test_a_site_with_two_managers_is_refused(site):
    site.change("hosts.yml", "      ansible_host: 10.0.0.10\n", "      ansible_host: 10.0.0.10\n    node1:\n")
    told(site.the_finding(), "hosts.yml:5", "node1: manager = ['manager', 'node1']", "has 2 hosts", "exactly one")


def test_a_second_host_for_a_pod_is_refused(site):
    site.change(
        "hosts.yml", "acquisition:\n  hosts:\n    manager:\n", "acquisition:\n  hosts:\n    manager:\n    node2:\n"
    )
    told(site.the_finding(), "hosts.yml:8", "node2: acquisition", "has 2 hosts", "one pod of a kind")


def test_both_pods_on_one_host_are_refused(site):
    site.change("hosts.yml", "acquisition:\n  hosts:\n    manager:\n", "acquisition:\n  hosts:\n    data:\n")
    told(site.the_finding(), "hosts.yml:10", "data: data", "port 443", "another host")


def test_a_mistyped_group_is_refused(site):
    site.change("hosts.yml", "desktops:\n", "desktop:\n")
    unread, mistyped = site.findings()
    told(mistyped, "hosts.yml:12", "desktop", "no role knows group 'desktop'", "Did you mean 'desktops'?")
    told(unread, "desktops.yml:1", "no group 'desktops'", "Did you mean 'desktop'?")


def test_variables_of_a_group_that_is_not_there_are_refused(site):
    (site.folder / "group_vars" / "node.yml").write_text("docker_engine_transport: tls\n")
    told(site.the_finding(), "node.yml:1", "no group 'node'", "Did you mean 'nodes'?")


def test_a_typo_in_a_variable_name_is_refused_with_what_was_meant(site):
    site.change("group_vars/nodes.yml", "docker_engine_transport", "docker_engine_transprot")
    told(
        site.the_finding(),
        "nodes.yml:1",
        "docker_engine_transprot = 'tls'",
        "no role knows this variable",
        "Did you mean 'docker_engine_transport'?",
    )


def test_a_variable_that_begins_with_local_is_nobodys_business(site):
    site.add("group_vars/all.yml", "local_phone_of_the_floor: 1234\nansible_become: true\n")
    assert site.findings() == []


def test_a_value_that_is_no_choice_is_refused(site):
    site.change("group_vars/nodes.yml", "tls", "tsl")
    told(site.the_finding(), "nodes.yml:1", "'tsl' is none of the choices", "tls, ssh, plain", "Did you mean 'tls'?")


def test_a_value_of_the_wrong_kind_is_refused(site):
    site.add("group_vars/all.yml", "registry_tls: maybe\n")
    told(site.the_finding(), "all.yml:2", "registry_tls = 'maybe'", "wrong kind", "true or false")


def test_a_variable_written_twice_in_a_file_is_refused(site):
    site.add("group_vars/nodes.yml", "docker_engine_transport: ssh\n")
    told(site.the_finding(), "nodes.yml:2", "docker_engine_transport", "written twice", "Keep one")


def test_a_repeated_device_name_is_refused(site):
    site.change("host_vars/node2.yml", "name: walk, class", "name: slit_top, class")
    told(
        site.the_finding(),
        "node2.yml:7",
        "node2: node_instances[0].devices[0].name = 'slit_top'",
        "also one of instance 'slits' on node1",
        "another name",
    )


def test_a_repeated_instance_name_on_a_node_is_refused(site):
    site.change("host_vars/node1.yml", "- name: thermo", "- name: slits")
    told(site.the_finding(), "node1.yml:9", "node1: node_instances[1].name = 'slits'", "node1 has two", "another name")


def test_the_same_instance_name_on_two_nodes_is_allowed(site):
    site.change("host_vars/node2.yml", "- name: walk", "- name: thermo")
    assert site.findings() == []


def test_a_pv_prefix_of_two_instances_is_refused(site):
    site.change("host_vars/node2.yml", '--prefix, "walk:"', '--prefix, "thermo:"')
    told(
        site.the_finding(),
        "node2.yml:4",
        "node2: node_instances[0].command = 'thermo:'",
        "also that of 'thermo' on node1",
        "PV prefixes of its own",
    )


def test_a_device_declared_twice_under_two_names_is_refused(site):
    site.change("host_vars/node1.yml", "slits:low:", "slits:top:")
    told(site.the_finding(), "node1.yml:8", "devices[1].prefix = 'slits:top:'", "is another", "mend the prefix")


def test_an_unknown_image_is_refused(site):
    site.change("host_vars/node2.yml", "image: ioc", "image: iocc")
    told(
        site.the_finding(),
        "node2.yml:3",
        "node2: node_instances[0].image = 'iocc'",
        "unknown image 'iocc'",
        "Did you mean 'ioc'?",
    )


def test_an_unknown_class_of_this_project_is_refused(site):
    site.change("host_vars/node2.yml", "bluefleet.devices.RandomWalk", "bluefleet.devices.RandomWlak")
    told(
        site.the_finding(),
        "node2.yml:7",
        "node2: node_instances[0].devices[0].class = 'bluefleet.devices.RandomWlak'",
        "no class 'RandomWlak'",
        "Did you mean 'RandomWalk'?",
    )


def test_a_class_of_a_package_that_no_image_has_is_refused(site):
    site.change("host_vars/node2.yml", "bluefleet.devices.RandomWalk", "beamline7.Undulator")
    told(site.the_finding(), "node2.yml:7", "'beamline7' is not in the worker's image", "acquisition_packages")


def test_a_class_of_a_declared_package_is_taken(site):
    site.change("host_vars/node2.yml", "bluefleet.devices.RandomWalk", "beamline7.Undulator")
    site.add("group_vars/all.yml", "acquisition_packages: ['beamline7==1.0']\n")
    assert site.findings() == []


def test_a_package_without_version_is_refused(site):
    site.add("group_vars/all.yml", "acquisition_packages: [beamline7]\n")
    told(site.the_finding(), "all.yml:2", "manager: acquisition_packages[0] = 'beamline7'", "not pinned", "==")


@pytest.mark.parametrize(
    ("line", "host", "shown"),
    [
        (
            "site_pip_index: https://ada:s3cret@mirror.example/simple",
            "",
            "site_pip_index = 'https://***@mirror.example",
        ),
        ("site_pip_index: https://s3cret@mirror.example/simple", "", "site_pip_index = 'https://***@mirror.example"),
        ("site_apt_mirror: http://ada:s3cret@mirror.example", "", "site_apt_mirror = 'http://***@mirror.example'"),
        (
            "acquisition_packages: ['b7 @ git+ssh://ada:s3cret@git.example/b7@v1']",
            "manager: ",
            "acquisition_packages[0] = 'b7 @ git+ssh://***@git.example/b7@v1'",
        ),
    ],
)
def test_a_login_that_would_stay_in_an_image_is_refused_and_not_shown(site, line, host, shown):
    site.add("group_vars/all.yml", f"{line}\n")
    finding = site.the_finding()
    told(finding, "all.yml:2", f"{host}{shown}", "layers of images", "without the login")
    assert "s3cret" not in str(finding)


def test_a_login_is_known_from_a_port_a_path_and_a_user(site):
    packages = [f"b7 @ {source}" for source in SOURCES]
    site.add("group_vars/all.yml", f"acquisition_packages: {json.dumps(packages)}\n")
    refused = [finding.variable for finding in site.findings()]
    logins = SOURCES.values()
    assert refused == [f"acquisition_packages[{place}]" for place, login in enumerate(logins) if login]


def test_sources_without_a_login_are_well(site):
    site.add("group_vars/all.yml", "site_pip_index: https://mirror.example/@simple\n")
    site.add("group_vars/all.yml", "acquisition_packages: ['b7 @ git+ssh://git@git.example/b7@v1']\n")
    assert site.findings() == []


def test_plans_of_a_package_that_no_image_has_are_refused(site):
    site.add("group_vars/all.yml", "acquisition_plans: [beamline7.plans]\n")
    told(
        site.the_finding(),
        "all.yml:2",
        "acquisition_plans[0] = 'beamline7.plans'",
        "'beamline7' is not in the worker's image",
        "Add it to acquisition_packages",
    )


def test_plans_that_the_folder_of_a_package_lacks_are_refused(site):
    package = Path(__file__).parents[1] / "acquisition" / "beamline7"
    site.add("group_vars/all.yml", f"acquisition_packages: ['{package}']\n")
    site.add("group_vars/all.yml", "acquisition_plans: [beamline7.plans, beamline7]\n")
    assert site.findings() == []
    site.change("group_vars/all.yml", "[beamline7.plans,", "[beamline7.lost,")
    told(site.the_finding(), "all.yml:3", "acquisition_plans[0] = 'beamline7.lost'", "no beamline7/lost.py")


def test_a_module_of_plans_that_is_no_name_is_refused(site):
    site.add("group_vars/all.yml", "acquisition_plans: [beamline7/plans.py]\n")
    told(site.the_finding(), "all.yml:2", "'beamline7/plans.py'", "such as beamline7.plans")


def test_two_instances_on_one_port_are_refused(site):
    site.change("host_vars/node1.yml", "channel_access_port: 5066", "channel_access_port: 5064")
    told(
        site.the_finding(),
        "node1.yml:12",
        "node1: node_instances[1].channel_access_port = 5064",
        "taken on node1 by instance 'slits'",
        "Choose a free one",
    )


@pytest.mark.parametrize(
    ("port", "holder"), [(5065, "the Channel Access repeater"), (2376, "the Docker engine"), (22, "sshd")]
)
def test_an_instance_on_a_port_of_the_node_itself_is_refused(site, port, holder):
    site.change("host_vars/node2.yml", "channel_access_port: 5064", f"channel_access_port: {port}")
    told(site.the_finding(), "node2.yml:5", f"channel_access_port = {port}", f"taken on node2 by {holder}", "free one")


def test_an_instance_on_a_port_of_a_service_of_its_host_is_refused(site):
    site.change("host_vars/node2.yml", "channel_access_port: 5064", "channel_access_port: 9093")
    assert site.findings() == [], "node2 holds no Kafka"
    site.change("hosts.yml", "acquisition:\n  hosts:\n    manager:\n", "acquisition:\n  hosts:\n    node2:\n")
    told(site.the_finding(), "node2.yml:5", "channel_access_port = 9093", "by service 'kafka'", "another")


def test_overlapping_sub_ids_are_refused(site):
    site.change("group_vars/desktops.yml", "265536", "265535")
    told(
        site.the_finding(),
        "desktops.yml:3",
        "data: desktop_users[1].subid_start = 265535",
        "of bob overlap 200000 to 265535 of ada",
        "Begin at 265536",
    )


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("subid_start", "2656535O"),
        ("subid_start", "65536.5"),
        ("subid_start", "yes"),
        ("subid_start", "0"),
        ("subid_count", "64k"),
    ],
)
def test_sub_ids_that_are_no_numbers_are_refused(site, key, value):
    written = {"subid_start": 265536, "subid_count": 65536} | {key: value}
    entry = ", ".join(f"{name}: {number}" for name, number in written.items())
    site.change("group_vars/desktops.yml", "subid_start: 265536, subid_count: 65536", entry)
    told(site.the_finding(), "desktops.yml:3", f"data: desktop_users[1].{key}", "no number of sub-ids for bob", "whole")


def test_sub_ids_that_ansible_works_out_are_left_to_it(site):
    site.change("group_vars/desktops.yml", "265536", "'{{ local_first + 1 }}'")
    assert site.findings() == []


def test_a_width_that_ansible_works_out_is_left_to_it(site):
    site.change("group_vars/desktops.yml", "subid_start: 265536, subid_count: 65536", "subid_start: 1")
    site.add("group_vars/desktops.yml", "subids_width: '{{ local_width }}'\n")
    assert site.findings() == []


def test_a_data_pod_without_acquisition_pod_is_refused(site):
    site.change("hosts.yml", "acquisition:\n  hosts:\n    manager:\n", "acquisition:\n  hosts: {}\n")
    told(site.the_finding(), "hosts.yml:9", "data: acquisition = []", "from that pod's Kafka", "Put a host into")


def test_an_acquisition_pod_needs_the_group_of_the_other_pod_but_no_host_in_it(site):
    data = "data:\n  hosts:\n    data:\n      ansible_host: 10.0.0.11\n"
    site.change("hosts.yml", "desktops:\n  hosts:\n    data:\n", "desktops:\n  hosts: {}\n")
    site.change("hosts.yml", data, "data:\n  hosts: {}\n")
    assert site.findings() == []
    site.change("hosts.yml", "data:\n  hosts: {}\n", "")
    told(site.the_finding(), "hosts.yml:7", "manager: data", "no group data", "`data: {hosts: {}}`")


@pytest.mark.parametrize("address", ["fd00::22", "[fd00::22]", "::1"])
def test_an_ipv6_address_is_refused(site, address):
    site.change("hosts.yml", "node2.beamline.example", f"'{address}'")
    told(
        site.the_finding(),
        "hosts.yml:20",
        f"'{address}'",
        "is an IPv6 address",
        "Right is an IPv4 address or a DNS name",
    )


@pytest.mark.parametrize("address", ["10.0.0.300", "10.0.0", "node_2", "10.0.0.22:5000", ""])
def test_an_address_that_is_none_is_refused(site, address):
    site.change("hosts.yml", "node2.beamline.example", f"'{address}'")
    told(site.the_finding(), "hosts.yml:20", f"node2: ansible_host = '{address}'", "Right is")


def test_one_address_for_two_hosts_is_refused(site):
    site.change("hosts.yml", "node2.beamline.example", "10.0.0.21")
    told(site.the_finding(), "hosts.yml:20", "node2: ansible_host = '10.0.0.21'", "also that of node1", "of its own")


def test_plain_transport_must_be_asked_for_twice(site):
    site.change("group_vars/nodes.yml", "tls", "plain")
    findings = site.findings()
    assert [finding.host for finding in findings] == ["node1", "node2"]
    told(findings[0], "nodes.yml:1", "docker_engine_transport = 'plain'", "without any authentication", "acknowledged")
    site.add("group_vars/nodes.yml", "docker_engine_plain_acknowledged: true\n")
    assert site.findings() == []


SERVED = ("bluesky", "jupyter", "kafka", "mongo", "nginx", "redis", "tiled")


def published(*keys: str) -> str:
    """Lines of an inventory that say where images are published."""
    lines = (f"  {key}: images.example.org/bluefleet/{key}@sha256:{'7' * 64}\n" for key in keys)
    return "site_published_images:\n" + "".join(lines)


def test_images_without_remote_digest_need_a_registry(site):
    site.add("group_vars/all.yml", "registry: null\n")
    findings = site.findings()
    images_of_services = sorted(str(finding).split("image '")[1].split("'")[0] for finding in findings[:7])
    assert images_of_services == sorted(SERVED)
    (of_nginx,) = [finding for finding in findings if "'nginx'" in str(finding)]
    told(
        of_nginx, "all.yml:2", "acquisition/edge, data/edge needs", "no remote digest", "site_published_images (nginx:"
    )
    assert [finding.host for finding in findings[7:]] == ["node1", "node1", "node2"]
    told(
        findings[9],
        "node2.yml:3",
        "node2: node_instances[0].image = 'ioc'",
        "registry is null",
        "site_published_images (ioc:",
    )


def test_a_site_whose_images_are_all_published_needs_no_registry(site):
    site.add("group_vars/all.yml", "registry: null\n" + published("ioc", *SERVED))
    assert site.findings() == []


def test_a_site_without_notebooks_needs_no_image_of_them(site):
    others = (key for key in SERVED if key != "jupyter")
    site.add("group_vars/all.yml", "registry: null\ndata_jupyter: false\n" + published("ioc", *others))
    assert site.findings() == []


def test_whether_there_are_notebooks_is_yes_or_no(site):
    site.add("group_vars/all.yml", "data_jupyter: perhaps\n")
    told(site.the_finding(), "all.yml:2", "data_jupyter = 'perhaps'")


def test_images_of_services_count_as_those_of_instances_do(site):
    site.add("group_vars/all.yml", "registry: null\n" + published("ioc", *(key for key in SERVED if key != "redis")))
    told(site.the_finding(), "all.yml:2", "image 'redis', which acquisition/redis needs", "no remote digest")


def test_the_mirrored_mongo_is_published(site):
    others = (key for key in SERVED if key != "mongo")
    site.add("group_vars/all.yml", "registry: null\nimage_mongo_provider: mongodb\n" + published("ioc", *others))
    assert site.findings() == []


def test_a_secret_that_others_may_read_is_refused(site):
    secrets = site.folder / ".state" / "secrets"
    secrets.mkdir(mode=0o700, parents=True)
    (secrets / "queue_api_key").write_text("not a secret")
    (secrets / "queue_api_key").chmod(0o644)
    told(site.the_finding(), "queue_api_key:1", "queue_api_key", "mode 0644", "chmod 0600")


def test_an_empty_secret_is_refused(site):
    secrets = site.folder / ".state" / "secrets"
    secrets.mkdir(mode=0o700, parents=True)
    (secrets / "redis_password").touch(mode=0o600)
    told(
        site.the_finding(), "redis_password:1", "redis_password", "is empty", "rotate_secrets.yml", '["redis_password"]'
    )


def test_a_secret_that_was_lost_is_refused_and_one_that_never_was_is_not(site):
    secrets = site.folder / ".state" / "secrets"
    secrets.mkdir(mode=0o700, parents=True)
    (secrets / "queue_api_key").write_text("a secret")
    (secrets / "queue_api_key").chmod(0o600)
    # The last is of an earlier version.
    (site.folder / ".state" / "secrets.made").write_text("queue_api_key\nredis_password\nsome_other_password\n")
    told(
        site.the_finding(),
        "secrets.made:2",
        "redis_password",
        f"{secrets}/redis_password is gone: Redis of the acquisition pod",
        "from a backup",
        """rotate_secrets.yml -i <this inventory> -e '{"secrets": ["redis_password"]}'""",
    )


def test_of_several_lost_secrets_each_remedy_names_all(site):
    secrets = site.folder / ".state" / "secrets"
    secrets.mkdir(mode=0o700, parents=True)
    for name in ("redis_password", "of_nobody"):
        (secrets / name).touch(mode=0o600)
    (site.folder / ".state" / "secrets.made").write_text("fleet_token\nqueue_api_key\n")
    findings = {finding.variable: finding for finding in site.findings()}
    all_three = """rotate_secrets.yml -i <this inventory> -e '{"secrets": ["queue_api_key", "fleet_token", "redis_password"]}'"""
    told(findings.pop("fleet_token"), "secrets.made:1", "is gone", all_three)
    told(findings.pop("queue_api_key"), "secrets.made:2", "is gone", all_three)
    told(findings.pop("redis_password"), "redis_password:1", "is empty", all_three)
    # Nothing makes it, so nothing makes it anew.
    told(findings.pop("of_nobody"), "of_nobody:1", "is empty", "Write it, or remove the file")
    assert findings == {}


def test_a_folder_of_secrets_that_others_may_list_is_refused(site):
    secrets = site.folder / ".state" / "secrets"
    secrets.mkdir(parents=True)
    secrets.chmod(0o755)
    told(site.the_finding(), "secrets:1", "site_secrets_dir", "mode 0755", "chmod 0700")


def test_a_wrong_ca_bundle_is_refused(site, tmp_path):
    site.add("group_vars/all.yml", f"site_ca_bundle: {tmp_path}/none.crt\n")
    told(site.the_finding(), "all.yml:2", "site_ca_bundle", "no such file", "PEM certificates")
    (tmp_path / "none.crt").write_text("hello")
    told(site.the_finding(), "all.yml:2", "site_ca_bundle", "no certificate in it", "PEM certificates")


def test_a_yaml_mistake_is_told_with_its_line(site):
    site.change("host_vars/node2.yml", "    image: ioc\n", "   image: ioc\n")
    told(site.findings()[0], "node2.yml:3", "this is no YAML", "Mend the indentation")


def test_what_is_encrypted_is_left_to_ansible(site):
    (site.folder / "group_vars" / "nodes").mkdir()
    (site.folder / "group_vars" / "nodes" / "vault.yml").write_text("$ANSIBLE_VAULT;1.1;AES256\n6238\n")
    site.add("group_vars/all.yml", "local_token: !vault |\n  $ANSIBLE_VAULT;1.1;AES256\n  6238\n")
    assert site.findings() == []


def test_a_range_of_hosts_is_as_many_hosts(site):
    site.change("hosts.yml", "    node2:\n      ansible_host: node2.beamline.example\n", "    node[2:4]:\n")
    site.change("hosts.yml", "epics_clients:\n  hosts: {}\n", "epics_clients:\n  hosts:\n    node[03:04]:\n")
    (site.folder / "host_vars" / "node4.yml").write_text("node_instances: []\n")
    assert site.findings() == []


def test_an_unknown_key_of_an_instance_is_refused(site):
    site.change("host_vars/node2.yml", "    image: ioc\n", "    image: ioc\n    priviledged: true\n")
    told(site.the_finding(), "node2.yml:4", "node2: node_instances[0].priviledged", "unknown key 'priviledged'")


def test_a_missing_key_of_a_device_is_told_at_the_device(site):
    site.change("host_vars/node2.yml", "name: walk, class: bluefleet.devices.RandomWalk", "name: walk")
    told(site.the_finding(), "node2.yml:7", "node_instances[0].devices[0].class", "'class' is missing")


def test_a_wrong_shape_hides_nothing_that_is_wrong_beside_it(site):
    site.change("host_vars/node1.yml", "slit_top, class: bluefleet.devices.Axis", "slit_top")
    site.change(
        "host_vars/node1.yml", "slit_low, class: bluefleet.devices.Axis", "slit_low, class: bluefleet.devices.Axsi"
    )
    site.change("host_vars/node2.yml", "image: ioc", "image: iocc")
    shape, contradiction, unknown_class = site.findings()
    told(shape, "node1.yml:7", "node_instances[0].devices[0].class", "'class' is missing")
    told(contradiction, "node2.yml:3", "node2: node_instances[0].image = 'iocc'", "unknown image")
    told(unknown_class, "node1.yml:8", "node1: node_instances[0].devices[1].class", "Did you mean 'Axis'?")


@pytest.mark.slow
def test_what_files_say_and_what_is_rendered_of_them_is_told_at_once(site):
    site.change("group_vars/nodes.yml", "docker_engine_transport: tls", "docker_engine_transport: tsl")
    site.add("group_vars/all.yml", "registyr_tls: true\n")
    site.change("host_vars/node2.yml", "image: ioc", "image: iocc")
    findings, whole = everything_wrong(site.folder, find_checkout())
    assert whole
    places = sorted(f"{finding.file.name}:{finding.line}" for finding in findings if not finding.note)
    assert places == ["all.yml:2", "node2.yml:3", "nodes.yml:1"], "each once"


@pytest.mark.slow
def test_what_ansible_cannot_render_is_told_by_the_files_alone(site):
    site.change("host_vars/node2.yml", "    image: ioc\n", "   image: ioc\n")
    findings, whole = everything_wrong(site.folder, find_checkout())
    assert not whole
    told(findings[0], "node2.yml:3", "this is no YAML")


def test_what_has_no_twin_is_noted_with_its_line_and_refuses_nothing(site) -> None:
    assert site.findings() == []
    notes = site.notes()
    assert notes
    assert all("has no twin" in note.says and note.file.parent.name == "host_vars" for note in notes)


def test_what_has_a_twin_is_not_noted(site) -> None:
    before = len(site.notes())
    site.change("host_vars/node2.yml", "    image: ioc\n", "    image: ioc\n    simulated: {}\n")
    assert len(site.notes()) == before - 1


def test_what_is_simulated_and_has_no_twin_is_refused_at_its_line(site) -> None:
    site.change("host_vars/node2.yml", "    image: ioc\n", "    image: ioc\n    simulate: true\n")
    assert "is to be simulated and has no twin" in site.the_finding().says
    assert site.the_finding().file.name == "node2.yml"
