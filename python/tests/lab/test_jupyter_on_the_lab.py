"""Jupyter and the front page at the edges of the laboratory that is up."""

from __future__ import annotations

import json
import re

import httpx
import pytest
from lab_door import ADDRESSES, LAB, bluefleet, on, trust

from jupyter_browser import Browser, reached_from_a_notebook, run_notebook
from patience import PATIENCE

pytestmark = [pytest.mark.lab, pytest.mark.timeout(240)]

# Of every service of both pods, and of the hosts themselves.
PORTS = (22, 443, 2376, 5000, 6379, 6380, 8000, 8080, 8400, 8443, 9092, 9093, 27017, 60610, 60615)
INSPECT = "docker ps --quiet | xargs docker inspect --format '{{.Name}} {{range .NetworkSettings.Networks}}{{.IPAddress}} {{end}}'"


def browser() -> Browser:
    """A browser in which somebody has logged in."""
    found = Browser(f"https://{ADDRESSES['data']}/jupyter/", trust())
    answer = found.log_in((LAB / ".state/secrets/jupyter_password").read_text().strip())
    assert answer.status_code == 302, answer.text
    return found


def test_who_has_not_logged_in_sees_no_notebook() -> None:
    stranger = Browser(f"https://{ADDRESSES['data']}/jupyter/", trust())
    assert stranger.pages.get("api/contents").status_code == 403
    assert stranger.log_in("guess").status_code == 401


def test_the_example_draws_the_last_run_and_finds_it_in_mongo() -> None:
    scanned = bluefleet("first-scan")
    assert scanned.returncode == 0, scanned.stdout + scanned.stderr
    verified = bluefleet("documents", "verify", "-1", "--json")
    assert verified.returncode == 0, verified.stdout + verified.stderr
    pictures, printed = run_notebook(browser(), "last-run.ipynb")
    assert json.loads(verified.stdout)["run"] in printed
    assert re.search(r"^pinhole +the same in Mongo$", printed, re.MULTILINE), printed
    assert "differs" not in printed
    assert [picture[:4] for picture in pictures] == [b"\x89PNG"]


def test_a_notebook_reaches_its_edge_and_neither_databases_nor_hosts() -> None:
    places: dict[str, str] = {}
    # Both hosts count their networks from the same address on: of two that are alike, that on `data` is meant.
    for host in ("manager", "data"):
        for line in on(host, INSPECT).splitlines():
            name, *addresses = line.split()
            places |= dict.fromkeys(addresses, name.removeprefix("/"))
    asked = [(address, port) for address in (*places, *ADDRESSES.values()) for port in PORTS]
    asked += [("mongo", 27017), ("tiled", 8000), ("mongo-sink", 8400), ("tiled-sink", 8400), ("manager", 443)]
    own = {address for address, name in places.items() if name == "data-jupyter-1"}
    reached = [(places.get(address, address), port) for address, port in reached_from_a_notebook(browser(), asked)
               if address not in own]  # fmt: skip
    assert sorted(reached) == [("data-edge-1", 8080), ("data-edge-1", 8443)]


@pytest.mark.parametrize("host", ["manager", "data"])
def test_the_front_page_of_either_edge_names_what_answers_and_loads_nothing(host: str) -> None:
    answer = httpx.get(f"https://{ADDRESSES[host]}/", verify=trust(), trust_env=False, timeout=20 * PATIENCE)
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert not re.findall(r"<(?:script|img|iframe|link[^>]+stylesheet)", answer.text)
    ours = {
        link
        for link in re.findall(r'href="(https://[^"]+)"', answer.text)
        if ADDRESSES["manager"] in link or ADDRESSES["data"] in link
    }
    assert f"https://{ADDRESSES['data']}/jupyter/" in ours
    for link in ours:
        found = httpx.get(link, verify=trust(), trust_env=False, timeout=20 * PATIENCE)
        assert found.status_code in (200, 302), link
    paths = json.loads(
        httpx.get(f"https://{ADDRESSES['manager']}/api/openapi.json", verify=trust(), trust_env=False).text
    )["paths"]
    assert "/api/queue/item/add" in paths
