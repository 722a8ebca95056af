#!/usr/bin/python
"""Ansible module: what a host has already bears the engine that the site sets up there."""

import http.client
import json
import re
import socket
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
module: engine_before
short_description: What a host has already bears the engine that the site sets up there
description:
  - Looks at a host before an engine is installed or configured on it, and fails when something of value would be lost
    or nothing good would come of it. Changes nothing.
options:
  daemon:
    description: The daemon.json that the engine is going to have, as JSON.
    type: json
    required: true
  declared:
    description: Keys of it that a person asked for; they may differ from what the host has.
    type: list
    elements: str
    default: []
  transport:
    description: Keys of it that the transport decides, which nobody can ask for.
    type: list
    elements: str
    default: []
  may_stop_containers:
    description: Whether containers of an engine that the site did not set up may stop.
    type: bool
    default: false
  least_api:
    description: Version of the API that an engine must have if there is one already. Empty means any.
    type: str
    default: ""
  packages:
    description: The engine's packages, to be named in advice.
    type: list
    elements: str
    default: []
  source:
    description: The package source that the host gets, with C(uris), C(suites) and C(components).
    type: dict
    default: {}
author: bluefleet
"""

RETURN = r"""
source_files:
  description: Files of the host that name the package source already.
  type: list
  returned: success
old_drop_ins:
  description: Drop-ins of the engine's unit that the site wrote under another name.
  type: list
  returned: success
"""

DAEMON = "/etc/docker/daemon.json"
DROP_INS = "/etc/systemd/system/docker.service.d"
OURS = "zz-bluefleet.conf"
OLD = "docker.conf"
HEADER = "# Made by bluefleet"
SOURCES = "/etc/apt"
OUR_SOURCE = "bluefleet-engine.sources"
SOCKET = "/var/run/docker.sock"
DEADLINE = 10.0


class Engine(http.client.HTTPConnection):
    """The engine on the host's socket."""

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(DEADLINE)
        self.sock.connect(SOCKET)


def ask():
    """What the engine says of itself, with the version of its API; None when there is none that answers."""
    engine = Engine("engine")
    try:
        engine.request("GET", "/info")
        answer = engine.getresponse()
        return json.loads(answer.read()) | {"ApiVersion": answer.headers.get("Api-Version", "0")}
    except (OSError, http.client.HTTPException, ValueError):
        return None
    finally:
        engine.close()


def old_drop_ins():
    """Drop-ins that the site wrote before their name came last; one of that name may be somebody else's."""
    path = Path(DROP_INS, OLD)
    return [str(path)] if path.is_file() and path.read_text(errors="replace").startswith(HEADER) else []


def kept(old, new):
    """Whether a value is still there: the same, or with more beside it."""
    if isinstance(old, dict) and isinstance(new, dict):
        return all(key in new and kept(value, new[key]) for key, value in old.items())
    if isinstance(old, list) and isinstance(new, list):
        return all(item in new for item in old)
    return old == new


def configuration_faults(parameters):
    """What the host's own daemon.json says and the new one would not."""
    path = Path(DAEMON)
    if not path.is_file() or not path.read_text().strip():
        return []
    try:
        old = json.loads(path.read_text())
    except ValueError as error:
        return [f"{DAEMON} can't be read as JSON ({error}): mend it, or take it away"]
    new = json.loads(parameters["daemon"])
    lost = [key for key, value in old.items() if key not in new or not kept(value, new[key])]
    transport = [key for key in lost if key in parameters["transport"]]
    others = [key for key in lost if key not in transport and key not in parameters["declared"]]
    faults = []
    if others:
        faults.append(
            f"{DAEMON} is the host's own, and the site's would lose or change {', '.join(others)}: "
            "name them in docker_engine_daemon_options, with the values that they are to have, or take them out of the file"
        )
    if transport:
        faults.append(
            f"{DAEMON} is the host's own and has {', '.join(transport)}, which docker_engine_transport and "
            "docker_engine_insecure_registries decide: declare them there, and take them out of the file"
        )
    return faults


def container_faults(info, parameters):
    """Containers that would stop when the engine starts with the site's configuration."""
    running = info.get("ContainersRunning", 0)
    if not running or info.get("LiveRestoreEnabled") or parameters["may_stop_containers"]:
        return []
    return [
        f"{running} containers run here and would stop, because the engine restarts and has no live-restore: put "
        f'"live-restore": true into {DAEMON} and run `systemctl reload docker`, and they go on running; or say '
        "docker_engine_stop_containers: true"
    ]


