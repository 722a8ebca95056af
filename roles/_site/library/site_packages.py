#!/usr/bin/python
"""Ansible module: packages of a Debian-like distribution are installed; asks dpkg first, which costs a tenth of apt."""

import time

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = """
module: site_packages
short_description: Packages of the distribution are installed
description:
  - Installs those of the packages that are missing. A host that has them all is only asked for a look into dpkg's own
    list, so it converges without reaching a mirror.
  - Fetches the package lists only when an installation fails without.
  - Refuses, in check mode too, what would remove packages of the host, and names them.
options:
  names:
    description: The packages.
    type: list
    elements: str
    required: true
  advice:
    description: What a person is told besides when packages would be removed.
    type: str
    default: ""
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

# What a package takes the place of, because a host can't have both: one clock has one service that sets it.
DISPLACED = {"chrony": {"systemd-timesyncd"}}

# That option of apt's is not about the lock of the package lists, which apt-daily holds for a while after a boot.
LISTS_SECONDS = 300
LISTS_PAUSE = 3


def missing_packages(module: AnsibleModule, names: list[str]) -> list[str]:
    """Those that dpkg doesn't call installed, in the order given."""
    # It ends with 1 when it knows nothing of a package, which is an answer here.
    _, said, _ = module.run_command(["dpkg-query", "-W", "-f", "${Package} ${db:Status-Status}\n", *names])
    installed = {line.split()[0] for line in said.splitlines() if line.endswith(" installed")}
    return [name for name in names if name not in installed]


def fetch_lists(module: AnsibleModule) -> str:
    """Fetch the package lists, after whoever else does; returns what apt-get complained of."""
    end = time.monotonic() + LISTS_SECONDS
    while True:
        _, _, complaint = module.run_command([*APT, "update"])
        if "Could not get lock" not in complaint or time.monotonic() > end:
            return complaint.strip()
        time.sleep(LISTS_PAUSE)


def would_remove(simulated: str) -> list[str]:
    """Packages that apt-get removes, from what it says in a simulation."""
    lines = [line.split() for line in simulated.splitlines()]
    return [words[1] for words in lines if len(words) > 1 and words[0] in {"Remv", "Purg"}]


def refuse_removals(module: AnsibleModule, names: list[str], removed: list[str]) -> None:
    """End the module when packages go that may not: with -y, apt-get asks nobody."""
    displaced = set().union(*(DISPLACED.get(name, set()) for name in names))
    kept = [name for name in removed if name.partition(":")[0] not in displaced]
    if kept:
        module.fail_json(
            msg=f"to install {' '.join(names)}, apt-get would remove {' '.join(kept)}; nothing was installed or removed. "
            f"If they may go, with all that needs them, remove them by hand first. {module.params['advice']}".strip()
        )


def install(module: AnsibleModule, names: list[str]) -> None:
    """Install, with fresh package lists when those at hand won't do; ends the module when that fails, too."""
    complaints: list[str] = []
    for fresh in (False, True):
        if fresh:
            complaints.append(fetch_lists(module))
        code, said, complaint = module.run_command([*APT, "-s", "install", *names])
        if code == 0:
            removed = would_remove(said)
            refuse_removals(module, names, removed)
            # An installation that was interrupted has to be finished first. While another one runs this fails, and apt-get waits.
            finished, _, unfinished = module.run_command(["dpkg", "--configure", "-a"])
            # The simulation waits for no lock, so what it found may have changed since.
            keep = [] if removed else ["--no-remove"]
            code, said, complaint = module.run_command([*APT, *keep, "install", *names])
            if code == 0:
                return
            complaints += [unfinished.strip()] if finished != 0 else []
    complaints.append(complaint.strip() or said.strip())
    words = "\n".join(part[-1000:] for part in complaints if part)
    module.fail_json(msg=f"apt-get could not install {' '.join(names)}: {words}")


def pretend(module: AnsibleModule, names: list[str]) -> None:
    """What would be refused is refused; what can't be known before the lists are fetched is not asked."""
    code, said, _ = module.run_command([*APT, "-s", "install", *names])
    if code == 0:
        refuse_removals(module, names, would_remove(said))


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "names": {"type": "list", "elements": "str", "required": True},
            "advice": {"type": "str", "default": ""},
        },
        supports_check_mode=True,
    )
    # Words of apt-get are read here, so they are asked for in English.
    module.run_command_environ_update = {"DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C"}
    missing = missing_packages(module, module.params["names"])
    if missing:
        (pretend if module.check_mode else install)(module, missing)
    module.exit_json(changed=bool(missing), installed=missing)


if __name__ == "__main__":
    main()
