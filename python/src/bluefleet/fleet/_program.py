"""Runs a program that a node is switched or told to reboot with."""

import asyncio
import os
import signal
from asyncio.subprocess import PIPE


async def run_program(words: list[str], seconds: float) -> str:
    """Run it to its end, or to that of its time; what went wrong, in words, empty when nothing did."""
    try:
        # Ctrl-C reaches all of a terminal's session: it must not end a power driver in the middle.
        process = await asyncio.create_subprocess_exec(
            *words, stdin=asyncio.subprocess.DEVNULL, stdout=PIPE, stderr=PIPE, start_new_session=True
        )
    except OSError as error:
        return f"{words[0]} can't be run: {error.strerror}"
    try:
        async with asyncio.timeout(seconds):
            out, err = await process.communicate()
    except TimeoutError:
        return f"{words[0]} did not end within {seconds:g} s"
    finally:
        if process.returncode is None:
            os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
    said = (err or out).decode(errors="replace").strip()[-200:]
    return f"{words[0]} ended with {process.returncode}: {said}".rstrip(": ") if process.returncode else ""
