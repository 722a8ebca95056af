"""Where the manager keeps what the fleet needs."""

import os
from dataclasses import dataclass, field
from pathlib import Path


def _folder(variable: str, default: str) -> Path:
    return Path(os.environ.get(variable, default))


@dataclass(frozen=True, slots=True)
class Settings:
    """Two folders, and everything else by its place in them, and systemd's; tests and benchmarks name others."""

    etc: Path = field(default_factory=lambda: _folder("BLUEFLEET_ETC", "/etc/bluefleet"))
    lib: Path = field(default_factory=lambda: _folder("BLUEFLEET_LIB", "/var/lib/bluefleet"))
    units: Path = field(default_factory=lambda: _folder("BLUEFLEET_UNITS", "/etc/systemd/system"))

    @property
    def site_file(self) -> Path:
        """The declared site."""
        return self.etc / "fleet.yml"

    @property
    def engine_certificate(self) -> Path:
        """Folder of the manager's client certificate, in Docker's own names."""
        return self.etc / "pki" / "engine-client"

    @property
    def reboot_ssh_config(self) -> Path:
        """How ssh reaches nodes with the manager's key that reboots them, and does nothing else."""
        return self.etc / "pki" / "reboot-client" / "ssh_config"

    @property
    def site_ca(self) -> Path:
        """The authority of everything but engines."""
        return self.etc / "pki" / "site-ca.crt"

    @property
    def registry_password(self) -> Path:
        """Password of the registry's user `pull`."""
        return self.etc / "secrets" / "fleet" / "registry_pull_password"

    @property
    def queue_api_key(self) -> Path:
        """Key of the queue's HTTP API."""
        return self.etc / "secrets" / "fleet" / "queue_api_key"

    @property
    def tiled_api_key(self) -> Path:
        """Key of Tiled and of what the sinks say of runs."""
        return self.etc / "secrets" / "fleet" / "tiled_api_key"

    @property
    def fleet_token(self) -> Path:
        """Token of the fleet service's API."""
        return self.etc / "secrets" / "fleet" / "fleet_token"

    @property
    def devices_file(self) -> Path:
        """The device database that every RunEngine reads."""
        return self.lib / "devices" / "devices.json"

    @property
    def devices_lock(self) -> Path:
        """Whoever brings the device database to the worker holds a lock on it."""
        return self.lib / "fleet" / "devices.lock"

    @property
    def refused_devices_file(self) -> Path:
        """Devices that plans must not use, read by every RunEngine."""
        return self.lib / "devices" / "refused.json"

    @property
    def told_file(self) -> Path:
        """Which device database the queue worker was last told to load."""
        return self.lib / "fleet" / "devices_told"

    @property
    def connections_file(self) -> Path:
        """Which devices answer the queue's worker, written by it."""
        return self.lib / "queue" / "devices.json"

    @property
    def pending_file(self) -> Path:
        """Is there as long as the worker has devices to load; its path unit starts `bluefleet devices join` then."""
        return self.lib / "fleet" / "devices_pending"

    @property
    def state_file(self) -> Path:
        """Overrides and history, in SQLite."""
        return self.lib / "fleet" / "state.sqlite"

    @property
    def locks_folder(self) -> Path:
        """A file a node: whoever works on the node holds a lock on it."""
        return self.lib / "fleet" / "locks"

    @property
    def logs_folder(self) -> Path:
        """What containers that were taken away have written: <node>/<instance>/<time>.log.gz."""
        return self.lib / "fleet" / "logs"
