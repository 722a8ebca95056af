#!/usr/bin/python
"""Ansible module: packages of a Debian-like distribution are installed; asks dpkg first, which costs a tenth of apt."""

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = """
module: site_packages
short_description: Packages of the distribution are installed
description:
  - Installs those of the packages that are missing. A host that has them all is only asked for a look into dpkg's own
    list, so it converges without reaching a mirror.
  - Fetches the package lists only when an installation fails without.
options:
  names:
    description: The packages.
    type: list
    elements: str
    required: true
author: bluefleet
"""

APT = [
    "apt-get",
    "-q",
    "-y",
    "-o",
    "DPkg::Lock::Timeout=300",
    "-o",
    "Acquire::Retries=3",
    # A host gets what is named and what that can't do without, as images do.
    "--no-install-recommends",
]


def missing_packages(module: AnsibleModule, names: list[str]) -> list[str]:
    """Those that dpkg doesn't call installed, in the order given."""
    # It ends with 1 when it knows nothing of a package, which is an answer here.
    _, said, _ = module.run_command(["dpkg-query", "-W", "-f", "${Package} ${db:Status-Status}\n", *names])
    installed = {line.split()[0] for line in said.splitlines() if line.endswith(" installed")}
    return [name for name in names if name not in installed]


def install(module: AnsibleModule, names: list[str]) -> None:
    """Install, with fresh package lists when those at hand won't do; ends the module when that fails, too."""
    module.run_command_environ_update = {"DEBIAN_FRONTEND": "noninteractive"}
    code, _, _ = module.run_command([*APT, "install", *names])
    if code == 0:
        return
    module.run_command([*APT, "update"])
    code, said, complaint = module.run_command([*APT, "install", *names])
    if code != 0:
        module.fail_json(msg=f"apt-get could not install {' '.join(names)}: {complaint.strip() or said[-500:].strip()}")


def main() -> None:
    module = AnsibleModule(
        argument_spec={"names": {"type": "list", "elements": "str", "required": True}},
        supports_check_mode=True,
    )
    missing = missing_packages(module, module.params["names"])
    if missing and not module.check_mode:
        install(module, missing)
    module.exit_json(changed=bool(missing), installed=missing)


if __name__ == "__main__":
    main()
