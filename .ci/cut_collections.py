"""Copy a few Ansible collections out of the `ansible` wheel: python cut_collections.py WHEELS SITE_PACKAGES NAMESPACE/NAME…"""

import sys
import zipfile
from pathlib import Path


def main() -> None:
    """Unpack the named collections of the newest wheel in WHEELS below SITE_PACKAGES/ansible_collections."""
    wheels, site_packages, *names = sys.argv[1:]
    wheel = max(Path(wheels).glob("ansible-*.whl"), key=lambda path: path.stat().st_mtime)
    prefixes = tuple(f"ansible_collections/{name}/" for name in names)
    with zipfile.ZipFile(wheel) as archive:
        members = [name for name in archive.namelist() if name.startswith(prefixes) and "/tests/" not in name]
        if absent := [prefix for prefix in prefixes if not any(name.startswith(prefix) for name in members)]:
            sys.exit(f"{wheel.name} has no {', '.join(absent)}")
        archive.extractall(site_packages, members)


if __name__ == "__main__":
    main()
