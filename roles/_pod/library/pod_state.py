#!/usr/bin/python
"""Ansible module: how a pod's containers differ from what is declared, and whether they may be replaced now."""

import http.client
import json
import re
import socket
import time
import urllib.parse

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
module: pod_state
short_description: How a pod's containers differ from what is declared, and whether they may be replaced now
description:
  - Compares the label C(org.bluefleet.spec) of a Compose project's containers with the declared specs. Changes nothing,
    unless I(make_ready).
  - A service is made anew by Compose under the name C(<id>_<project>-<service>-1), which becomes its own when the old
    container is gone. What a run that was killed has left under such a name differs from what is declared, too.
  - Fails when a service of I(guarded) would be restarted while the queue runs a plan, unless I(interrupt_runs).
options:
  project:
    description: Name of the Compose project.
    type: str
    required: true
  specs:
    description: Spec of each declared service, by its name.
    type: dict
    required: true
  guarded:
    description: Services that a running plan needs.
    type: list
    elements: str
    default: []
  interrupt_runs:
    description: Whether a running plan may be interrupted.
    type: bool
    default: false
  make_ready:
    description:
      - Whether each service gets its own name back - of several containers of a service the one that runs, else the one
        that has its own name - and what else an interrupted run left of it is removed.
      - What failed to start again and again, as without its configuration, is started at once and not when the engine
        next tries.
    type: bool
    default: false
  log_lines:
    description: How many of the last log lines of services that are not well are returned.
    type: int
    default: 0
"""

RETURN = r"""
differing:
  description: For each service that differs from what is declared, how.
  type: dict
  returned: always
leftovers:
  description: Names of containers that an interrupted run left.
  type: list
  returned: always
logs:
  description: The last lines of services that are not well.
  type: dict
  returned: when log_lines is not 0
"""

# How long a worker that is just starting may take to say what it does, in seconds.
STARTS = 90
ENGINE = "/var/run/docker.sock"
PROJECT, SERVICE, SPEC = "com.docker.compose.project", "com.docker.compose.service", "org.bluefleet.spec"
# Of what somebody ran by hand with `docker compose run`: no part of the pod.
ONE_OFF = "com.docker.compose.oneoff"
DEADLINE = 20

# The service that runs plans, and how it says which: asked in its container, it answers also while the edge is down.
WORKER = "re-manager"
ASK = """
import json
from bluesky_queueserver.manager.comms import ZMQCommSendThreads
with_manager = ZMQCommSendThreads(zmq_server_address="tcp://localhost:60615", timeout_recv=8000)
status = with_manager.send_message(method="status")
item, runs = {}, []
if status["running_item_uid"] is not None:
    item = with_manager.send_message(method="queue_get")["running_item"]
    runs = with_manager.send_message(method="re_runs", params={"option": "open"})["run_list"]
print(json.dumps({"item": item, "runs": [run["uid"] for run in runs]}))
"""


class Engine(http.client.HTTPConnection):
    """The Docker engine of this host on its socket."""

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(DEADLINE)
        self.sock.connect(ENGINE)

    def ask(self, path, method="GET"):
        self.request(method, path)
        answer = self.getresponse()
        body = answer.read()
        if answer.status // 100 != 2:
            raise OSError(f"engine answered {answer.status} to {method} {path}: {body.decode(errors='replace')}")
        return body


class Pod:
    """The containers of a Compose project."""

    def __init__(self, project):
        self.project = project
        filters = urllib.parse.quote(json.dumps({"label": [f"{PROJECT}={project}"]}))
        # Of several, the one that stands for its service comes first: it runs, or has the service's own name.
        found = sorted(json.loads(Engine("localhost").ask(f"/containers/json?all=1&filters={filters}")), key=self._rank)
        self.of_service = {}
        for container in found:
            service = container["Labels"].get(SERVICE)
            if service is not None and container["Labels"].get(ONE_OFF) != "True":
                self.of_service.setdefault(service, []).append(container)
        self.running = {service: each[0] for service, each in self.of_service.items()}
        self.leftovers = [each for service in self.of_service.values() for each in service if self._is_leftover(each)]

    def own_name(self, container):
        return f"{self.project}-{container['Labels'].get(SERVICE)}-1"

    def clear(self):
        """Each service of which something was left has one container, under its own name."""
        for service in {leftover["Labels"][SERVICE] for leftover in self.leftovers}:
            stays, *others = self.of_service[service]
            for other in others:
                # Its volumes stay: they may be those of the container that stays.
                Engine("localhost").ask(f"/containers/{other['Id']}?force=1", "DELETE")
            if self._is_leftover(stays):
                Engine("localhost").ask(f"/containers/{stays['Id']}/rename?name={self.own_name(stays)}", "POST")

    def start_at_once(self):
        """What waits for the engine's next try: it waits a minute, and Compose for nothing that is down."""
        for container in self.running.values():
            if container["State"] == "restarting":
                Engine("localhost").ask(f"/containers/{container['Id']}/restart?t=1", "POST")

    def _rank(self, container):
        return container["State"] != "running", name(container) != self.own_name(container)

    def _is_leftover(self, container):
        return re.fullmatch(f"[0-9a-f]+_{re.escape(self.own_name(container))}", name(container)) is not None


