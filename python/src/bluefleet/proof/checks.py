"""The promises one by one. A check returns nothing when one is kept, and says what was found when it isn't."""

from __future__ import annotations

import json
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import httpx

from bluefleet.proof.facts import Engine, Host, Site

# A closed port is refused or, by the firewall, silent; the site's own network answers within milliseconds.
SILENCE = 1.5
ANSWER = 15.0
# A document that waits longer than this on its way is not on its way.
DELIVERY = 20.0
# What its engine had to start again counts as well a minute later, if nothing checks its health.
RECOVERY = 75.0


class NotLookedAt(Exception):
    """This machine isn't placed to see whether the promise is kept; the message says why, and who looks instead."""


@dataclass(frozen=True)
class Check:
    """One promise: what is promised of which host, and how to look."""

    host: str
    promise: str
    remedy: str
    look: Callable[[], str | None]


def all_checks(site: Site) -> list[Check]:
    """Every promise of the site that can be proved from here."""
    checks: list[Check] = []
    for name, host in site.hosts.items():
        checks += _port_checks(site, name, host)
    for engine in site.engines:
        if engine.transport == "tls":
            checks += _engine_checks(site, engine)
    if site.registry is not None:
        checks += _registry_checks(site)
    if site.acquisition is not None:
        checks += _acquisition_checks(site, site.acquisition)
    if site.data is not None:
        checks += _data_checks(site, site.data)
    if site.fleet is not None:
        checks += _fleet_checks(site, site.fleet)
    if site.acquisition is not None and site.data is not None:
        checks.append(_document_check(site, site.acquisition, site.data))
    return checks


def _source(address: str) -> str:
    """The address that this machine's packets to a host come from."""
    family, _, _, _, target = socket.getaddrinfo(address, 9, type=socket.SOCK_DGRAM)[0]
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        probe.connect(target)
        return str(probe.getsockname()[0])


def _port_checks(site: Site, name: str, host: Host) -> Iterator[Check]:
    table = "see the port table (site_ports in roles/_site) and `nft list table inet bluefleet` on that host"
    source = _source(host.address)
    if source == socket.gethostbyname(host.address):
        why = "this machine is that host, and sees ports of its own that nobody else sees"
        yield Check(name, "ports answer as declared", table, lambda: _cannot_tell(why))
        return
    open_here = {rule.port: rule.name for rule in host.rules if rule.protocol == "tcp" and rule.admits(source)}
    # What a site opens for its own programs may have nobody behind it now; the old port of sshd neither.
    served = {
        port for port, rule in open_here.items() if rule in site.services and (rule != "ssh" or port == host.ssh_port)
    }
    for port in sorted(served):
        yield Check(name, f"port {port} answers", table, lambda port=port: _must_answer(host.address, port))
    if not host.firewalled:
        why = "firewall_enabled is false for this host: nothing is promised of its other ports"
        yield Check(name, "other ports do not answer", table, lambda: _cannot_tell(why))
        return
    known = {rule.port for each in site.hosts.values() for rule in each.rules if rule.protocol == "tcp"} | set(
        site.never
    )
    for port in sorted(known - set(open_here)):
        yield Check(name, f"port {port} does not answer", table, lambda port=port: _must_not_answer(host.address, port))


def _cannot_tell(why: str) -> str | None:
    raise NotLookedAt(why)


def _answers(address: str, port: int) -> bool:
    try:
        with socket.create_connection((address, port), timeout=SILENCE):
            return True
    except OSError:
        return False


def _must_answer(address: str, port: int) -> str | None:
    return None if _answers(address, port) else "nothing answers"


def _must_not_answer(address: str, port: int) -> str | None:
    return "something answers" if _answers(address, port) else None


