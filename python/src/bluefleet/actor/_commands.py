"""The commands of the actor: each parses and tells, the fleet decides."""

# pyright: basic
# (clu's commands have no usable types)
from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import click

from bluefleet.actor._fleet import CommandFailed, Fleet
from bluefleet.actor._keywords import Said, called, filenames_of, node_replies, relayed
from bluefleet.actor._parser import fleet_command
from bluefleet.fleet import (
    Call,
    NodeResult,
    NodeStatus,
    Reply,
    Selection,
    Target,
    actor_targets,
    apply,
    by_ssh,
    disable,
    enable,
    is_manager,
    only_asks,
    reboot,
    reboot_ends_within,
    select,
    status,
    talk,
    volumes_report,
)
from bluefleet.model import Node, Site

# Seconds that a command gets beyond the deadlines of those it asks, to say that they ran out.
_MARGIN = 5.0
# To find out whether a host is there whose engine does not answer.
_ALIVE = 1.0

_NAMES = click.option("--names", "-n", help="NODE, NODE/INSTANCE or INSTANCE, with commas between.")
_CATEGORY = click.option("--category", "-c", help="What is of these categories, with commas between.")
_NODES = click.argument("NODES", nargs=-1)
_ALL = click.option("--all", "-a", "everything", is_flag=True, help="All nodes.")
_REASON = click.option("--reason", "-r", default="", help="Why; status and history tell it.")


def _looking(fleet: Fleet) -> float:
    return fleet.actor.node_seconds + _ALIVE + _MARGIN


@fleet_command("status", lambda fleet, _: _looking(fleet))
async def tell_status(command: Any, fleet: Fleet) -> None:
    """Reports the enabled nodes, their engines, containers and volumes."""
    if command.transport is None and not command.actor.transports:
        # Nobody would hear it.
        return
    selection = (await fleet.enabled()).selection
    command.info(enabledNodes=[one.node.name for one in selection])
    # What site.yml declared since.
    await fleet.link()
    await _report_status(command, fleet, selection)


@fleet_command("reconnect", lambda fleet, _: fleet.actor.reconnect_seconds + _looking(fleet))
@_NAMES
@_CATEGORY
@click.option("--force", "-f", is_flag=True, help="Makes containers anew also where nothing differs.")
@click.option("--interrupt-runs", is_flag=True, help="Also what takes an instance away from a plan that runs.")
async def reconnect(
    command: Any, fleet: Fleet, *, names: str | None, category: str | None, force: bool, interrupt_runs: bool
) -> None:
    """Makes containers what they should be: what differs is made anew, what is missing is made, with its volumes."""
    selection = await _chosen(command, fleet, names, category)
    if not selection.chosen:
        raise CommandFailed("No node is enabled")
    work = partial(
        apply,
        fleet.site(),
        fleet.settings,
        check=False,
        interrupt_runs=interrupt_runs,
        progress=fleet.progress(command.debug),
        chosen=selection,
        force=force,
        who=fleet.call("apply", command).who,
        deadline=fleet.actor.reconnect_seconds,
    )
    report = await fleet.do(work)
    _tell(command, (said for node in report.nodes for said in _words_of(node)))
    await _report_status(command, fleet, selection)
    failed = _failed(report.nodes)
    if failed:
        raise CommandFailed(f"Failed to reconnect one or more nodes: {'; '.join(failed)}")


def _rebooting(fleet: Fleet, _: dict[str, Any]) -> float:
    # Longer than the verb itself, which says how far each node got.
    return reboot_ends_within(fleet.site(), Call("reboot", deadline=fleet.actor.reboot_seconds)) + _looking(fleet)


