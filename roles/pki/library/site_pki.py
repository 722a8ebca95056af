#!/usr/bin/python
"""Ansible module: every authority and certificate of the site exists, in one call, on the control machine."""

import dataclasses
import datetime
import os
import traceback
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule, missing_required_lib

try:
    from ansible.module_utils.site_authorities import (
        Authority,
        AuthoritySpec,
        CertificateSpec,
        PkiError,
        Store,
        ensure_certificate,
    )
    from ansible.module_utils.site_ssh_keys import SshKey
except ImportError:
    CRYPTOGRAPHY_ERROR = traceback.format_exc()
else:
    CRYPTOGRAPHY_ERROR = None

DOCUMENTATION = r"""
module: site_pki
short_description: Every authority and certificate of the site exists on the control machine
description:
  - Makes authorities and certificates that are missing, renews what ends soon, reissues what no longer says what is
    declared.
  - Rotates the authorities in three phases with old and new overlapping. An interrupted rotation goes on where it
    stopped.
options:
  path:
    description: The folder that holds everything, keys included.
    type: path
    required: true
  authorities:
    description: The authorities, each with C(name), C(common_name) and C(days).
    type: list
    elements: dict
    required: true
  certificates:
    description:
      - The certificates, each with C(name) (a path below I(path) without ending), C(authority), C(common_name),
        C(names) (DNS names and addresses), C(usages) (C(server), C(client)) and C(days).
    type: list
    elements: dict
    required: true
  ssh_keys:
    description: SSH key pairs, each with C(name) (a path below I(path) without ending) and C(comment).
    type: list
    elements: dict
    default: []
  renew_before_days:
    description: A certificate with fewer days left is renewed.
    type: int
    default: 30
  phase:
    description:
      - C(ensure) keeps what is good.
      - C(introduce) makes the next authorities and adds them to the bundles.
      - C(reissue) signs everything anew with them.
      - C(retire) takes the old ones out of the bundles.
    type: str
    choices: [ensure, introduce, reissue, retire]
    default: ensure
author: bluefleet
"""

RETURN = r"""
report:
  description: A line for each authority and certificate, soonest end first.
  type: list
  returned: always
changed_files:
  description: The files that were (or in check mode would be) written or removed, below I(path).
  type: list
  returned: always
"""


def _options() -> dict[str, Any]:
    authority = {
        "name": {"type": "str", "required": True},
        "common_name": {"type": "str", "required": True},
        "days": {"type": "int", "default": 3650},
    }
    certificate = {
        "name": {"type": "str", "required": True},
        "authority": {"type": "str", "required": True},
        "common_name": {"type": "str", "required": True},
        "names": {"type": "list", "elements": "str", "default": []},
        "usages": {"type": "list", "elements": "str", "choices": ["server", "client"], "required": True},
        "days": {"type": "int", "default": 397},
    }
    ssh_key = {"name": {"type": "str", "required": True}, "comment": {"type": "str", "required": True}}
    return {
        "path": {"type": "path", "required": True},
        "authorities": {"type": "list", "elements": "dict", "options": authority, "required": True},
        "certificates": {"type": "list", "elements": "dict", "options": certificate, "required": True},
        # Names and comments, not keys.
        "ssh_keys": {"type": "list", "elements": "dict", "options": ssh_key, "default": [], "no_log": False},
        "renew_before_days": {"type": "int", "default": 30},
        "phase": {"type": "str", "choices": ["ensure", "introduce", "reissue", "retire"], "default": "ensure"},
    }


def _rotate(things: list[Any], phase: str) -> None:
    for thing in things:
        if phase == "introduce":
            thing.introduce()
        elif phase == "reissue":
            thing.promote()
        elif phase == "retire":
            thing.retire()


def main() -> None:
    """Run the module."""
    module = AnsibleModule(argument_spec=_options(), supports_check_mode=True)
    if CRYPTOGRAPHY_ERROR:
        module.fail_json(msg=missing_required_lib("cryptography"), exception=CRYPTOGRAPHY_ERROR)
    parameters = module.params
    store = Store(Path(parameters["path"]))
    now = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
    try:
        authorities = {item["name"]: Authority(store, AuthoritySpec(**item), now) for item in parameters["authorities"]}
        keys = [SshKey(store, item["name"], item["comment"]) for item in parameters["ssh_keys"]]
        _rotate([*authorities.values(), *keys], parameters["phase"])
        report = [authority.line() for authority in authorities.values()]
        for item in parameters["certificates"]:
            names = tuple(dict.fromkeys(item["names"]))
            spec = CertificateSpec(**{**item, "names": names, "usages": tuple(item["usages"])})
            if spec.authority not in authorities:
                raise PkiError(
                    f"certificate {spec.name}: there is no authority {spec.authority}, only {', '.join(authorities)}"
                )
            report.append(
                ensure_certificate(store, spec, authorities[spec.authority], parameters["renew_before_days"], now)
            )
        changed = sorted(store.pending)
        if not module.check_mode:
            os.umask(0o077)
            store.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            store.flush()
    except PkiError as error:
        module.fail_json(msg=str(error))
    report.sort(key=lambda line: (line.days_left, line.name))
    lines = [dataclasses.asdict(line) for line in report]
    words = "".join(f"{line.name}: {line.action}, {line.reason or 'new'}\n" for line in report if line.action != "kept")
    module.exit_json(
        changed=bool(changed),
        report=lines,
        changed_files=changed,
        diff={"before": "", "after": words or "".join(f"{name}\n" for name in changed)},
    )


if __name__ == "__main__":
    main()
