"""The observatory's door to the fleet: an actor, built on clu, that speaks fliswarm's commands and keywords."""

from bluefleet.actor._named_files import log_outside
from bluefleet.actor._process import serve
from bluefleet.actor._running import (
    AlreadyRuns,
    NotOurs,
    Running,
    answers,
    daemonise,
    end,
    pid_file,
    running,
)
from bluefleet.actor._settings import ActorSettings, ActorSettingsInvalid

__all__ = [
    "ActorSettings",
    "ActorSettingsInvalid",
    "AlreadyRuns",
    "NotOurs",
    "Running",
    "answers",
    "daemonise",
    "end",
    "log_outside",
    "pid_file",
    "running",
    "serve",
]