@fleet_command("reboot", _rebooting)
@_NAMES
@_CATEGORY
@click.option("--hard", "-f", is_flag=True, help="Cuts their power and gives it back, by the declared power driver.")
@click.option("--interrupt-runs", is_flag=True, help="Also nodes whose devices a plan uses.")
@_REASON
async def reboot_(
    command: Any,
    fleet: Fleet,
    *,
    names: str | None,
    category: str | None,
    hard: bool,
    interrupt_runs: bool,
    reason: str,
) -> None:
    """Reboots nodes, all that are enabled unless it is said which, and waits until they are back."""
    selection = await _chosen(command, fleet, names, category)
    if not selection.chosen:
        raise CommandFailed("No node is enabled")
    parts = [name for one in selection if not one.whole for name in one.names]
    if parts:
        raise CommandFailed(f"{' and '.join(parts)}: nodes are rebooted, and no instances alone")
    call = fleet.call(
        "reboot",
        command,
        deadline=fleet.actor.reboot_seconds,
        interrupt_runs=interrupt_runs,
        reason=reason,
        progress=fleet.progress(command.info),
    )
    site = fleet.site()
    if not (names or category):
        selection = _without_manager(command, site, selection)
    soft = None if hard else by_ssh(fleet.settings)
    report = await fleet.do(partial(reboot, site, fleet.settings, selection, call, soft=soft))
    _tell(command, (said for node in report.nodes for said in _words_of(node)))
    await _report_status(command, fleet, selection)
    failed = _failed(report.nodes)
    if failed:
        raise CommandFailed(f"Failed to reboot {'; '.join(failed)}")


@fleet_command("talk", lambda fleet, options: (options["deadline"] or fleet.actor.talk_seconds) + _MARGIN)
@click.argument("CAMERA-COMMAND", nargs=-1)
@_NAMES
@_CATEGORY
@click.option("--deadline", type=click.FloatRange(min=0.1), help="Seconds after which an actor has failed.")
async def talk_(
    command: Any,
    fleet: Fleet,
    *,
    camera_command: Sequence[str],
    names: str | None,
    category: str | None,
    deadline: float | None,
) -> None:
    """Says a command to the actors of instances, and passes on all they reply."""
    site = fleet.site()
    targets = actor_targets(site, await _chosen(command, fleet, names, category))
    filenames: list[str] = []

    def heard(target: Target, reply: Reply) -> None:
        _tell(command, relayed(called(site, target), reply.code, reply.keywords))
        filenames.extend(filenames_of(reply.keywords))

    seconds = deadline or fleet.actor.talk_seconds
    words = " ".join(camera_command)
    noted = None if only_asks(words) else (fleet.settings, fleet.call("talk", command))
    report = await talk(site, words, targets, deadline=seconds, heard=heard, links=fleet.links, noted=noted)
    by_label = {one.label: one for one in targets}
    failed: list[str] = []
    for result in report.results:
        target = by_label[f"{result.node}/{result.instance}"]
        # Of an actor that did not end it there is no last reply.
        keywords = result.keywords if result.outcome in {"done", "failed"} else {"error": result.error}
        heard(target, Reply(None, ":" if result.ok else "f", keywords=keywords))
        if not result.ok:
            failed.append(f"{called(site, target)} ({result.outcome}: {result.error})")
    if filenames:
        command.info(filename_bundle=filenames)
    if failed:
        raise CommandFailed(f"{report.command!r} did not succeed at {'; '.join(failed)}")


@fleet_command("disable", lambda fleet, _: fleet.actor.mark_seconds + _MARGIN)
@_NODES
@_ALL
@_REASON
async def disable_(
    command: Any, fleet: Fleet, *, nodes: Sequence[str], everything: bool, reason: str
) -> dict[str, Any]:
    """Takes nodes out of use until `enable`, through restarts of everything. What runs on them goes on."""
    reason = reason or "said to the actor, without a reason"
    return await _mark(command, fleet, "disable", nodes, everything=everything, reason=reason)


@fleet_command("enable", lambda fleet, _: fleet.actor.mark_seconds + _MARGIN)
@_NODES
@_ALL
@_REASON
async def enable_(command: Any, fleet: Fleet, *, nodes: Sequence[str], everything: bool, reason: str) -> dict[str, Any]:
    """Puts nodes into use again. It starts nothing: `reconnect` does."""
    return await _mark(command, fleet, "enable", nodes, everything=everything, reason=reason)


COMMANDS: list[click.Command] = [tell_status, reconnect, reboot_, talk_, disable_, enable_]