def _engine_checks(site: Site, engine: Engine) -> Iterator[Check]:
    address = site.address(engine.host)
    remedy = f"see /etc/docker/daemon.json on {engine.host}: tlsverify and tlscacert of the engine CA"
    clients: dict[str, tuple[Path, Path] | None] = {
        "without a certificate": None,
        "with a certificate of the site CA": (site.stranger_certificate, site.stranger_key),
    }
    for who, certificate in clients.items():
        yield Check(
            engine.host,
            f"engine refuses a client {who}",
            remedy,
            lambda certificate=certificate: _must_refuse(address, engine.port, certificate),
        )


def _must_refuse(address: str, port: int, certificate: tuple[Path, Path] | None) -> str | None:
    """An engine that is kept from us by a firewall neither takes us nor refuses us."""
    context = ssl.create_default_context()
    context.check_hostname = False
    # Whether it is the right engine is not the question here; its answer to a stranger is.
    context.verify_mode = ssl.CERT_NONE
    if certificate is not None:
        context.load_cert_chain(*certificate)
    try:
        plain = socket.create_connection((address, port), timeout=SILENCE)
    except OSError as error:
        raise NotLookedAt(f"port {port} is closed to this machine; the manager looks, in step engines") from error
    try:
        with plain, context.wrap_socket(plain, server_hostname=address) as secure:
            secure.sendall(b"GET /_ping HTTP/1.0\r\n\r\n")
            answer = secure.recv(64)
    except (ssl.SSLError, ConnectionResetError, BrokenPipeError):
        # With TLS 1.3 the refusal arrives after the handshake, as an alert or a closed connection.
        return None
    return f"it answered {answer[:30]!r}" if answer else None


def _registry_checks(site: Site) -> Iterator[Check]:
    host = next(name for name, each in site.hosts.items() if "manager" in each.groups)
    url = f"{'https' if site.registry_tls else 'http'}://{site.registry}/v2"
    remedy = "see the htpasswd of role registry on that host"
    pushes = {
        "refuses anonymous reading": lambda: _status(site, "GET", f"{url}/", None, 401),
        "refuses anonymous pushes": lambda: _status(site, "POST", f"{url}/bluefleet/proof/blobs/uploads/", None, 401),
    }
    for promise, look in pushes.items():
        yield Check(host, f"registry {promise}", remedy, look)


def _acquisition_checks(site: Site, host: str) -> Iterator[Check]:
    edge, key = f"https://{site.address(host)}", site.queue_api_key_file
    remedy = f"docker compose -p acquisition ps, and logs, on {host}"
    looks: dict[str, Callable[[], str | None]] = {
        "edge is well": lambda: _status(site, "GET", f"{edge}/healthz", None, 200),
        "queue refuses who has no key": lambda: _status(site, "GET", f"{edge}/api/queue/get", None, 401),
        "queue answers": lambda: _status(site, "GET", f"{edge}/api/status", key, 200),
        "forwarder is well": lambda: _says_ok(site, f"{edge}/documents/status"),
        "recommender is well": lambda: _says_ok(site, f"{edge}/recommender/status"),
        "forwarder tells of runs with a key only": lambda: _status(site, "GET", f"{edge}/documents/runs/-1", None, 401),
        "Kafka takes the listener's login": lambda: _kafka(site, host, right=True),
        "Kafka refuses a wrong login": lambda: _kafka(site, host, right=False),
    }
    for promise, look in looks.items():
        yield Check(host, promise, remedy, look)


def _data_checks(site: Site, host: str) -> Iterator[Check]:
    edge, key = f"https://{site.address(host)}", site.tiled_api_key_file
    remedy = f"docker compose -p data ps, and logs, on {host}"
    looks: dict[str, Callable[[], str | None]] = {
        "edge is well": lambda: _status(site, "GET", f"{edge}/healthz", None, 200),
        "Tiled refuses who has no key": lambda: _status(site, "GET", f"{edge}/tiled/api/v1/metadata/runs", None, 401),
        "Tiled answers from its catalogue": lambda: _status(
            site, "GET", f"{edge}/tiled/api/v1/metadata/runs", key, 200
        ),
        "Tiled answers from Mongo": lambda: _status(site, "GET", f"{edge}/tiled/api/v1/metadata/mongo", key, 200),
        "Mongo sink is well": lambda: _says_ok(site, f"{edge}/sinks/mongo/status"),
        "Tiled sink is well": lambda: _says_ok(site, f"{edge}/sinks/tiled/status"),
        "Mongo sink tells of runs with a key only": lambda: _status(
            site, "GET", f"{edge}/sinks/mongo/runs/-1", None, 401
        ),
        "Tiled sink tells of runs with a key only": lambda: _status(
            site, "GET", f"{edge}/sinks/tiled/runs/-1", None, 401
        ),
    }
    if site.jupyter:
        looks["Jupyter refuses who has not logged in"] = lambda: _status(
            site, "GET", f"{edge}/jupyter/api/contents", None, 403
        )
    for promise, look in looks.items():
        yield Check(host, promise, remedy, look)


