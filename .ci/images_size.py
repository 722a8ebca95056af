"""Print the room that this project's images take on the engine's disk; a layer that several share counts once."""

import json
import subprocess

UNITS = {"B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9}


def size(text: str) -> float:
    """Bytes of the engine's `1.2GB`."""
    number = text.rstrip("kMGB")
    return float(number) * UNITS[text[len(number) :]]


def main() -> None:
    """Ask the engine and print, in GB."""
    listed = subprocess.run(
        ["docker", "system", "df", "--verbose", "--format", "{{json .Images}}"],
        capture_output=True,
        text=True,
        check=True,
    )
    ours = [image for image in json.loads(listed.stdout or "[]") if image["Repository"].startswith("bluefleet/")]
    shared = max((size(image["SharedSize"]) for image in ours), default=0.0)
    print(f"about {(sum(size(image['UniqueSize']) for image in ours) + shared) / 1e9:.1f} GB")


if __name__ == "__main__":
    main()
