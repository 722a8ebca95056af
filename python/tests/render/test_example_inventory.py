"""Every host of inventories/example compiles: what the roles would write there is rendered by Ansible and read back."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, TypeAlias
from xml.etree import ElementTree

import pytest
import yaml

from ansible_runs import TOP, run_playbook
from bluefleet.acquisition.adaptive.service import RecommenderSettings
from bluefleet.actor import ActorSettings
from bluefleet.documents.settings import TiledSettings
from bluefleet.model import Site
from bluefleet.service import ServiceSettings
from bluefleet.site_file import load_site
from patience import PATIENCE

# Ansible renders every host first.
pytestmark = pytest.mark.slow

EXAMPLE = TOP / "inventories" / "example"
SHARED = yaml.safe_load((TOP / "roles" / "_site" / "vars" / "main.yml").read_text())
IMAGES = yaml.safe_load((TOP / "images" / "versions.yml").read_text())["images"]
DIGEST = f"sha256:{'7' * 64}"

Files: TypeAlias = dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the site file and the files of each host."""
    folder = tmp_path_factory.mktemp("rendered")
    # As the README says: a site begins as a copy.
    shutil.copytree(EXAMPLE, folder / "mysite", ignore=shutil.ignore_patterns(".state"))
    images = {key: {"reference": f"192.0.2.10:5000/bluefleet/{key}@{DIGEST}", "digest": DIGEST} for key in IMAGES}
    # What an earlier step of site.yml makes. No role looks into them here, they only are copied.
    made = [f"secrets/{name}" for name in SHARED["site_secrets"]]
    made += [f"pki/hosts/{host}/server.{part}" for host in ("bl7-manager", "bl7-data") for part in ("crt", "key")]
    made += ["pki/site/ca.crt", "pki/site/bundle.crt"]
    for name in made:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f"made for a test: {name}")
    given = json.dumps({"site_state_dir": str(folder), "site_images": images})
    everything = ["-e", given, "--tags", "all,pod_project"]
    done = run_playbook(folder / "mysite", Path(__file__).with_name("render.yml"), *everything, timeout=55)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.fixture(scope="module")
def site(rendered: Path) -> Site:
    return load_site(rendered / "site.yml")


@pytest.fixture(scope="module")
def files(rendered: Path) -> Files:
    """Host → name of a file → its content."""
    return {path.stem: json.loads(path.read_text()) for path in rendered.glob("bl7-*.json")}


def rules_of(files: Files, host: str) -> list[str]:
    return [line.strip() for line in files[host]["firewall.nft"].splitlines()]


def test_the_site_file_is_one_that_the_manager_can_read(site: Site) -> None:
    assert {node.name for node in site.nodes} == {"bl7-optics", "bl7-hutch"}
    assert site.acquisition is not None
    assert site.acquisition.packages == ["apstools==1.7.12"]


def test_the_site_file_says_how_power_is_cut(site: Site) -> None:
    power = {node.name: node.power for node in site.nodes}
    hutch = power["bl7-hutch"]
    assert hutch is not None
    assert hutch.http is not None
    assert hutch.http.url == "https://pdu.bl7.example.org/outlets/3/{action}"
    assert power["bl7-optics"] is None


def test_every_host_but_epics_clients_gets_its_files(files: Files, site: Site) -> None:
    ours = {name for name, host in site.hosts.items() if host.groups != ["epics_clients"]}
    assert set(files) == ours
    for contents in files.values():
        assert contents["firewall.nft"]
        assert contents["bluefleet.conf"]


def test_no_rule_touches_another_table(files: Files, site: Site) -> None:
    for node in site.nodes:
        rules = rules_of(files, node.name)
        assert not [line for line in rules if "flush" in line]
        assert {line for line in rules if line.startswith(("table", "delete"))} == {
            "table inet bluefleet",
            "delete table inet bluefleet",
            "table inet bluefleet {",
        }


def test_the_engine_of_a_node_is_open_to_the_manager_alone(files: Files) -> None:
    (line,) = [line for line in rules_of(files, "bl7-hutch") if "proto-dst 2376" in line]
    assert line == 'ip saddr { 192.0.2.10 } meta l4proto tcp ct original proto-dst 2376 accept comment "engine"'


def test_hardware_ports_are_open_to_those_who_use_channel_access(files: Files) -> None:
    lines = [line for line in rules_of(files, "bl7-hutch") if 'comment "instance sample-camera"' in line]
    assert [line.split(" meta ")[0] for line in lines] == [
        "ip saddr { 192.0.2.10, 192.0.2.12, 192.0.2.60, 192.0.2.128/25 }"
    ] * len(lines)
    ports = [line.split(" meta l4proto ")[1].split(" accept")[0] for line in lines]
    assert ports == [
        "tcp ct original proto-dst 5064",
        "udp ct original proto-dst 5064",
        "tcp ct original proto-dst 8080",
    ]