def _fleet_checks(site: Site, manager: str) -> Iterator[Check]:
    url = f"https://{site.address(manager)}/fleet"
    remedy = f"systemctl status bluefleet-fleet, and journalctl -u bluefleet-fleet, on {manager}"
    refuses = "fleet service refuses who has no token"
    yield Check(manager, refuses, remedy, lambda: _status(site, "GET", f"{url}/status", None, 401))
    remedy = (
        "bluefleet status says more; what is known to be broken is left alone after bluefleet disable, with the reason"
    )
    yield Check(manager, "instances are well", remedy, lambda: _instances_are_well(site, url))


def _instances_are_well(site: Site, url: str) -> str | None:
    """What was started just now, or came back with its host, may need a moment."""
    end = time.monotonic() + RECOVERY
    while True:
        try:
            sick = _sick_instances(site, url)
        except (OSError, httpx.HTTPError) as error:
            sick = str(error) or type(error).__name__
        if sick is None or time.monotonic() > end:
            return sick
        time.sleep(1)


def _sick_instances(site: Site, url: str) -> str | None:
    from bluefleet.fleet import NodeStatus

    token = site.fleet_token_file.read_text(encoding="utf-8").strip()
    with _client(site) as client:
        answer = client.get(f"{url}/status", params={"fresh": True}, headers={"Authorization": f"Bearer {token}"})
    nodes = [NodeStatus.model_validate(each) for each in _content(url, answer)["nodes"]]
    sick: list[str] = []
    for node in (each for each in nodes if not each.ok):
        sick += [f"{node.name}: {reason}" for reason in (node.reason, *node.problems) if reason]
        sick += [f"{node.name}/{each.name}: {each.reason}" for each in node.instances if not each.ok]
    return "; ".join(sick) or None


def _document_check(site: Site, acquisition: str, data: str) -> Check:
    return Check(
        data,
        "documents arrive in both databases",
        "bluefleet documents verify -1; docker compose -p data logs mongo-sink tiled-sink on that host",
        lambda: _documents_arrive(site, acquisition, data),
    )


def _documents_arrive(site: Site, acquisition: str, data: str) -> str | None:
    """Nothing waits in spool or Kafka, and the last run, if there is one, is in both databases as it was spooled.

    No document is made for this: a site's databases hold measurements, not probes.
    """
    spool = f"https://{site.address(acquisition)}/documents"
    sinks = f"https://{site.address(data)}/sinks"
    end = time.monotonic() + DELIVERY
    while True:
        try:
            waiting = _waiting(site, spool, sinks)
        except (OSError, httpx.HTTPError) as error:
            waiting = str(error) or type(error).__name__
        if waiting is None:
            break
        if time.monotonic() > end:
            return waiting
        time.sleep(0.5)
    last = _run(site, f"{spool}/runs/-1", site.queue_api_key_file)
    if last is None:
        raise NotLookedAt("no run yet in the spool; `bluefleet first-scan` takes one")
    for sink in ("mongo", "tiled"):
        stored = _run(site, f"{sinks}/{sink}/runs/{last['run']}", site.tiled_api_key_file)
        if stored is None:
            return f"run {last['run']} is not in {sink}; `bluefleet documents replay {last['run']}` sends it again"
        if stored["stop"] != last["stop"] and last["stop"] is not None:
            return f"run {last['run']} ended differently in {sink}"
    return None


