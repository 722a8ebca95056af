"""Jupyter behind the edge of the data pod: who may in, what a notebook reads, and what it cannot reach."""

from __future__ import annotations

import re
import ssl
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import jinja2
import pytest
from document_stack import API_KEY, REPOSITORY, SOURCE, Stack, docker, wait_for
from test_document_path import every_kind, publish

from jupyter_browser import Browser, drawings, reached_from_a_notebook, run_notebook
from patience import PATIENCE
from role_files import load_role_file
from tls_front import Authority

pytestmark = pytest.mark.timeout(400)

PASSWORD, READER = "apasswordfortests", "areaderskeyfortests"
USER = "64111:64111"


@dataclass
class Served:
    """Jupyter and its edge, wired as role data does."""

    url: str
    trust: ssl.SSLContext
    container: str
    notebooks: Path

    def browser(self, password: str = PASSWORD) -> Browser:
        """Somebody who has logged in."""
        found = Browser(self.url, self.trust)
        found.log_in(password)
        return found


def rendered(name: str, **variables: object) -> str:
    """A template of role data, with what is in it here."""
    secrets = {"/secrets/tiled_reader_key": READER, "/secrets/tiled_api_key": API_KEY}
    template = jinja2.Template((REPOSITORY / "roles" / "data" / "templates" / name).read_text(), trim_blocks=True)
    given = {"lookup": lambda _, path: secrets[path], "site_secrets_dir": "/secrets", "site_has_jupyter": True}
    return template.render(inventory_hostname="data", **given, **variables)