def name(container):
    return container["Names"][0].lstrip("/") if container["Names"] else ""


def differences(specs, running, leftovers=()):
    """What is not as declared, by service."""
    found = {
        left["Labels"][SERVICE]: f"was being replaced when a run was interrupted: {name(left)} is left"
        for left in leftovers
    }
    for service, spec in specs.items():
        container = running.get(service)
        if container is None:
            found[service] = "is not there"
        elif container["Labels"].get(SPEC) != spec:
            found[service] = "is declared differently"
        elif container["State"] != "running":
            found[service] = f"is {container['State']}"
        elif "(healthy)" not in container["Status"]:
            found[service] = f"is not healthy: {container['Status']}"
    for service in running.keys() - specs.keys():
        found[service] = "is no longer declared"
    return found


def interrupted(guarded, specs, running):
    """Guarded services that would be stopped or replaced."""
    return [
        service
        for service in guarded
        if running.get(service, {}).get("State") == "running"
        and running[service]["Labels"].get(SPEC) != specs.get(service)
    ]


def refusal(module, services, worker):
    """Why these services must not be restarted now, or nothing."""
    remedy = "Wait for its end, or allow it with -e interrupt_runs=true"
    end = time.monotonic() + STARTS
    while True:
        code, out, err = module.run_command(["docker", "exec", worker["Id"], "python", "-c", ASK])
        if code == 0 or time.monotonic() > end or not is_starting(worker):
            break
        time.sleep(1)
    if code != 0:
        last = (err.strip().splitlines() or ["no answer"])[-1]
        return (
            f"{', '.join(services)} would be restarted, and {WORKER} doesn't say whether a plan runs ({last}). {remedy}"
        )
    answer = json.loads(out)
    item, runs = answer["item"], answer["runs"]
    if not item:
        return None
    plan = f"plan {item.get('name')} of {item.get('user')}" + (f", run {', '.join(runs)}" if runs else "")
    return f"{', '.join(services)} would be restarted while the queue runs {plan}. {remedy}"


def is_starting(container):
    """Whether it has yet to show that it is well, as after its host started."""
    state = json.loads(Engine("localhost").ask(f"/containers/{container['Id']}/json"))["State"]
    return state["Status"] == "restarting" or state.get("Health", {}).get("Status") == "starting"


def logs(running, differing, lines):
    """The last log lines of services that are not well."""
    found = {}
    for service in differing.keys() & running.keys():
        path = f"/containers/{running[service]['Id']}/logs?stdout=1&stderr=1&tail={lines}"
        text = _without_frames(Engine("localhost").ask(path)).decode(errors="replace")
        found[service] = text.splitlines()
    return found


def _without_frames(raw):
    """Log streams of containers without a terminal come in frames with a header of eight bytes."""
    text, position = b"", 0
    while position + 8 <= len(raw):
        size = int.from_bytes(raw[position + 4 : position + 8], "big")
        text += raw[position + 8 : position + 8 + size]
        position += 8 + size
    return text


def main():
    module = AnsibleModule(
        argument_spec={
            "project": {"type": "str", "required": True},
            "specs": {"type": "dict", "required": True},
            "guarded": {"type": "list", "elements": "str", "default": []},
            "interrupt_runs": {"type": "bool", "default": False},
            "make_ready": {"type": "bool", "default": False},
            "log_lines": {"type": "int", "default": 0},
        },
        supports_check_mode=True,
    )
    params = module.params
    try:
        pod = Pod(params["project"])
        running, leftovers = pod.running, [name(left) for left in pod.leftovers]
        if params["make_ready"] and not module.check_mode:
            pod.clear()
            pod.start_at_once()
        differing = differences(params["specs"], running, pod.leftovers)
        found_logs = logs(running, differing, params["log_lines"]) if params["log_lines"] else {}
    except OSError as error:
        module.fail_json(msg=f"engine on {ENGINE}: {error}")
    stopping = interrupted(params["guarded"], params["specs"], running)
    worker = running.get(WORKER, {})
    if stopping and not params["interrupt_runs"] and worker.get("State") == "running":
        reason = refusal(module, stopping, worker)
        if reason is not None:
            module.fail_json(msg=reason)
    diff = {"before": "".join(f"{name} {how}\n" for name, how in sorted(differing.items())), "after": ""}
    module.exit_json(changed=bool(differing), differing=differing, leftovers=leftovers, logs=found_logs, diff=diff)


if __name__ == "__main__":
    main()
