"""`db` of a terminal, through the data pod's edge: the reader's key reads and changes nothing."""

from __future__ import annotations

import ssl
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import jinja2
import pytest
from document_stack import REPOSITORY, SOURCE, docker, wait_for

from patience import PATIENCE
from tls_front import Authority

pytestmark = pytest.mark.timeout(200)

KEY, READER = "akeythatmaydoall", "aReadersKey"
ROLE = REPOSITORY / "roles" / "data"
TILED = f"""
authentication: {{allow_anonymous_access: false, single_user_api_key: {KEY}}}
trees:
  - path: /runs
    tree: catalog
    args: {{uri: "sqlite:////tmp/catalog.db", init_if_not_exists: true, writable_storage: ["file://localhost/tmp/files"]}}
  - path: /mongo
    tree: tiled.adapters.mapping:MapAdapter
    args: {{mapping: {{}}}}
uvicorn: {{root_path: /tiled}}
"""
RUN = {
    "structure_family": "container",
    "metadata": {"start": {"uid": "one", "scan_id": 7}},
    "specs": [],
    "data_sources": [],
}
ARRAY = {"structure_family": "array", "metadata": {}, "specs": []}


def shaped(numbers: int) -> dict[str, Any]:
    """Where an array of so many numbers would be, and how it is."""
    kind = {"endianness": "little", "kind": "f", "itemsize": 8, "dt_units": None}
    structure = {"data_type": kind, "chunks": [[numbers]], "shape": [numbers], "dims": None, "resizable": False}
    source = {"structure_family": "array", "structure": structure, "mimetype": "application/x-zarr"}
    return {"data_sources": [source | {"parameters": {}, "assets": [], "management": "writable"}]}


ASK = """
from bluefleet.documents.runs_when_asked import RunsWhenAsked

db = RunsWhenAsked()
print(db[-1].metadata["start"]["uid"], db[7].metadata["start"]["uid"], len(db))
"""


@dataclass(frozen=True)
class Edge:
    """The data pod's edge with Tiled behind it."""

    url: str
    ca_file: Path

    def ask(self, method: str, path: str, key: str, body: Any = None, scheme: str = "Apikey") -> int:
        """The status of its answer."""
        return self.answer(method, path, key, body, scheme).status_code

    def answer(self, method: str, path: str, key: str, body: Any = None, scheme: str = "Apikey") -> httpx.Response:
        """Its answer."""
        headers = {"Authorization": f"{scheme} {key}"}
        trust = ssl.create_default_context(cafile=str(self.ca_file))
        with httpx.Client(verify=trust, trust_env=False, timeout=20 * PATIENCE) as client:
            return client.request(method, f"{self.url}/{path}", headers=headers, json=body)

    def sent(self, method: str, path: str, key: str, content: bytes) -> int:
        """The status of its answer to bytes."""
        headers = {"Authorization": f"Apikey {key}", "Content-Type": "application/octet-stream"}
        trust = ssl.create_default_context(cafile=str(self.ca_file))
        with httpx.Client(verify=trust, trust_env=False, timeout=20 * PATIENCE) as client:
            return client.request(method, f"{self.url}/{path}", headers=headers, content=content).status_code


def rendered(name: str) -> str:
    """A template of the role, with what is in it here."""
    secrets = {"/secrets/tiled_reader_key": READER, "/secrets/tiled_api_key": KEY}
    environment = jinja2.Environment(trim_blocks=True, undefined=jinja2.StrictUndefined)  # noqa: S701  (no HTML)
    template = environment.from_string((ROLE / "templates" / name).read_text(encoding="utf-8"))
    return template.render(
        lookup=lambda _, path: secrets[path], site_secrets_dir="/secrets", site_name="test",
        inventory_hostname="data", _data_address="127.0.0.1", site_has_jupyter=False,
    )  # fmt: skip


@pytest.fixture(scope="module")
def edge(images: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Edge]:
    folder, name = tmp_path_factory.mktemp("pod"), f"bluefleet-test-{uuid.uuid4().hex[:8]}"
    authority = Authority(folder / "ca", "site")
    (folder / "secrets").mkdir()
    authority.sign(folder / "secrets" / "server", ["127.0.0.1"])
    (folder / "tiled").mkdir()
    (folder / "tiled" / "config.yml").write_text(TILED)
    (folder / "secrets" / "tiled_keys.conf").write_text(rendered("tiled-keys.conf.j2"))
    (folder / "nginx.conf").write_text(rendered("nginx.conf.j2"))
    for file in (*folder.glob("*/*"), folder / "nginx.conf"):
        file.chmod(0o644)
    nginx = docker("images", "--format", "{{.Repository}}:{{.Tag}}", "bluefleet/nginx").splitlines()[0]
    docker("network", "create", name)
    started: list[str] = []
    try:
        started.append(docker(
            "run", "--detach", "--init", "--network", name, "--network-alias", "tiled",
            "--volume", f"{folder / 'tiled'}:/etc/tiled:ro", images["tiled"],
            "python", "-m", "bluefleet.documents.tiled_server", "serve", "config", "/etc/tiled",
            "--host", "0.0.0.0", "--port", "8000",  # noqa: S104  (of its container)
        ))  # fmt: skip
        started.append(docker(
            "run", "--detach", "--init", "--network", name, "--publish", "127.0.0.1::8443", "--tmpfs", "/tmp:mode=1777,size=1m",
            "--volume", f"{folder / 'nginx.conf'}:/nginx.conf:ro", "--volume", f"{folder / 'secrets'}:/run/secrets:ro",
            nginx, "nginx", "-c", "/nginx.conf",
        ))  # fmt: skip
        port = docker("port", started[-1], "8443").rpartition(":")[2]
        found = Edge(f"https://127.0.0.1:{port}/tiled", folder / "ca" / "site.crt")
        wait_for(lambda: found.ask("GET", "api/v1/", KEY) == 200, "Tiled answers through the edge")
        # What is read below.
        assert found.ask("POST", "api/v1/metadata/runs", KEY, RUN) == 200
        yield found
    finally:
        docker("rm", "--force", "--volumes", *started)
        docker("network", "rm", name)


