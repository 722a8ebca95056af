"""Runs on the manager, as user bluefleet: times a command there, or what it is compared to. Prints seconds as JSON."""

import json
import subprocess
import sys
import threading
import time
from pathlib import Path

# Put in by who sends this.
ASKED = {}


def run() -> None:
    """The command, as a whole process."""
    done = subprocess.run(ASKED["command"], capture_output=True, text=True, timeout=120, check=False)
    if done.returncode not in (0, 1):
        sys.exit(f"{ASKED['command']} ended with {done.returncode}: {done.stderr[-500:]}")


def plain() -> None:
    """Every instance is removed, created and started by docker-py and nothing else, all at once."""
    sys.path.insert(
        0, str(max(Path("/opt/bluefleet").glob("*/.complete"), key=lambda file: file.stat().st_mtime).parent)
    )
    import yaml
    from docker.api.client import APIClient
    from docker.tls import TLSConfig

    keys = Path("/etc/bluefleet/pki/engine-client")
    site = yaml.safe_load(Path("/etc/bluefleet/fleet.yml").read_text())
    failed: list[str] = []

    def anew(node: dict, found: dict) -> None:
        client = _client(node)
        client.remove_container(found["Id"], force=True)
        config = {**found["Config"], "HostConfig": found["HostConfig"]}
        made = client.create_container_from_config(config, found["Name"].removeprefix("/"))
        client.start(made["Id"])

    def _client(node: dict) -> APIClient:
        tls = TLSConfig(
            client_cert=(str(keys / "cert.pem"), str(keys / "key.pem")), ca_cert=str(keys / "ca.pem"), verify=True
        )
        client = APIClient(f"https://{node['address']}:{node.get('port', 2376)}", version="1.41", tls=tls)
        client.trust_env = False
        return client

    def on(node: dict) -> None:
        try:
            client = _client(node)
            labels = [f"org.bluefleet.site={site['site']}", f"org.bluefleet.node={node['name']}"]
            found = [client.inspect_container(one["Id"]) for one in client.containers(filters={"label": labels})]
            together(*((anew, node, one) for one in found))
        except Exception as error:  # noqa: BLE001 (told at the end)
            failed.append(f"{node['name']}: {error}")

    together(*((on, node) for node in site["nodes"]))
    if failed:
        sys.exit("; ".join(failed))


def together(*calls: tuple) -> None:
    """All of them in threads, to the end of the last."""
    threads = [threading.Thread(target=call, args=arguments) for call, *arguments in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


work = plain if ASKED.get("plain") else run
seconds = []
for _ in range(ASKED["times"] + 1):
    begun = time.monotonic()
    work()
    seconds.append(time.monotonic() - begun)
sys.stdout.write(json.dumps(seconds[1:]))
