#!/usr/bin/python
"""Ansible module: the power unit of a laboratory of virtual hosts."""

from pathlib import Path

from ansible.module_utils import virtual_host_power as power
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.virtual_host_engine import VirtualHostError, containers, remove, run
from ansible.module_utils.virtual_host_plan import Host, Lab

DOCUMENTATION = """
module: virtual_host_power
short_description: Power unit of a laboratory of virtual hosts, as a container
description:
  - Makes the container that switches the virtual hosts of this checkout off and on; makes it anew when it has another spec,
    token or certificate; starts it when it is stopped, and again when it does not answer.
  - Without an address there is none; one that is there is removed.
options:
  network: {type: str, required: true, description: Network of the hosts and prefix of their containers' names.}
  subnet: {type: str, required: true, description: Addresses of the network.}
  checkout: {type: path, required: true, description: Folder whose laboratory this is.}
  address: {type: str, default: "", description: Where it answers; empty for no power unit.}
  image: {type: str, description: An image with Python.}
  hosts: {type: list, elements: dict, default: [], description: C(name) and C(address) of each host.}
  program: {type: path, description: What it runs.}
  token_file: {type: path, description: Its token on the control machine.}
  certificate: {type: path, description: Its certificate there.}
  key: {type: path, description: The key of that.}
  ca_file: {type: path, description: Who signed it.}
  seconds: {type: int, default: 30, description: How long it may take to answer once it was started.}
author: bluefleet
"""


def unit_of(parameters: dict) -> power.PowerUnit | None:
    """What it should be; None for no power unit."""
    if not parameters["address"]:
        return None
    engine = run(["docker", "context", "inspect", "--format", "{{.Endpoints.docker.Host}}"], stage="find the engine")
    named = {name: Path(parameters[name]) for name in ("program", "certificate", "key", "ca_file")}
    return power.PowerUnit(
        address=parameters["address"],
        engine=power.engine_socket(engine),
        token=Path(parameters["token_file"]),
        **named,
    )


def refuse_what_cannot_be_made(lab: Lab, unit: power.PowerUnit, hosts: list[Host], *, check_mode: bool) -> None:
    """Stop before the first step when a later one must fail."""
    if fault := power.address_fault(lab, unit, hosts):
        raise VirtualHostError(fault)
    # In check mode the converge made none of them.
    if not check_mode and (missing := unit.missing()):
        raise VirtualHostError(
            f"power unit: {', '.join(map(str, missing))}: no such file; site.yml makes what is missing"
        )


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "network": {"type": "str", "required": True},
            "subnet": {"type": "str", "required": True},
            "checkout": {"type": "path", "required": True},
            "address": {"type": "str", "default": ""},
            "image": {"type": "str"},
            "hosts": {"type": "list", "elements": "dict", "default": []},
            "program": {"type": "path"},
            # Files with secrets, no secrets.
            "token_file": {"type": "path", "no_log": False},
            "certificate": {"type": "path"},
            "key": {"type": "path", "no_log": False},
            "ca_file": {"type": "path"},
            "seconds": {"type": "int", "default": 30},
        },
        supports_check_mode=True,
    )
    parameters = module.params
    lab = Lab(parameters["network"], parameters["subnet"], parameters["checkout"], parameters["image"] or "")
    hosts = [Host(each["name"], each["address"]) for each in parameters["hosts"]]
    try:
        unit = unit_of(parameters)
        if unit is not None:
            refuse_what_cannot_be_made(lab, unit, hosts, check_mode=module.check_mode)
        what = power.step(lab, unit, containers())
        if unit is not None and not what and power.trouble(unit):
            # An engine that was made anew has another socket: the old one leads nowhere.
            what = "restart"
        if what == "remove" and not module.check_mode:
            remove([lab.power_unit])
        elif unit is not None and what and not module.check_mode:
            power.carry_out(lab, unit, what)
            power.wait_for_answer(lab, unit, parameters["seconds"])
    except VirtualHostError as error:
        module.fail_json(msg=f"{error}")
    after = f"{what} {lab.power_unit}\n" if what else ""
    module.exit_json(changed=bool(what), step=what, diff={"before": "", "after": after, "after_header": "power unit"})


if __name__ == "__main__":
    main()
