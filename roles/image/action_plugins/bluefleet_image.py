"""Action plugin: builds and pushes images from the control machine, and tells of each as it is done.

The work is done by `roles/image/builder`, a program of its own: it reads this repository's files, which only the
control machine has. With `background` it goes on while the play does, and ends with ansible-playbook; whoever asks for
the same images later waits for what it is building.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

display = Display()
BUILDER = Path(__file__).parent.parent / "builder"


class ActionModule(ActionBase):
    """Runs the builder with the task's arguments as its order."""

    _supports_check_mode = True
    _requires_connection = False

    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        order = dict(self._task.args)
        background = order["ahead"] = order.pop("background", False)
        if self._task.check_mode:
            if background:
                return {**result, "changed": False}
            if order["state"] == "built":
                # What is only built is in no registry, and nothing is missing there.
                order["registry"] = None
            order["state"] = "planned"
        order["while_alive"] = os.getppid() if background else os.getpid()
        if background:
            self._start(order)
            return {**result, "changed": False}
        return {**result, **self._follow(order)}

    def _start(self, order):
        folder = Path(order["log_dir"])
        folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.mkdir(exist_ok=True)
        with (folder / "background.jsonl").open("wb") as output:
            builder = subprocess.Popen(
                [sys.executable, str(BUILDER)],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        builder.stdin.write(json.dumps(order).encode())
        builder.stdin.close()

    def _follow(self, order):
        builder = subprocess.Popen(
            [sys.executable, str(BUILDER)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        last = {}
        try:
            builder.stdin.write(json.dumps(order))
            builder.stdin.close()
            for line in builder.stdout:
                last = json.loads(line)
                told = _told(last)
                if told:
                    display.display(f"  {told}")
            errors = builder.stderr.read()
            builder.wait()
        finally:
            if builder.poll() is None:
                os.killpg(builder.pid, signal.SIGTERM)
                builder.wait()
        if last.get("event") == "result":
            return {key: last[key] for key in ("changed", "images", "built", "pushed", "seconds")}
        said = last.get("message") or f"the image builder ended without a result: {errors.strip()}"
        return {"failed": True, "msg": said}


def _told(event):
    """One line for people about what the builder reports, or nothing."""
    image = event.get("image", "")
    told = ""
    match event["event"]:
        case "plan" if event["stale"]:
            told = f"images to build: {', '.join(event['stale'])}"
        case "waiting":
            told = f"image {image}: being built already, waiting for it"
        case "built":
            told = f"image {image}: built in {event['seconds']:.0f} s, {event['size'] / 1e6:.0f} MB"
        case "saving":
            told = f"images to push: {', '.join(event['images'])}"
        case "pushed":
            told = f"image {image}: pushed in {event['seconds']:.0f} s"
        case "forgotten" if event["tags"]:
            told = f"old tags deleted from the registry: {', '.join(event['tags'])}"
    return told
