#!/usr/bin/python
"""Ansible module: the virtual hosts of a laboratory, all of them in one call."""

from dataclasses import replace
from pathlib import Path

from ansible.module_utils import virtual_host_engine as engine
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.virtual_host_keys import Keys
from ansible.module_utils.virtual_host_plan import (
    Host,
    Lab,
    Plan,
    address_faults,
    foreign_checkouts,
    image_of,
    overlapping_routes,
    plan,
)
from ansible.module_utils.virtual_host_queue import running_plan

DOCUMENTATION = """
module: virtual_hosts
short_description: Virtual hosts of a laboratory, as containers that boot systemd
description:
  - Makes the network, the hosts with their volumes, and the SSH keys; starts what is stopped; makes anew what has another spec.
  - Touches nothing of another checkout's laboratory.
  - With C(state=planned) refuses what could not become a laboratory, before anything is built for it, and makes nothing.
  - With C(state=absent) removes hosts, volumes and network of this laboratory, or of all of the checkout's.
options:
  state: {type: str, choices: [planned, present, absent], default: present, description: Whether there are such hosts.}
  network: {type: str, required: true, description: Network of the hosts and prefix of their containers' names.}
  subnet: {type: str, description: Addresses of the network.}
  uplink: {type: bool, default: true, description: Whether the network leads beyond this machine; of one that is there it is not changed.}
  shared: {type: list, elements: path, default: [/srv/shared], description: Folders that are the same on all hosts.}
  whole_checkout: {type: bool, default: false, description: Whether all laboratories of the checkout are removed.}
  checkout: {type: path, required: true, description: Folder whose laboratory this is.}
  image: {type: str, description: Host image.}
  images: {type: dict, default: {}, description: "Host images of single hosts, by name."}
  hosts: {type: list, elements: dict, description: C(name) and C(address) of each host.}
  ssh_directory: {type: path, description: Folder of the SSH keys and known_hosts.}
  space_mb: {type: int, default: 0, description: "Room that new hosts need on the engine's disk, in MB of a million bytes."}
  images_mb: {type: int, default: 0, description: "Room that images which are to be built first need there, likewise."}
  ssh_seconds: {type: int, default: 60, description: How long a started host may take to answer SSH.}
  queue: {type: dict, description: "C(url), C(key_file) and C(ca_file) of the laboratory's queue, asked before a host is made anew."}
  interrupt_runs: {type: bool, default: false, description: Whether a host may be made anew while a plan runs.}
author: bluefleet
"""


def refuse_names_in_use(lab: Lab, found: list[engine.Found], network: str | None) -> None:
    """Stop when another laboratory has the names that this one needs."""
    for other in foreign_checkouts(lab, found, network):
        if not other:
            raise engine.VirtualHostError(
                f"network {lab.network} exists and is no laboratory's: "
                f"remove it (docker network rm {lab.network}), or set virtual_host_network"
            )
        gone = "" if Path(other).is_dir() else f" (that folder is gone: make lab-down CHECKOUT={other})"
        raise engine.VirtualHostError(
            f"{other} has its own laboratory running here under the name {lab.network}: "
            f"take it down there first (make lab-down){gone}, or give this one another virtual_host_network and virtual_host_subnet"
        )


def refuse_addresses_in_use(lab: Lab, steps: Plan) -> None:
    """Stop when this machine already reaches something else at the addresses of a network that is to be made."""
    if steps.make_network and (used := overlapping_routes(lab.subnet, engine.routes())):
        raise engine.VirtualHostError(
            f"network {lab.network}: {lab.subnet} is in use on this machine ({', '.join(used)}); "
            "set virtual_host_subnet and the hosts' ansible_host to free addresses"
        )


def refuse_what_cannot_be_made(lab: Lab, steps: Plan, space_mb: int, *, check_mode: bool) -> None:
    """Stop before the first step when a later one must fail."""
    refuse_addresses_in_use(lab, steps)
    # In check mode the image was not built.
    for image in () if check_mode else sorted({image_of(lab, host) for host in (*steps.create, *steps.replace)}):
        if engine.image_id(image) is None:
            raise engine.VirtualHostError(f"host image {image} is not on this machine's engine: make images")
    refuse_too_little_room(steps, space_mb)


def refuse_too_little_room(steps: Plan, space_mb: int, images_mb: int = 0) -> None:
    """Stop when new hosts, and images that are to be built first, would not fit on the engine's disk."""
    needs = {"images to build": images_mb, f"{len(steps.create)} new hosts": space_mb if steps.create else 0}
    needed = sum(needs.values())
    root, free = engine.free_megabytes() if needed else ("", 0)
    if free < needed:
        raise engine.VirtualHostError(
            f"not enough disk: {' and '.join(what for what, megabytes in needs.items() if megabytes)} need {needed} MB "
            f"below {root}, {free} MB are free; free {needed - free} MB and run it again (docker system df shows what the engine keeps)"
        )


def refuse_while_a_plan_runs(steps: Plan, queue: dict[str, str] | None, interrupt_runs: bool) -> None:
    """Stop before a host that runs is made anew, as long as a plan may need it."""
    if not (steps.replace and queue) or interrupt_runs:
        return
    running = running_plan(queue["url"], Path(queue["key_file"]), Path(queue["ca_file"]))
    if running:
        names = ", ".join(host.name for host in steps.replace)
        raise engine.VirtualHostError(
            f"{names} would be made anew while the queue runs {running}; wait for its end, or allow it with -e interrupt_runs=true"
        )