def test_x11_is_forwarded_on_the_desktop_only(files: Files) -> None:
    desktop = files["bl7-desk"]["bluefleet.conf"]
    assert "X11Forwarding yes" in desktop
    assert "X11UseLocalhost no" in desktop
    assert "X11Forwarding no" in files["bl7-data"]["bluefleet.conf"]


def test_no_host_accepts_passwords(files: Files) -> None:
    for contents in files.values():
        assert "PasswordAuthentication no" in contents["bluefleet.conf"]


@pytest.mark.parametrize("pod", ["acquisition", "data"])
def test_services_run_images_by_digest_and_not_as_root(rendered: Path, pod: str) -> None:
    services = json.loads((rendered / f"{pod}.services").read_text())
    assert {service["image"].partition("@")[2] for service in services.values()} == {DIGEST}
    assert not [name for name, service in services.items() if service["user"].startswith("0")]


@pytest.mark.parametrize("pod", ["acquisition", "data"])
def test_only_what_the_port_table_opens_is_published(rendered: Path, pod: str) -> None:
    services = json.loads((rendered / f"{pod}.services").read_text())
    ports = {int(port.split(":")[0]) for service in services.values() for port in service.get("ports", [])}
    table = SHARED["site_ports"].values()
    assert ports == {entry["port"] for entry in table if pod in entry["hosts"]}


def test_the_recommender_understands_its_environment_and_has_one_secret(rendered: Path) -> None:
    service = json.loads((rendered / "acquisition.services").read_text())["recommender"]
    settings = RecommenderSettings.from_environment(service["environment"])
    assert {name.removeprefix("BLUEFLEET_").lower() for name in service["environment"]} <= set(
        type(settings).model_fields
    )
    assert (settings.redis_username, settings.kafka_bootstrap) == ("recommender", "kafka:9092")
    assert settings.redis_password_file == Path("/run/secrets/redis_recommender_password")
    assert [volume.split(":")[1] for volume in service["volumes"]] == ["/run/secrets"]


def test_no_engine_makes_the_folder_of_frames_when_its_file_system_is_not_there_yet(rendered: Path) -> None:
    (frames,) = json.loads((rendered / "data.services").read_text())["tiled"]["volumes"][2:]
    assert (frames["source"], frames["target"]) == ("/data/camera", "/data/camera")
    assert (frames["bind"], frames["read_only"]) == ({"create_host_path": False}, True)


@pytest.mark.parametrize("pod", ["acquisition", "data"])
def test_what_strangers_can_make_an_edge_keep_is_limited(rendered: Path, pod: str) -> None:
    edge = json.loads((rendered / f"{pod}.services").read_text())["edge"]
    assert edge["tmpfs"] == ["/tmp:mode=1777,size=64m"]
    assert edge["mem_limit"]


def test_notebooks_are_beside_the_edge_alone_and_are_told_where_tiled_is(rendered: Path) -> None:
    services = json.loads((rendered / "data.services").read_text())
    jupyter, edge = services.pop("jupyter"), services.pop("edge")
    assert set(jupyter["networks"]) == {"jupyter"}
    assert edge["networks"] == {"default": {}, "jupyter": {"aliases": ["bl7-data"]}}
    assert not [name for name, service in services.items() if "networks" in service]
    # By a name that is in the edge's certificate.
    assert jupyter["environment"]["BLUEFLEET_TILED_URL"] == "https://bl7-data:8443/tiled"
    assert jupyter["read_only"] is True
    assert not {"ports", "depends_on"} & set(jupyter)


def test_tiled_reads_frames_where_its_sink_takes_them_from_and_hands_out_no_file_as_it_is(rendered: Path) -> None:
    tiled = yaml.safe_load((rendered / "tiled.yml").read_text())
    assert tiled["expose_raw_assets"] is False
    sink = json.loads((rendered / "data.services").read_text())["tiled-sink"]["environment"]
    folders = TiledSettings.from_environment(sink).frames_folders
    runs = next(tree for tree in tiled["trees"] if tree["path"] == "/runs")
    assert runs["args"]["readable_storage"] == [f"file://localhost{folder}" for folder in folders] != []


def test_both_edges_have_one_front_page_that_names_what_the_site_has(rendered: Path, site: Site) -> None:
    page = (rendered / "data.html").read_text()
    assert page == (rendered / "acquisition.html").read_text()
    whole = re.sub(r"<(meta|link|br)([^>]*)>", r"<\1\2/>", page.removeprefix("<!doctype html>\n"))
    assert ElementTree.fromstring(whole).tag == "html"  # noqa: S314  (our own)
    assert "<h1>bl7</h1>" in page
    for wanted in (
        'href="https://192.0.2.11/jupyter/"', "https://192.0.2.11/tiled", "https://192.0.2.10/api",
        "https://192.0.2.10/fleet", "192.0.2.10:9093", "ssh -X -t you@192.0.2.12 bsui",
        "ssh -X you@192.0.2.12 bsui-screens DEVICE",
    ):  # fmt: skip
        assert wanted in re.sub('<span class="word">|</span>', "", page), wanted
    for name, host in site.hosts.items():
        assert (f"<tr><th>{name}</th><td><code>{host.address}</code>" in page) == (host.groups != ["epics_clients"])


