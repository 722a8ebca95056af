"""Starts the RE manager of the queue with this project's start-up.

queueserver takes Redis' password only inside the address, which it logs when Redis is away; so it is given here to the
client itself, from a file. Its client also fails once when Redis was restarted since it last asked: ours looks first.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# (the queue has no types)
from __future__ import annotations

import functools
import os
import sys
from importlib import resources
from pathlib import Path

import redis.asyncio
from bluesky_queueserver.manager.start_manager import start_manager

from bluefleet.acquisition.redis_client import patient_from_url
from bluefleet.acquisition.redis_ready import RedisAway, wait_for_redis
from bluefleet.acquisition.settings import Settings


def main() -> None:
    settings = Settings.from_environment()
    password = settings.redis_password
    redis.asyncio.from_url = functools.partial(patient_from_url, password=password)
    address = settings.redis_address or "localhost"
    try:
        wait_for_redis(address, password)
    except RedisAway as error:
        # Compose starts it again.
        sys.exit(str(error))
    state = Path(os.environ.get("BLUEFLEET_QUEUE_DIR", "/queue"))
    permissions = resources.files("bluefleet.acquisition").joinpath("user_group_permissions.yaml")
    with resources.as_file(permissions) as permissions_file:
        sys.argv = [
            "start-re-manager",
            "--startup-module=bluefleet.acquisition.startup",
            f"--existing-plans-devices={state / 'existing_plans_and_devices.yaml'}",
            # So that plans can be queued while the environment is closed, as it is after every start.
            "--update-existing-plans-devices=ALWAYS",
            # A site's plan with a signature that the queue can't describe is left out, by name in the log; others stay.
            "--ignore-invalid-plans=ON",
            f"--user-group-permissions={permissions_file}",
            f"--redis-addr={address}",
            "--zmq-publish-console=ON",
            *sys.argv[1:],
        ]
        start_manager()


if __name__ == "__main__":
    main()
