"""``python -m bluefleet.proof < facts.json``: one JSON object on stdout; 1 when a promise isn't kept."""

from __future__ import annotations

import json
import sys
from concurrent.futures import ThreadPoolExecutor

import httpx
from pydantic import ValidationError

from bluefleet.proof.checks import Check, all_checks
from bluefleet.proof.facts import Site

# Nearly all of them wait for the network.
AT_ONCE = 48


def look(check: Check) -> str | None:
    try:
        return check.look()
    except (OSError, httpx.HTTPError) as error:
        return f"it could not be looked at: {error or type(error).__name__}"


def main() -> int:
    try:
        site = Site.model_validate_json(sys.stdin.read())
    except ValidationError as error:
        sys.stderr.write(f"the facts of the site are not understood: {error}\n")
        return 2
    checks = all_checks(site)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        found = list(pool.map(look, checks))
    broken = [
        {"host": check.host, "promise": check.promise, "found": what, "remedy": check.remedy}
        for check, what in zip(checks, found, strict=True)
        if what is not None
    ]
    sys.stdout.write(json.dumps({"schema_version": 1, "checked": len(checks), "broken": broken}) + "\n")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
