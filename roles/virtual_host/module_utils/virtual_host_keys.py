"""SSH keys of the laboratory, kept on the control machine: a host made anew is still the same host to its clients."""

import hashlib
from pathlib import Path

from ansible.module_utils.virtual_host_engine import run
from ansible.module_utils.virtual_host_plan import Host


class Keys:
    """The folder `ssh` of the site's state: one user key, one host key each, known_hosts."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.user_key = directory / "id_ed25519"
        self.known_hosts = directory / "known_hosts"

    def host_key(self, host: str) -> Path:
        """Private key of a host."""
        return self.directory / "hosts" / host / "ssh_host_ed25519_key"

    def missing(self, hosts: list[str]) -> list[Path]:
        """Keys that are still to be made."""
        wanted = [self.user_key, *(self.host_key(host) for host in hosts)]
        return [key for key in wanted if not (key.exists() and public(key).exists())]

    def make(self, keys: list[Path]) -> None:
        """Make keys; what an interrupted run left of one is removed first."""
        for key in keys:
            key.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            for half in (key, public(key)):
                half.unlink(missing_ok=True)
            run(
                ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "bluefleet laboratory", "-f", str(key)],
                stage="make SSH keys",
            )

    def files(self, host: str) -> dict[str, tuple[Path, int]]:
        """What a host is given: path there → (file here, mode)."""
        key = self.host_key(host)
        return {
            "/etc/ssh/ssh_host_ed25519_key": (key, 0o600),
            "/etc/ssh/ssh_host_ed25519_key.pub": (public(key), 0o644),
            "/root/.ssh/authorized_keys": (public(self.user_key), 0o600),
        }

    def fingerprint(self, host: str) -> str:
        """Hash of what a host is given; '' while keys are missing."""
        if self.missing([host]):
            return ""
        return hashlib.sha256(b"".join(source.read_bytes() for source, _ in self.files(host).values())).hexdigest()

    def known_hosts_text(self, hosts: list[Host]) -> str:
        """Content of known_hosts: each host under its address and its name."""
        return "".join(
            f"{host.address},{host.name} {' '.join(public(self.host_key(host.name)).read_text().split()[:2])}\n"
            for host in hosts
        )

    def write_known_hosts(self, hosts: list[Host]) -> bool:
        """Bring known_hosts up to date; say whether it had to change."""
        text = self.known_hosts_text(hosts)
        if self.known_hosts.exists() and self.known_hosts.read_text() == text:
            return False
        unfinished = self.known_hosts.with_suffix(".unfinished")
        unfinished.write_text(text)
        unfinished.rename(self.known_hosts)
        return True


def public(key: Path) -> Path:
    """The public half of a key."""
    return key.with_name(f"{key.name}.pub")
