"""Ansible callback: Ctrl-C ends a run, also where Ansible would wait for ever."""

import os
import signal
import sys
import threading

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: prompt_end
type: aggregate
short_description: Ctrl-C ends a run within seconds
description:
  - Ansible answers an interrupt by an exception, which Python drops when it comes while an object is being finalised. The
    workers have ended by then, and Ansible waits for what they will never say.
  - A run that has not ended some seconds after the interrupt is ended as a second Ctrl-C would.
"""

# An interrupted run that is well ends within two seconds on the smallest machine.
GRACE = 10.0
INTERRUPTED = 128 + signal.SIGINT


class CallbackModule(CallbackBase):
    """Puts itself before Ansible's own answer to an interrupt."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "prompt_end"
    CALLBACK_NEEDS_ENABLED = True

    def v2_playbook_on_start(self, playbook) -> None:
        """Ansible has set its handlers, and no worker is there yet to inherit this one."""
        theirs = signal.getsignal(signal.SIGINT)
        if not callable(theirs):
            return
        own = os.getpid()

        def interrupted(number, frame):
            if os.getpid() == own:
                end = threading.Timer(GRACE, give_up)
                end.daemon = True
                end.start()
            theirs(number, frame)

        signal.signal(signal.SIGINT, interrupted)


def give_up() -> None:
    """End at once; what was not finished, the next run finishes."""
    sys.stderr.write(
        f"ERROR: not ended {GRACE:g} s after the interrupt; ended now. Run it again to finish what it left.\n"
    )
    sys.stderr.flush()
    os._exit(INTERRUPTED)
