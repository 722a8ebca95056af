"""Ansible callback: how long each stage of a playbook took and, when one failed, which, on which host, and the log to read."""

import json
import os
import time
from pathlib import Path

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: stages
type: aggregate
short_description: Time of each stage, and where a failure was
description:
  - A stage is a playbook file that site.yml imports.
  - With C(BLUEFLEET_STAGES_FILE) in the environment the times are written there too, as JSON.
"""


class CallbackModule(CallbackBase):
    """Collects times at the borders of plays and prints them at the end."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "stages"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self) -> None:
        super().__init__()
        self._seconds: dict[str, float] = {}
        # The last one of each host: what a `rescue` caught comes before what ended the play.
        self._failures: dict[str, str] = {}
        self._stage = ""
        self._since = time.monotonic()

    def _close_stage(self) -> None:
        if self._stage:
            now = time.monotonic()
            self._seconds[self._stage] = self._seconds.get(self._stage, 0.0) + now - self._since
            self._since = now

    def _note(self, result, what: str) -> None:
        host = result._host.get_name()
        task = result._task.get_name().strip()
        self._failures[host] = f"{self._stage}: {host} {what}: {task}"

    def v2_playbook_on_start(self, playbook) -> None:
        """Time before the first play (parsing) belongs to it."""
        self._since = time.monotonic()

    def v2_playbook_on_play_start(self, play) -> None:
        """A play of another file starts another stage."""
        self._close_stage()
        self._stage = Path(play.get_path().rsplit(":", 1)[0]).stem

    def v2_runner_on_failed(self, result, ignore_errors=False) -> None:
        """Remember a failure for the end."""
        if not ignore_errors:
            self._note(result, "failed at")

    def v2_runner_on_unreachable(self, result) -> None:
        """Remember a host that does not answer."""
        self._note(result, "does not answer at")

    def v2_playbook_on_stats(self, stats) -> None:
        """Print the summary."""
        self._close_stage()
        total = sum(self._seconds.values())
        if target := os.environ.get("BLUEFLEET_STAGES_FILE"):
            hosts = {host: stats.summarize(host) for host in stats.processed}
            told = {"seconds": self._seconds, "total": total, "failures": list(self._failures.values()), "hosts": hosts}
            Path(target).write_text(json.dumps(told), encoding="utf-8")
        line = " · ".join(f"{stage} {seconds:.0f} s" for stage, seconds in self._seconds.items())
        self._display.display(f"Stages: {line} · all {total:.0f} s")
        if not (stats.failures or stats.dark):
            return  # what failed was dealt with where it failed
        for failure in self._failures.values():
            self._display.display(f"Failed in {failure}", color="red")
        if self._failures and (log := os.environ.get("ANSIBLE_LOG_PATH")):
            self._display.display(f"Log: {log}", color="red")