@pytest.fixture(scope="module")
def served(stack: Stack, images: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("jupyter")
    folder.chmod(0o755)
    subnet = docker("network", "inspect", "--format", "{{(index .IPAM.Config 0).Subnet}}", stack.name)
    address, closed = f"{subnet.rpartition('.')[0]}.201", f"{stack.name}-closed"
    authority = Authority(folder / "ca", "site")
    authority.sign(folder / "ca" / "edge", ["data", address])
    # The stand-in's Tiled names itself without the prefix that the site's has.
    configuration = (
        rendered("nginx.conf.j2", _data_address=address)
        .replace("location /tiled/ {", "location /api/ {")
        .replace("rewrite ^/tiled(/.*)$ $1 break;", "")
        .replace("/tiled/api/v1/", "/api/v1/")
    )
    texts = {
        "etc/nginx.conf": configuration,
        "etc/page/index.html": "<!doctype html><title>the front page</title>",
        "edge/server.key": (folder / "ca" / "edge.key").read_text(),
        "edge/server.crt": (folder / "ca" / "edge.crt").read_text(),
        "edge/tiled_keys.conf": rendered("tiled-keys.conf.j2").replace("/tiled/api/", "/api/"),
        "secrets/jupyter_password": PASSWORD,
        "secrets/tiled_reader_key": READER,
        "secrets/ca.crt": (folder / "ca" / "site.crt").read_text(),
    }
    for name, text in texts.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    notebooks = folder / "notebooks"
    notebooks.mkdir()
    notebooks.chmod(0o777)
    declared = load_role_file("_pod/filter_plugins/pods.py").closed_network("x")
    options = {**declared["driver_opts"], "com.docker.network.bridge.name": f"bf-t{stack.name[-8:]}"}
    docker(
        "network", "create", *(["--internal"] if declared["internal"] else []),
        *(word for option, value in options.items() for word in ("--opt", f"{option}={value}")), closed,
    )  # fmt: skip
    try:
        stack.run("edge", images["nginx"], "nginx", "-c", "/etc/nginx/site/nginx.conf", options=(
            "--ip", address, "--volume", f"{folder / 'etc'}:/etc/nginx/site:ro",
            "--volume", f"{folder / 'edge'}:/run/secrets:ro", "--tmpfs", "/tmp:mode=1777,size=1m",
        ))  # fmt: skip
        docker("network", "connect", "--alias", "data", closed, f"{stack.name}-edge")
        container = f"{stack.name}-jupyter"
        stack.started.append(container)
        environment = {
            "PYTHONPATH": "/source",
            "PYTHONDONTWRITEBYTECODE": "1",
            "HOME": "/notebooks",
            "JUPYTER_RUNTIME_DIR": "/tmp/jupyter",
            "BLUEFLEET_NOTEBOOKS_DIR": "/notebooks",
            "BLUEFLEET_JUPYTER_PASSWORD_FILE": "/run/secrets/jupyter_password",
            "BLUEFLEET_TILED_URL": "https://data:8443",
            "BLUEFLEET_TILED_KEY_FILE": "/run/secrets/tiled_reader_key",
            "BLUEFLEET_CA_FILE": "/run/secrets/ca.crt",
        }
        docker(
            "run", "--detach", "--name", container, "--network", closed, "--network-alias", "jupyter", "--init",
            "--user", USER, "--read-only", "--tmpfs", "/tmp:mode=1777", "--cap-drop", "ALL", "--memory", "2g",
            "--security-opt", "no-new-privileges:true", "--volume", f"{notebooks}:/notebooks",
            "--volume", f"{folder / 'secrets'}:/run/secrets:ro", "--volume", f"{SOURCE}:/source:ro",
            *(word for name, value in environment.items() for word in ("--env", f"{name}={value}")),
            images["jupyter"], "python", "-m", "bluefleet.notebooks",
        )  # fmt: skip
        trust = ssl.create_default_context(cafile=str(folder / "ca" / "site.crt"))
        found = Served(f"https://{address}:8443/jupyter/", trust, container, notebooks)
        wait_for(lambda: Browser(found.url, trust).pages.get("api").status_code == 200, "Jupyter", 90)
        yield found
    finally:
        with (folder / "jupyter.log").open("w") as file:
            subprocess.run(["docker", "logs", f"{stack.name}-jupyter"], check=False, stdout=file, stderr=file)
        for name in ("edge", "jupyter"):
            subprocess.run(
                ["docker", "rm", "--force", "--volumes", f"{stack.name}-{name}"], check=False, timeout=60 * PATIENCE
            )
        stack.started = [name for name in stack.started if not name.endswith(("-edge", "-jupyter"))]
        docker("network", "rm", closed)


def test_who_has_not_logged_in_is_shown_the_page_for_it_and_nothing_else(served: Served) -> None:
    stranger = Browser(served.url, served.trust)
    shown = stranger.pages.get("lab")
    assert (shown.status_code, shown.headers["Location"].partition("?")[0]) == (302, "/jupyter/login")
    assert stranger.pages.get("api/contents").status_code == 403
    assert stranger.log_in("guess").status_code == 401
    assert stranger.pages.get("api/contents").status_code == 403
    # A token would be sent in addresses; there is none, not even the empty one.
    for token in ("", PASSWORD):
        assert stranger.pages.get("api/contents", params={"token": token}).status_code == 403


def test_who_knows_the_password_is_let_in_with_a_cookie_for_tls_alone(served: Served) -> None:
    browser = Browser(served.url, served.trust)
    answer = browser.log_in(PASSWORD)
    assert (answer.status_code, answer.headers["Location"]) == (302, "/jupyter/lab")
    session = next(cookie for cookie in answer.headers.get_list("set-cookie") if cookie.startswith("username-"))
    assert {"Secure", "HttpOnly"} <= set(session.split("; "))
    lab = browser.pages.get("lab")
    assert lab.status_code == 200
    assert "JupyterLab" in lab.text


def test_the_example_draws_the_last_run_from_tiled_and_finds_the_same_in_mongo(stack: Stack, served: Served) -> None:
    publish(stack, every_kind(pages=False, scan_id=40, whole=True))
    uid = publish(stack, every_kind(pages=False, scan_id=41, whole=True))
    assert stack.verify(uid).equal
    pictures, printed = run_notebook(served.browser(), "last-run.ipynb")
    assert uid in printed
    for column in ("whole", "real"):
        assert re.search(rf"^{column} +the same in Mongo$", printed, re.MULTILINE), printed
    assert "differs" not in printed
    assert [picture[:8] for picture in pictures] == [b"\x89PNG\r\n\x1a\n"]


def test_a_notebook_reaches_the_edge_and_nothing_else(stack: Stack, served: Served) -> None:
    ports = {"mongo": 27017, "kafka": 9092, "tiled": 8000, "mongo-sink": 8400, "tiled-sink": 8400, "forwarder": 8400}
    inside = [(stack.addresses[service], port) for service, port in ports.items()]
    beyond = [(stack.addresses["kafka"], 9093), ("172.17.0.1", 22), ("1.1.1.1", 443)]
    gateway = [(f"{stack.addresses['mongo'].rpartition('.')[0]}.1", 22)]
    asked = [*inside, *beyond, *gateway, ("mongo", 27017), ("data", 8443)]
    assert reached_from_a_notebook(served.browser(), asked) == [("data", 8443)]
    # The same question on the pod's network: what a notebook doesn't reach is there.
    here = "; ".join(f"exec 3<>/dev/tcp/{address}/{port}" for address, port in inside)
    docker("exec", f"{stack.name}-edge", "bash", "-c", f"set -e; {here}")


# Run in a kernel: what somebody tries who has read the key.
REMOVE = """
import os, httpx
from pathlib import Path
key = Path(os.environ["BLUEFLEET_TILED_KEY_FILE"]).read_text()
trust, url = os.environ["BLUEFLEET_CA_FILE"], os.environ["BLUEFLEET_TILED_URL"] + "/api/v1/metadata/runs"
for method in ("GET", "DELETE"):
    print(httpx.request(method, url, headers={"Authorization": f"Apikey {key}"}, verify=trust).status_code)
"""


def test_the_key_that_notebooks_hold_changes_nothing_in_tiled(served: Served) -> None:
    with served.browser().kernel() as kernel:
        assert kernel.printed(REMOVE).split() == ["200", "403"]


def test_what_people_keep_outlives_the_container_and_drawings_need_no_folder_but_theirs(served: Served) -> None:
    browser = served.browser()
    with browser.kernel() as kernel:
        kernel.run("open('kept.txt', 'w').write('mine')")
        outputs = kernel.run("import matplotlib.pyplot as plt; plt.plot([1, 2]); plt.show()")
        assert len(drawings(outputs)) == 1
        assert kernel.printed("try:\n open('/opt/x', 'w')\nexcept OSError as error: print(error.errno)") == "30\n"
    assert (served.notebooks / "kept.txt").read_text() == "mine"


def test_neither_key_nor_password_is_in_arguments_environment_or_log(served: Served) -> None:
    browser = served.browser()
    with browser.kernel() as kernel:
        kernel.run("1")
        processes = "cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ | tr '\\0' ' '"
        told = {
            "processes": docker("exec", served.container, "bash", "-c", processes),
            "docker inspect": docker("inspect", served.container),
            "log": docker("logs", served.container),
            "runtime files": docker("exec", served.container, "bash", "-c", "cat /tmp/jupyter/*"),
        }
    assert "bluefleet.notebooks" in told["processes"]
    assert [(where, secret) for where, text in told.items() for secret in (PASSWORD, READER) if secret in text] == []


def test_the_front_page_is_what_the_edge_answers_at_its_root(served: Served) -> None:
    answer = Browser(served.url, served.trust).pages.get(served.url.removesuffix("jupyter/"))
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert "the front page" in answer.text
