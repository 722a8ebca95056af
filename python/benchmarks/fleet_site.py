"""A site of many nodes that are all this machine's own engine, with an instance each, for a benchmark."""

from __future__ import annotations

import json
import subprocess
import sys
import uuid
from collections.abc import Sequence
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1] / "tests"))
from small_registry import SmallRegistry
from tls_front import Authority

PASSWORD = "a password for pulls"  # noqa: S105 (of a registry that lives as long as the benchmark)


def docker(*arguments: str) -> str:
    """What `docker …` prints."""
    return subprocess.run(
        ["docker", *arguments], check=True, capture_output=True, text=True, timeout=300
    ).stdout.strip()


class ManyNodes:
    """Folders of a manager; `environment` of a site says the command which of its fleets is meant."""

    def __init__(self, folder: Path) -> None:
        self.name = f"bench-{uuid.uuid4().hex[:8]}"
        self._folder = folder
        self.registry = SmallRegistry(PASSWORD, self.name)
        authority = Authority(folder / "ca", "engines")
        authority.sign(folder / "ca" / "manager", [])
        self.authority = authority.file
        self._authority = authority

    def server(self, addresses: Sequence[str]) -> Path:
        """The engines' certificate: a path without .crt and .key."""
        path = self._folder / "ca" / "server"
        self._authority.sign(path, list(addresses))
        return path

    def environment(
        self, fleet: str, engines: Sequence[tuple[str, int]], silent: Sequence[tuple[str, int]] = ()
    ) -> dict[str, str]:
        """Write a fleet of these engines, with an instance each, and of those that never answer."""
        etc, lib = self._folder / fleet / "etc", self._folder / fleet / "lib"
        keys = etc / "pki" / "engine-client"
        keys.mkdir(parents=True)
        for source, name in (
            (self.authority, "ca"),
            (self._folder / "ca/manager.crt", "cert"),
            (self._folder / "ca/manager.key", "key"),
        ):
            (keys / f"{name}.pem").write_bytes(source.read_bytes())
        password = etc / "secrets" / "fleet" / "registry_pull_password"
        password.parent.mkdir(parents=True)
        password.write_text(PASSWORD + "\n")
        nodes = [
            {
                "name": f"node{number}",
                "address": address,
                "port": port,
                "instances": [{"name": f"{self.name}-{number}", "image": "tiny"}] if number <= len(engines) else [],
            }
            for number, (address, port) in enumerate([*engines, *silent], 1)
        ]
        site = {
            "schema_version": 1,
            "site": self.name,
            "hosts": {
                "manager": {"address": "127.0.0.1", "groups": ["manager"]},
                **{str(node["name"]): {"address": node["address"], "groups": ["nodes"]} for node in nodes},
            },
            "registry": {"address": self.registry.address, "tls": False},
            "images": {"tiny": {"reference": self.registry.reference, "digest": self.registry.digest}},
            "nodes": nodes,
        }
        # As YAML's own writer would: what site.yml renders is no JSON either.
        import yaml

        (etc / "fleet.yml").write_text(yaml.safe_dump(json.loads(json.dumps(site)), sort_keys=False), encoding="utf-8")
        return {"BLUEFLEET_ETC": str(etc), "BLUEFLEET_LIB": str(lib)}

    def remove(self) -> None:
        """Take its containers and its image from the engine."""
        ids = docker("ps", "-aq", "--filter", f"label=org.bluefleet.site={self.name}").split()
        if ids:
            docker("rm", "--force", *ids)
        for line in docker("images", "--digests", "--format", "{{.Digest}} {{.ID}}").splitlines():
            digest, identity = line.split()
            if digest == self.registry.digest:
                docker("rmi", "--force", identity)
        self.registry.close()