def carry_out(lab: Lab, hosts: list[Host], steps: Plan, keys: Keys, ssh_seconds: int) -> None:
    """Do what the plan says; each step can be repeated, so an interrupted run is finished by the next one."""
    machine = engine.this_machine()
    keys.make(keys.missing([host.name for host in hosts]))
    hosts = [replace(host, keys=keys.fingerprint(host.name)) for host in hosts]
    by_name = {host.name: host for host in hosts}
    if steps.make_network:
        engine.make_network(lab)
    engine.remove([lab.container(host.name) for host in steps.replace])
    new = [by_name[host.name] for host in (*steps.create, *steps.replace)]
    for host in new:
        engine.create(lab, host, machine, keys.files(host.name))
    engine.start([lab.container(host.name) for host in (*new, *steps.start)])
    engine.wait_for_ssh(lab, hosts, ssh_seconds)


def foreseen(lab: Lab, hosts: list[Host]) -> Plan:
    """What making it so would take; refuses wrong addresses, and names that are another laboratory's."""
    if faults := address_faults(lab, hosts):
        raise engine.VirtualHostError("; ".join(faults))
    found, network = engine.containers(), engine.network_checkout(lab.network)
    refuse_names_in_use(lab, found, network)
    return plan(lab, hosts, engine.this_machine(), found, network is not None)


def planned(module: AnsibleModule, lab: Lab) -> dict[str, object]:
    """Refuse what could not be made."""
    steps = foreseen(lab, [Host(each["name"], each["address"]) for each in module.params["hosts"]])
    refuse_addresses_in_use(lab, steps)
    refuse_too_little_room(steps, module.params["space_mb"], module.params["images_mb"])
    return {"changed": False, "steps": []}


def present(module: AnsibleModule, lab: Lab) -> dict[str, object]:
    """Make it so, and say what was done."""
    keys = Keys(Path(module.params["ssh_directory"]))
    images = module.params["images"]
    hosts = [
        Host(each["name"], each["address"], keys.fingerprint(each["name"]), images.get(each["name"], ""))
        for each in module.params["hosts"]
    ]
    steps = foreseen(lab, hosts)
    refuse_what_cannot_be_made(lab, steps, module.params["space_mb"], check_mode=module.check_mode)
    refuse_while_a_plan_runs(steps, module.params["queue"], module.params["interrupt_runs"] or module.check_mode)
    changed, lines = steps.changed(), steps.lines()
    if not module.check_mode:
        carry_out(lab, hosts, steps, keys, module.params["ssh_seconds"])
        if keys.write_known_hosts(hosts):
            changed = True
            lines.append("write known_hosts")
    for name in steps.surplus:
        module.warn(
            f"{name} belongs to this laboratory, but its host is not in the inventory: docker stop {name}; docker rm {name}"
        )
    return {"changed": changed, "steps": lines}


def absent(module: AnsibleModule, lab: Lab) -> dict[str, object]:
    """Remove what the laboratory has."""
    there = engine.remains(lab, whole_checkout=module.params["whole_checkout"])
    lines = there.lines()
    if lines and not module.check_mode:
        engine.remove_laboratory(there)
    return {"changed": bool(lines), "steps": [f"remove {thing}" for thing in lines]}


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "choices": ["planned", "present", "absent"], "default": "present"},
            "network": {"type": "str", "required": True},
            "subnet": {"type": "str"},
            "uplink": {"type": "bool", "default": True},
            "shared": {"type": "list", "elements": "path", "default": ["/srv/shared"]},
            "whole_checkout": {"type": "bool", "default": False},
            "checkout": {"type": "path", "required": True},
            "image": {"type": "str"},
            "images": {"type": "dict", "default": {}},
            "hosts": {"type": "list", "elements": "dict"},
            # A folder with keys, not a key.
            "ssh_directory": {"type": "path", "no_log": False},
            "space_mb": {"type": "int", "default": 0},
            "images_mb": {"type": "int", "default": 0},
            "ssh_seconds": {"type": "int", "default": 60},
            # Files with secrets, no secrets.
            "queue": {"type": "dict", "no_log": False},
            "interrupt_runs": {"type": "bool", "default": False},
        },
        required_if=[
            ("state", "planned", ("subnet", "hosts")),
            ("state", "present", ("subnet", "image", "hosts", "ssh_directory")),
        ],
        supports_check_mode=True,
    )
    parameters = module.params
    lab = Lab(
        parameters["network"],
        parameters["subnet"] or "",
        parameters["checkout"],
        parameters["image"] or "",
        tuple(parameters["shared"]),
        parameters["uplink"],
    )
    try:
        result = {"planned": planned, "present": present, "absent": absent}[parameters["state"]](module, lab)
    except engine.VirtualHostError as error:
        module.fail_json(msg=f"{error}")
    after = "".join(f"{line}\n" for line in result["steps"])
    module.exit_json(**result, diff={"before": "", "after": after, "after_header": "virtual hosts"})


if __name__ == "__main__":
    main()
