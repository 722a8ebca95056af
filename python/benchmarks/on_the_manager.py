"""Runs on the manager, as user bluefleet: times a command there, or what it is compared to. Prints seconds as JSON.

With `starts` also until the last instance was started, which is when the plain calls have nothing more to do.
"""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

# Put in by who sends this.
ASKED = {}


def run() -> None:
    """The command, as a whole process."""
    done = subprocess.run(ASKED["command"], capture_output=True, text=True, timeout=120, check=False)
    # Of a status, 1 says what it saw; of anything else, that it was not all done.
    if done.returncode not in ((0,) if ASKED.get("starts") else (0, 1)):
        sys.exit(f"{ASKED['command']} ended with {done.returncode}: {done.stdout[-1000:]}{done.stderr[-500:]}")


def plain() -> None:
    """Every instance is removed, created and started by docker-py and nothing else, all at once."""

    def anew(node: dict, found: dict) -> None:
        client = client_of(node)
        client.remove_container(found["Id"], force=True)
        config = {**found["Config"], "HostConfig": found["HostConfig"]}
        made = client.create_container_from_config(config, found["Name"].removeprefix("/"))
        client.start(made["Id"])

    on_all_nodes(lambda node: together(*((anew, node, one) for one in instances(node))))


def last_start() -> float:
    """When the last of all instances was started, by its node's clock."""
    starts: list[str] = []
    on_all_nodes(lambda node: starts.extend(one["State"]["StartedAt"] for one in instances(node)))
    # Nanoseconds are more than Python reads.
    return datetime.fromisoformat(f"{max(starts)[:23]}+00:00").timestamp()


def site() -> dict:
    import yaml

    return yaml.safe_load(Path("/etc/bluefleet/fleet.yml").read_text())


def client_of(node: dict) -> object:
    from docker.api.client import APIClient
    from docker.tls import TLSConfig

    keys = Path("/etc/bluefleet/pki/engine-client")
    tls = TLSConfig(
        client_cert=(str(keys / "cert.pem"), str(keys / "key.pem")), ca_cert=str(keys / "ca.pem"), verify=True
    )
    client = APIClient(f"https://{node['address']}:{node.get('port', 2376)}", version="1.41", tls=tls)
    client.trust_env = False
    return client


def instances(node: dict) -> list[dict]:
    client = client_of(node)
    labels = [f"org.bluefleet.site={SITE['site']}", f"org.bluefleet.node={node['name']}"]
    return [client.inspect_container(one["Id"]) for one in client.containers(filters={"label": labels})]


def on_all_nodes(work: Callable[[dict], object]) -> None:
    failed: list[str] = []

    def on(node: dict) -> None:
        try:
            work(node)
        except Exception as error:  # noqa: BLE001 (told at the end)
            failed.append(f"{node['name']}: {error}")

    together(*((on, node) for node in SITE["nodes"]))
    if failed:
        sys.exit("; ".join(failed))


def together(*calls: tuple) -> None:
    """All of them in threads, to the end of the last."""
    threads = [threading.Thread(target=call, args=arguments) for call, *arguments in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


sys.path.insert(0, str(max(Path("/opt/bluefleet").glob("*/.complete"), key=lambda file: file.stat().st_mtime).parent))
SITE = site() if ASKED.get("starts") else {}
work = plain if ASKED.get("plain") else run
seconds: list[float] = []
starts: list[float] = []
for _ in range(ASKED["times"] + 1):
    begun, clock = time.monotonic(), time.time()
    work()
    seconds.append(time.monotonic() - begun)
    if SITE:
        starts.append(last_start() - clock)
sys.stdout.write(json.dumps({"seconds": seconds[1:], "starts": starts[1:]}))