def _waiting(site: Site, spool: str, sinks: str) -> str | None:
    writers = _json(site, f"{spool}/status", None)["writers"]
    backlog = {name: writer["backlog"] for name, writer in writers.items() if writer["backlog"]}
    if backlog:
        return f"documents wait in the spool: {backlog}"
    lag = {sink: _json(site, f"{sinks}/{sink}/status", None).get("lag", "unknown") for sink in ("mongo", "tiled")}
    return f"documents wait in Kafka: {lag}" if any(lag.values()) else None


def _kafka(site: Site, host: str, *, right: bool) -> str | None:
    from confluent_kafka import KafkaError, KafkaException
    from confluent_kafka.admin import AdminClient

    errors: list[KafkaError] = []
    password = site.kafka_password_file.read_text(encoding="utf-8").strip() if right else "not the password"
    settings: dict[str, Any] = {
        "bootstrap.servers": f"{site.address(host)}:{site.kafka_port}",
        "security.protocol": "SASL_SSL",
        "sasl.mechanism": "PLAIN",
        "sasl.username": "listener",
        "sasl.password": password,
        "ssl.ca.location": str(site.ca_file),
        "error_cb": errors.append,
        "log_level": 0,
    }
    admin = AdminClient(settings)
    end = time.monotonic() + ANSWER
    while True:
        try:
            admin.list_topics(timeout=0.5)
        except KafkaException as error:
            admin.poll(0)
            if any(each.code() == KafkaError._AUTHENTICATION for each in errors):
                return "it was refused" if right else None
            if time.monotonic() > end:
                return str(error)
        else:
            return None if right else "it was let in"


def _client(site: Site) -> httpx.Client:
    # The site's authority only, and no proxy, whatever this machine's environment says.
    trust = ssl.create_default_context(cafile=str(site.ca_file))
    return httpx.Client(verify=trust, trust_env=False, timeout=ANSWER)


def _ask(site: Site, verb: str, url: str, key_file: Path | None) -> httpx.Response:
    headers = {"Authorization": f"ApiKey {key_file.read_text(encoding='utf-8').strip()}"} if key_file else {}
    with _client(site) as client:
        return client.request(verb, url, headers=headers)


def _status(site: Site, verb: str, url: str, key_file: Path | None, wanted: int) -> str | None:
    try:
        answer = _ask(site, verb, url, key_file)
    except httpx.HTTPError as error:
        return f"{url}: {error or type(error).__name__}"
    if answer.status_code == wanted:
        return None
    return f"{url} answered {answer.status_code}, not {wanted}: {answer.text[:120]}"


def _says_ok(site: Site, url: str) -> str | None:
    """A service that has just been started may still be finding its Kafka or its database."""
    end = time.monotonic() + DELIVERY
    while (found := _says(site, url)) is not None and time.monotonic() < end:
        time.sleep(0.5)
    return found


def _says(site: Site, url: str) -> str | None:
    try:
        answer = _ask(site, "GET", url, None)
        content = cast("dict[str, Any]", answer.json())
    except (httpx.HTTPError, json.JSONDecodeError) as error:
        return f"{url}: {error or type(error).__name__}"
    return None if content.get("ok") else f"{url}: {'; '.join(content.get('problems', [])) or content}"


def _run(site: Site, url: str, key_file: Path) -> dict[str, Any] | None:
    """What is said of a run, or nothing when there is no such run."""
    answer = _ask(site, "GET", url, key_file)
    return None if answer.status_code == 404 else _content(url, answer)


def _json(site: Site, url: str, key_file: Path | None) -> dict[str, Any]:
    return _content(url, _ask(site, "GET", url, key_file))


def _content(url: str, answer: httpx.Response) -> dict[str, Any]:
    if not answer.is_success:
        raise OSError(f"{url} answered {answer.status_code}: {answer.text[:120]}")
    return cast("dict[str, Any]", answer.json())
