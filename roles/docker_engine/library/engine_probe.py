#!/usr/bin/python
"""Ansible module: engines answer whom they should, and nobody else."""

import http.client
import socket
import ssl
import subprocess
import time
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
module: engine_probe
short_description: Engines answer whom they should, and nobody else
description:
  - Asks each engine for its C(/_ping), with the right credentials and with wrong ones. Changes nothing.
options:
  socket:
    description: Unix socket of an engine on this host that must answer.
    type: path
  least_api:
    description: Version of the API that the engine on I(socket) must have. Empty means any.
    type: str
    default: ""
  endpoints:
    description:
      - Engines, each with C(node), C(address), C(port) and C(transport) (C(tls), C(ssh), C(plain), or C(closed) for a
        port where nothing may answer) and,
        for C(ssh), the C(user) as whom this host's user C(bluefleet) logs in.
    type: list
    elements: dict
    default: []
  client:
    description:
      - Folder with C(ca.pem), C(cert.pem) and C(key.pem) that tls engines must accept. Without it only refusals are
        proven.
    type: path
  stranger:
    description:
      - Path without ending of a client certificate (.crt) and key (.key) that tls engines must refuse.
      - It is right in all but its authority; one that is wrong in more would prove nothing.
    type: path
  deadline:
    description: Seconds that an engine may take to answer for the first time; it may just have restarted.
    type: int
    default: 30
author: bluefleet
"""

RETURN = r"""
proven:
  description: What was found true, in words.
  type: list
  returned: always