def test_the_last_run_is_read_with_the_readers_key(edge: Edge, images: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "key").write_text(READER)
    (tmp_path / "ca.crt").write_bytes(edge.ca_file.read_bytes())
    told = {"TILED_URL": edge.url, "TILED_KEY_FILE": "/run/bluefleet/key", "CA_FILE": "/run/bluefleet/ca.crt"}
    seen = docker(
        "run", "--rm", "--network", "host", "--user", "0:0", "--volume", f"{SOURCE}:/source:ro", "--env", "PYTHONPATH=/source",
        "--volume", f"{tmp_path}:/run/bluefleet:ro", *(f"--env=BLUEFLEET_{name}={is_}" for name, is_ in told.items()),
        images["bluesky"], "python", "-W", "ignore", "-c", ASK,
    )  # fmt: skip
    assert seen.splitlines()[-1] == "one one 1"


@pytest.mark.parametrize("scheme", ["Apikey", "ApiKey", "apikey"])
def test_the_readers_key_reads_and_changes_nothing(edge: Edge, scheme: str) -> None:
    assert edge.ask("GET", "api/v1/search/runs", READER, scheme=scheme) == 200
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        assert edge.ask(method, "api/v1/metadata/runs", READER, RUN, scheme=scheme) == 403
    assert edge.ask("POST", "api/v1/register/runs", READER, RUN, scheme=scheme) == 403
    # What only looks like a read of columns.
    assert edge.ask("PUT", "api/v1/table/full/runs/one", READER, [], scheme=scheme) == 403
    assert edge.ask("POST", "api/v1/table/full/../../metadata/runs", READER, RUN, scheme=scheme) == 403
    assert edge.ask("POST", "api/v1/table/full/%2e%2e/%2e%2e/metadata/runs", READER, RUN, scheme=scheme) == 403


@pytest.mark.parametrize("query", ["api_key=", "%61pi_key=", f"api_key={READER}"])
@pytest.mark.parametrize("page", ["", "ui/", "ui/browse", "api/v1/"])
def test_no_answer_holds_the_key_behind_the_readers(edge: Edge, page: str, query: str) -> None:
    answer = edge.answer("GET", f"{page}?{query}", READER)
    assert KEY not in answer.text + str(answer.headers)
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize("page", ["", "ui", "ui/", "ui/browse/runs", "ui/assets/index.js"])
def test_who_looks_for_tileds_pages_is_told_that_there_are_none(edge: Edge, page: str) -> None:
    for key in (READER, KEY):
        answer = edge.answer("GET", f"{page}?api_key={key}", key)
        assert (answer.status_code, "Tiled has no pages here" in answer.text) == (404, True)


def test_who_leaves_out_the_last_slash_stays_with_the_edge(edge: Edge) -> None:
    answer = edge.answer("GET", "api/v1", READER)
    assert (answer.status_code, answer.headers["Location"]) == (307, "/tiled/api/v1/")


def test_many_columns_are_asked_for_with_post(edge: Edge) -> None:
    # There is no such table; but the question is passed on.
    assert edge.ask("POST", "api/v1/table/full/runs/none", READER, ["a"]) == 404


@pytest.mark.parametrize("key", [READER.lower(), f"{READER}x", f"x{READER}"])
def test_what_is_nearly_the_readers_key_is_nobodys(edge: Edge, key: str) -> None:
    assert edge.ask("GET", "api/v1/search/runs", key) == 401


def test_a_stranger_fills_neither_the_edge_nor_what_is_behind_it(edge: Edge) -> None:
    for method, path in (("POST", "metadata/runs"), ("POST", "table/full/runs/x"), ("PUT", "metadata/runs/one")):
        assert edge.sent(method, f"api/v1/{path}", "nobodys", b"[" * 2_000_000) == 413
    # Tiled refuses these itself, before it takes them.
    assert edge.sent("PUT", "api/v1/table/full/runs/x", "nobodys", b" " * 2_000_000) in (401, 502)


def test_a_large_array_is_written_through_the_edge_which_keeps_none_of_it(edge: Edge) -> None:
    numbers = 500_000
    assert edge.ask("POST", "api/v1/metadata/runs", KEY, {**ARRAY, "id": "large"} | shaped(numbers)) == 200
    assert edge.sent("PUT", "api/v1/array/full/runs/large", KEY, bytes(8 * numbers)) == 200
    read = edge.answer("GET", "api/v1/array/full/runs/large?format=application/octet-stream", READER)
    assert (read.status_code, len(read.content)) == (200, 8 * numbers)
    assert edge.sent("PUT", "api/v1/array/full/runs/large", READER, bytes(8 * numbers)) == 403


def test_a_tiled_that_is_away_is_told_soon(images: dict[str, str]) -> None:
    program = "from bluefleet.documents.runs_when_asked import RunsWhenAsked; print(RunsWhenAsked())"
    seen = docker(
        "run", "--rm", "--volume", f"{SOURCE}:/source:ro", "--env", "PYTHONPATH=/source",
        "--env", "BLUEFLEET_TILED_URL=http://127.0.0.1:9/tiled", images["bluesky"], "python", "-c", program,
    )  # fmt: skip
    assert seen.startswith("<no runs: Tiled at http://127.0.0.1:9/tiled: ")
    assert "`bluefleet status` says how the data pod is" in seen
