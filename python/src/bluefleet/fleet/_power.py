"""Calls a node's declared power driver: off, then on whatever happens, but never on after an off that failed."""

import asyncio
from pathlib import Path

from bluefleet.fleet._edge import in_words, session
from bluefleet.fleet._program import run_program
from bluefleet.fleet._settings import Settings
from bluefleet.model import ACTION, Node, Power, PowerHttp


class PowerFailed(Exception):
    """The power driver did not do what it was asked; says whether the node may be without power now."""

    def __init__(self, words: str, remedy: str) -> None:
        self.remedy = remedy
        super().__init__(words)


async def cycle(node: Node, power: Power, settings: Settings) -> None:
    """Cut the node's power and give it back, also when who waits for it is cancelled meanwhile. Raises PowerFailed."""
    if power.cycles:
        await _ended(asyncio.create_task(_call(node, power, settings, "")))
        return
    off = asyncio.create_task(_call(node, power, settings, "off"))
    try:
        await _ended(off)
        await asyncio.sleep(power.off_seconds)
    finally:
        # An off that was cut short may have worked; one that failed did not.
        if off.cancelled() or not off.exception():
            await _ended(asyncio.create_task(_on(node, power, settings)))


async def _on(node: Node, power: Power, settings: Settings) -> None:
    try:
        await _call(node, power, settings, "on")
    except (PowerFailed, asyncio.CancelledError) as error:
        why = str(error) or "it was interrupted"
        raise PowerFailed(
            f"it was switched off, and not on again: {why}", f"{node.name} is off: switch it on by hand"
        ) from error


async def _ended(task: asyncio.Task[None]) -> None:
    """Wait for its end, which its own time limits bound, and be cancelled only then."""
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None and (task.cancelled() or not task.exception()):
        raise cancelled
    task.result()


async def _call(node: Node, power: Power, settings: Settings, action: str) -> None:
    if power.command is not None:
        wrong = await run_program([word.replace(ACTION, action) for word in power.command], power.timeout_seconds)
    elif power.http is not None:
        wrong = await asyncio.to_thread(_ask, power.http, settings, action, power.timeout_seconds)
    else:
        wrong = "none is declared"
    if wrong:
        words = f"power {action or 'cycle'} failed: {wrong}"
        raise PowerFailed(words, f"Try the power driver that is declared for {node.name} by hand")


def _ask(http: PowerHttp, settings: Settings, action: str, seconds: float) -> str:
    """What went wrong, in words."""
    url = http.url.replace(ACTION, action)
    headers = {"Content-Type": http.content_type} if http.body is not None else {}
    with session(Path(http.ca_file) if http.ca_file else settings.site_ca) as asking:
        try:
            if http.token_file is not None:
                token = Path(http.token_file).read_text(encoding="utf-8").strip()
                headers["Authorization"] = f"Bearer {token}"
            body = http.body.replace(ACTION, action).encode() if http.body is not None else None
            # A power unit that sends us elsewhere would be shown the token there.
            answer = asking.request(
                http.method,
                url,
                data=body,
                headers=headers,
                timeout=(min(5.0, seconds), seconds),
                allow_redirects=False,
            )
            answer.raise_for_status()
        except OSError as error:
            return f"{url} {in_words(error, seconds)}"
    return "" if answer.ok and not answer.is_redirect else f"{url} answered {answer.status_code}"
