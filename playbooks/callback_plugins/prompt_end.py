"""Ansible callback: Ctrl-C ends a run, also where Ansible would go on or wait for ever."""

import os
import signal
import sys
import threading
import time

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: prompt_end
type: aggregate
short_description: Ctrl-C ends a run within seconds
description:
  - Ansible answers an interrupt by an exception, which Python drops when it comes while an object is being finalised. The
    run then goes on, or waits for ever for workers that have ended.
  - An exception that was dropped is raised again, and once more in a run that has not ended seconds later. Where that does
    not help either, the run is ended as a second Ctrl-C would.
"""

# Long enough for what was being finalised to be done.
DROPPED = 0.05
# An interrupted run that is well ends within two seconds on the smallest machine.
PATIENCE = 4.0
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
                threading.Thread(target=see_to_the_end, daemon=True).start()
            theirs(number, frame)

        def dropped(unraisable):
            if os.getpid() == own and unraisable.exc_type is KeyboardInterrupt:
                threading.Timer(DROPPED, raise_again).start()
            else:
                report(unraisable)

        report = sys.unraisablehook
        sys.unraisablehook = dropped
        # A signal of its own, so that a second Ctrl-C stays what Ansible makes of it: the end at once.
        signal.signal(signal.SIGUSR1, signal.default_int_handler)
        signal.signal(signal.SIGINT, interrupted)


def raise_again() -> None:
    """The exception only: the workers were told at the first time."""
    os.kill(os.getpid(), signal.SIGUSR1)


def see_to_the_end() -> None:
    """Runs beside an interrupted run for as long as it goes on."""
    time.sleep(PATIENCE)
    raise_again()
    time.sleep(GRACE - PATIENCE)
    sys.stderr.write(
        f"ERROR: not ended {GRACE:g} s after the interrupt; ended now. Run it again to finish what it left.\n"
    )
    sys.stderr.flush()
    os._exit(INTERRUPTED)
