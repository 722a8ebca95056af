#!/usr/bin/python
"""Ansible module: the registry answers a login, and refuses whoever has none."""

import base64
import http.client
import ssl
import time
from urllib.parse import urlsplit

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
module: registry_probe
short_description: The registry answers a login, and refuses whoever has none
options:
  url:
    description: The registry's C(/v2/).
    type: str
    required: true
  ca_file:
    description: What to trust, when it speaks TLS.
    type: path
  user:
    description: A login.
    type: str
    required: true
  password:
    description: Its password.
    type: str
    required: true
  deadline:
    description: Seconds that it may take to answer for the first time; it may just have restarted.
    type: int
    default: 30
author: bluefleet
"""

_WELCOME, _REFUSED = 200, 401


def _status(url, context, headers):
    parts = urlsplit(url)
    if parts.scheme == "https":
        connection = http.client.HTTPSConnection(parts.netloc, timeout=5, context=context)
    else:
        connection = http.client.HTTPConnection(parts.netloc, timeout=5)
    try:
        connection.request("GET", parts.path, headers=headers)
        return connection.getresponse().status
    finally:
        connection.close()


def _first_status(url, context, headers, deadline):
    end = time.monotonic() + deadline
    while True:
        try:
            return _status(url, context, headers)
        except (OSError, http.client.HTTPException):
            if time.monotonic() > end:
                raise
        time.sleep(0.25)


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "url": {"type": "str", "required": True},
            "ca_file": {"type": "path"},
            "user": {"type": "str", "required": True},
            "password": {"type": "str", "required": True, "no_log": True},
            "deadline": {"type": "int", "default": 30},
        },
        supports_check_mode=True,
    )
    url = module.params["url"]
    context = ssl.create_default_context(cafile=module.params["ca_file"])
    login = base64.b64encode(f"{module.params['user']}:{module.params['password']}".encode()).decode()
    try:
        known = _first_status(url, context, {"Authorization": f"Basic {login}"}, module.params["deadline"])
        anonymous = _status(url, context, {})
    except (OSError, http.client.HTTPException) as error:
        module.fail_json(msg=f"registry does not answer at {url}: {error}. Look at `journalctl -u bluefleet-registry`")
    if known != _WELCOME:
        module.fail_json(
            msg=f"registry answers login {module.params['user']} at {url} with status {known}, not {_WELCOME}"
        )
    if anonymous != _REFUSED:
        module.fail_json(
            msg=f"registry answers a client without login at {url} with status {anonymous}, not {_REFUSED}"
        )
    module.exit_json(changed=False)


if __name__ == "__main__":
    main()