async def _mark(
    command: Any, fleet: Fleet, verb: str, nodes: Sequence[str], *, everything: bool, reason: str
) -> dict[str, Any]:
    if bool(nodes) == everything:
        raise CommandFailed("Name nodes, or say --all")
    site = fleet.site()
    call = fleet.call(verb, command, deadline=fleet.actor.mark_seconds, reason=reason)
    mark = {"enable": enable, "disable": disable}[verb]
    report = await fleet.do(partial(mark, site, fleet.settings, select(site, nodes), call))
    _tell(command, (said for node in report.nodes for said in _words_of(node)))
    failed = _failed(report.nodes)
    if failed:
        raise CommandFailed(f"Failed to {verb} {'; '.join(failed)}")
    return {"enabledNodes": await fleet.enabled_nodes()}


async def _chosen(command: Any, fleet: Fleet, names: str | None, category: str | None) -> Selection:
    """What is enabled of it, when somebody is told what is not."""
    chosen = await fleet.enabled(names, category)
    if names or category:
        _tell(command, (("w", {"text": f"Left out: {words}."}) for words in chosen.left))
    return chosen.selection


def _without_manager(command: Any, site: Site, selection: Selection) -> Selection:
    """All but the manager, when somebody is told so. Alone it stays: that it is not rebooted is then what failed."""
    others = tuple(one for one in selection if not is_manager(site, one.node))
    if not others:
        return selection
    left = [one.node.name for one in selection if is_manager(site, one.node)]
    _tell(command, (("w", {"text": f"Left out: {name} is the manager itself. Reboot it by hand."}) for name in left))
    return replace(selection, chosen=others)


async def _report_status(command: Any, fleet: Fleet, selection: Selection) -> None:
    site, seconds = fleet.site(), fleet.actor.node_seconds
    seen, volumes = await asyncio.gather(
        fleet.do(partial(status, site, fleet.settings, deadline=seconds, chosen=selection)),
        volumes_report(site, fleet.settings, selection, deadline=seconds),
    )
    nodes = {node.name: node for node in seen.nodes}
    places = {node.name: node for node in volumes.nodes}
    declared = [one.node for one in selection]
    alive = await asyncio.gather(*(_is_alive(node, nodes[node.name]) for node in declared))
    for node, there in zip(declared, alive, strict=True):
        _tell(command, node_replies(node, nodes[node.name], places.get(node.name), alive=there))


async def _is_alive(node: Node, seen: NodeStatus) -> bool:
    """Whether the host is there: its engine's port answers, if only with a refusal."""
    if seen.reachable:
        return True
    try:
        async with asyncio.timeout(_ALIVE):
            _, writer = await asyncio.open_connection(node.address, node.port)
    except ConnectionRefusedError:
        return True
    except (OSError, TimeoutError):
        return False
    writer.close()
    return True


def _tell(command: Any, replies: Iterable[Said]) -> None:
    for code, keywords in replies:
        # What instances say is not in our schema, and a text of theirs comes with their name.
        command.write(code, keywords, validate=False)


def _words_of(node: NodeResult) -> Iterator[Said]:
    if node.left:
        yield "w", {"text": f"{node.name}: left as it is: {node.left}."}
    if node.error:
        yield "w", {"text": f"{node.name}: {node.error}. {node.remedy}".rstrip(". ") + "."}
    if node.done:
        yield "i", {"text": f"{node.name}: {node.done}."}
    for step in node.steps:
        if step.detail:
            code = "d" if step.outcome == "done" else "w"
            yield code, {"text": f"{node.name}/{step.instance}: {step.action} {step.outcome}: {step.detail}."}


def _failed(nodes: Iterable[NodeResult]) -> list[str]:
    """Which did not do it, each with the reason."""
    found: list[str] = []
    for node in nodes:
        found += [f"{node.name} ({node.error})"] if node.error else []
        found += [
            f"{node.name}/{step.instance} ({step.action} {step.outcome}: {step.detail})"
            for step in node.steps
            if step.outcome in {"failed", "refused"}
        ]
    return found