def test_the_front_page_loads_nothing_and_holds_no_secret(rendered: Path) -> None:
    page = (rendered / "data.html").read_text()
    assert not re.findall(r"<(?:script|img|iframe|object)|@import|url\(|\son\w+=", page)
    assert [link[:27] for link in re.findall(r'<link[^>]*href="([^"]*)"', page)] == ["data:image/svg+xml,%3Csvg x"]
    assert "made for a test" not in page
    named = set(re.findall(r"<tr><th><code>(\w+)</code></th>", page))
    assert named == {"jupyter_password", "tiled_reader_key", "queue_api_key", "kafka_listener_password", "fleet_token"}
    assert named <= set(SHARED["site_secrets"])
    assert set(re.findall(r'class="needs">Needs <a href="#credentials"><code>(\w+)<', page)) == named


def test_the_front_page_of_a_site_without_notebooks_has_no_word_of_them(rendered: Path) -> None:
    assert "upyter" not in (rendered / "without_jupyter.html").read_text()


def test_the_front_page_of_a_site_without_screens_has_no_word_of_them(rendered: Path) -> None:
    page = (rendered / "without_screens.html").read_text()
    assert "bsui</code>" in page
    assert "screens" not in page


def test_engines_of_nodes_demand_a_certificate_and_the_others_answer_on_their_socket_only(files: Files) -> None:
    node = files["bl7-optics"]["daemon.json"]
    assert node["tlsverify"] is True
    assert node["log-opts"] == {"max-size": "20m", "max-file": "5"}
    for host in ("bl7-manager", "bl7-data", "bl7-desk"):
        assert files[host]["daemon.json"]["hosts"] == ["unix:///var/run/docker.sock"]


@pytest.mark.parametrize("arguments", [["--static"], ["--site-file", "site.yml"]], ids=["files", "site file"])
def test_the_example_passes_validation(rendered: Path, arguments: list[str]) -> None:
    done = subprocess.run(
        [Path(sys.executable).with_name("bluefleet"), "validate", "-i", "mysite", *arguments],
        cwd=rendered,
        capture_output=True,
        text=True,
        timeout=55 * PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_the_actor_understands_the_settings_that_it_is_given(rendered: Path) -> None:
    found = json.loads((rendered / "actor.json").read_text())
    chosen = ActorSettings.model_validate(found["settings"]["actor"])
    assert (chosen.port, chosen.wire, chosen.name) == (
        SHARED["site_ports"]["fleet_actor"]["port"],
        "legacy",
        "fliswarm",
    )
    assert "ExecStart=/usr/local/bin/bluefleet actor start --debug" in found["unit"].splitlines()
    assert "prepend-path PATH /usr/local/bin" in found["modulefile"].splitlines()


def test_every_setting_of_the_actor_can_be_declared() -> None:
    specs = yaml.safe_load((TOP / "roles" / "fleet" / "meta" / "argument_specs.yml").read_text())["argument_specs"]
    declared = set(specs["main"]["options"]["fleet_actor"]["options"])
    # Where it listens is the site's own.
    assert declared == set(ActorSettings.model_fields) - {"host", "port"}


def test_the_fleet_service_understands_its_unit(rendered: Path) -> None:
    unit = (rendered / "bluefleet-fleet.service").read_text().splitlines()
    said = [
        line.removeprefix("Environment=").strip('"').partition("=") for line in unit if "BLUEFLEET_SERVICE_" in line
    ]
    assert {name for name, _, _ in said} <= {
        f"BLUEFLEET_SERVICE_{name.upper()}" for name in ServiceSettings.model_fields
    }
    chosen = ServiceSettings.of({name: value for name, _, value in said})
    assert chosen.port == SHARED["site_ports"]["fleet_api"]["port"]
    assert (str(chosen.socket), chosen.tries, chosen.interrupt_runs) == ("/run/bluefleet-fleet/api.sock", 7, True)
    (folder,) = [line.removeprefix("RuntimeDirectory=") for line in unit if line.startswith("RuntimeDirectory=")]
    assert f"/run/{folder}/api.sock" == str(chosen.socket)


def test_every_setting_of_the_fleet_service_can_be_declared() -> None:
    specs = yaml.safe_load((TOP / "roles" / "fleet" / "meta" / "argument_specs.yml").read_text())["argument_specs"]
    declared = set(specs["main"]["options"]["fleet_service"]["options"])
    # The port and the socket are the site's own.
    assert declared == set(ServiceSettings.model_fields) - {"port", "socket"}