"""

_TIMEOUT = 5.0


class Fault(Exception):
    """An engine that is not as it should be; the message says what to look at."""


class _UnixConnection(http.client.HTTPConnection):
    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.host)


def _ping(connection):
    try:
        connection.request("GET", "/_ping", headers={"Host": "engine"})
        answer = connection.getresponse()
        return answer.status == 200 and answer.read() == b"OK"
    finally:
        connection.close()


def _prove_api(path, least, proven):
    connection = _UnixConnection(path, timeout=_TIMEOUT)
    try:
        connection.request("GET", "/_ping", headers={"Host": "engine"})
        has = connection.getresponse().headers.get("Api-Version", "0")
    finally:
        connection.close()
    if [int(part) for part in has.split(".")] < [int(part) for part in least.split(".")]:
        raise Fault(
            f"engine on {path} has API {has}, and pods need {least} (engine 25): upgrade its packages, or name newer ones in "
            "docker_engine_apt_source and docker_engine_packages"
        )
    proven.append(f"engine on {path} has API {has}")


def _wait(question, deadline, fault):
    end = time.monotonic() + deadline
    while True:
        try:
            if question():
                return
            reason = "an unexpected answer"
        except (OSError, http.client.HTTPException) as error:
            reason = str(error) or type(error).__name__
        if time.monotonic() > end:
            raise Fault(f"{fault}: {reason}")
        time.sleep(0.25)


def _tls(endpoint, context):
    return _ping(http.client.HTTPSConnection(endpoint["address"], endpoint["port"], timeout=_TIMEOUT, context=context))


def _anybody():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    # Who refuses us need not prove who it is.
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _listens(endpoint):
    socket.create_connection((endpoint["address"], endpoint["port"]), _TIMEOUT).close()
    return True


def _refuses(endpoint, context):
    try:
        return not _tls(endpoint, context)
    except (ssl.SSLError, ConnectionResetError, BrokenPipeError, http.client.RemoteDisconnected):
        # With TLS 1.3 the refusal arrives after the handshake, as an alert or a closed connection.
        return True


def _prove_tls(endpoint, parameters, proven):
    where = f"{endpoint['node']} ({endpoint['address']}:{endpoint['port']})"
    _wait(lambda: _listens(endpoint), parameters["deadline"], f"engine of {where} does not listen")
    if parameters["client"]:
        folder = Path(parameters["client"])
        context = ssl.create_default_context(cafile=folder / "ca.pem")
        context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
        _wait(
            lambda: _tls(endpoint, context),
            parameters["deadline"],
            f"engine of {where} does not answer the manager's certificate",
        )
        proven.append(f"{where} answers the manager's certificate")
    if not _refuses(endpoint, _anybody()):
        raise Fault(
            f"engine of {where} answers a client without certificate: look at tlsverify in its /etc/docker/daemon.json"
        )
    proven.append(f"{where} refuses a client without certificate")
    if parameters["stranger"]:
        context = _anybody()
        context.load_cert_chain(parameters["stranger"] + ".crt", parameters["stranger"] + ".key")
        if not _refuses(endpoint, context):
            raise Fault(
                f"engine of {where} answers a certificate of the site CA: its tlscacert must be the engine CA alone"
            )
        proven.append(f"{where} refuses a certificate of the site CA")


def _prove_plain(endpoint, parameters, proven):
    where = f"{endpoint['node']} ({endpoint['address']}:{endpoint['port']})"

    def answers():
        return _ping(http.client.HTTPConnection(endpoint["address"], endpoint["port"], timeout=_TIMEOUT))

    _wait(answers, parameters["deadline"], f"engine of {where} does not answer")
    proven.append(f"{where} answers without TLS")


def _prove_closed(endpoint, _parameters, proven):
    where = f"{endpoint['node']} ({endpoint['address']}:{endpoint['port']})"
    try:
        _listens(endpoint)
    except OSError:
        proven.append(f"{where} is closed")
        return
    raise Fault(f"something answers at {where}, where nothing may: stop it, or look at `ss -ltnp` there")


def _prove_ssh(endpoint, parameters, proven):
    where = f"{endpoint['user']}@{endpoint['address']}"
    # Only that user may read the key.
    command = [
        "runuser",
        "-u",
        "bluefleet",
        "--",
        "ssh",
        "-T",
        "-p",
        str(endpoint["port"]),
        where,
        "docker system dial-stdio",
    ]
    question = "GET /_ping HTTP/1.1\r\nHost: engine\r\nConnection: close\r\n\r\n"
    answer = subprocess.run(
        command, input=question, capture_output=True, text=True, timeout=parameters["deadline"], check=False
    )
    if "200 OK" not in answer.stdout:
        words = answer.stderr.strip() or answer.stdout.strip()
        raise Fault(f"engine of {endpoint['node']} does not answer over SSH as {where}: {words}")
    proven.append(f"{endpoint['node']} answers over SSH as {where}")


_PROOFS = {"tls": _prove_tls, "plain": _prove_plain, "closed": _prove_closed, "ssh": _prove_ssh}


def main() -> None:
    """Run the module."""
    endpoint = {
        "node": {"type": "str", "required": True},
        "address": {"type": "str", "required": True},
        "port": {"type": "int", "required": True},
        "transport": {"type": "str", "choices": sorted(_PROOFS), "required": True},
        "user": {"type": "str"},
    }
    module = AnsibleModule(
        argument_spec={
            "socket": {"type": "path"},
            "least_api": {"type": "str", "default": ""},
            "endpoints": {"type": "list", "elements": "dict", "options": endpoint, "default": []},
            "client": {"type": "path"},
            "stranger": {"type": "path"},
            "deadline": {"type": "int", "default": 30},
        },
        supports_check_mode=True,
    )
    parameters = module.params
    proven = []
    try:
        if parameters["socket"]:
            path = parameters["socket"]
            _wait(
                lambda: _ping(_UnixConnection(path, timeout=_TIMEOUT)),
                parameters["deadline"],
                f"engine does not answer on {path}",
            )
            proven.append(f"engine answers on {path}")
            if parameters["least_api"]:
                _prove_api(path, parameters["least_api"], proven)
        for item in parameters["endpoints"]:
            _PROOFS[item["transport"]](item, parameters, proven)
    except (Fault, OSError, subprocess.TimeoutExpired) as error:
        module.fail_json(msg=str(error), proven=proven)
    module.exit_json(changed=False, proven=proven)


if __name__ == "__main__":
    main()