def api_faults(info, parameters):
    """An engine too old for what the site runs on it; packages that are installed are not upgraded."""
    least = parameters["least_api"]
    if not least or version(info["ApiVersion"]) >= version(least):
        return []
    return [
        f"the engine here is {info.get('ServerVersion', 'unknown')} with API {info['ApiVersion']}, and a pod needs API {least} "
        f"(engine 25): `apt-get update && apt-get install --only-upgrade {' '.join(parameters['packages'])}`"
    ]


def version(text):
    """A version that can be compared."""
    return [int(number) for number in re.findall(r"\d+", text)]


def one_line_sources(text):
    """Sources of a `.list` file: types, URIs, suites and components."""
    for line in text.splitlines():
        found = re.match(r"(deb|deb-src)\s+(?:\[[^\]]*\]\s*)?(\S+)\s+(\S+)(.*)", line.partition("#")[0].strip())
        if found:
            yield [found[1]], [found[2]], [found[3]], found[4].split()


def deb822_sources(text):
    """Sources of a `.sources` file that are not disabled: types, URIs, suites and components."""
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    for stanza in re.split(r"\n\s*\n", "\n".join(lines)):
        fields = {
            name.lower(): value.split() for name, value in re.findall(r"^([\w-]+):((?:.*)(?:\n[ \t].*)*)", stanza, re.M)
        }
        if (fields.get("enabled") or ["yes"])[0].lower() not in {"no", "false", "without", "off", "disable", "0"}:
            yield tuple(fields.get(name, []) for name in ("types", "uris", "suites", "components"))


def sources(folder):
    """Every package source of the host but the site's own, with its file."""
    files = [folder / "sources.list", *sorted((folder / "sources.list.d").glob("*"))]
    for file in files:
        if file.is_file() and file.name != OUR_SOURCE and file.suffix in {".list", ".sources"}:
            read = deb822_sources if file.suffix == ".sources" else one_line_sources
            for found in read(file.read_text(errors="replace")):
                yield str(file), *found


def words(value):
    """A list that may have been given as one text."""
    return value.split() if isinstance(value, str) else list(value or [])


def source_before(wanted):
    """Files with the package source, and what is wrong with that; apt reads nothing where two keys are said to sign one."""
    pairs = {(uri.rstrip("/"), suite) for uri in words(wanted.get("uris")) for suite in words(wanted.get("suites"))}
    components = set(words(wanted.get("components")))
    given, files = set(), set()
    for file, types, uris, suites, parts in sources(Path(SOURCES)):
        same = pairs & {(uri.rstrip("/"), suite) for uri in uris for suite in suites}
        if same:
            files.add(file)
        if "deb" in types and components <= set(parts):
            given |= same
    if files and given != pairs:
        return [], [
            f"{', '.join(sorted(files))} names a part of docker_engine_apt_source, and apt may refuse one that is named twice: "
            "take it out there, or have all of it there"
        ]
    return sorted(files), []


def look(parameters):
    """What the role has to know of the host, and every reason not to go on."""
    info, old = ask(), old_drop_ins()
    source_files, faults = source_before(parameters["source"])
    if not old and not Path(DROP_INS, OURS).exists():
        # The site never set this engine up: what it is and has was somebody's decision.
        faults += configuration_faults(parameters)
        faults += container_faults(info, parameters) if info else []
    faults += api_faults(info, parameters) if info else []
    return {"source_files": source_files, "old_drop_ins": old}, faults


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            # What a person adds may be a proxy with its password.
            "daemon": {"type": "json", "required": True, "no_log": True},
            "declared": {"type": "list", "elements": "str", "default": []},
            "transport": {"type": "list", "elements": "str", "default": []},
            "may_stop_containers": {"type": "bool", "default": False},
            "least_api": {"type": "str", "default": ""},
            "packages": {"type": "list", "elements": "str", "default": []},
            "source": {"type": "dict", "default": {}},
        },
        supports_check_mode=True,
    )
    found, faults = look(module.params)
    if faults:
        module.fail_json(msg="; ".join(faults))
    module.exit_json(changed=False, **found)


if __name__ == "__main__":
    main()
