"""``python -m bluefleet.proof < facts.json``: one JSON object on stdout; 1 when a promise isn't kept."""

from __future__ import annotations

import json
import sys
from concurrent.futures import ThreadPoolExecutor

import httpx
from pydantic import ValidationError

from bluefleet.proof.checks import Check, NotLookedAt, all_checks
from bluefleet.proof.facts import Site

# Nearly all of them wait for the network.
AT_ONCE = 48


def look(check: Check) -> tuple[str, str | None]:
    """How it went (`kept`, `broken` or `not looked at`) and what was found."""
    try:
        found = check.look()
    except NotLookedAt as reason:
        return "not looked at", str(reason)
    except (OSError, httpx.HTTPError, json.JSONDecodeError) as error:
        return "broken", f"it could not be looked at: {error or type(error).__name__}"
    return ("kept", None) if found is None else ("broken", found)


def main() -> int:
    try:
        site = Site.model_validate_json(sys.stdin.read())
    except ValidationError as error:
        sys.stderr.write(f"the facts of the site are not understood: {error}\n")
        return 2
    checks = all_checks(site)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        found = list(pool.map(look, checks))
    told: dict[str, list[dict[str, str | None]]] = {"kept": [], "broken": [], "not looked at": []}
    for check, (how, what) in zip(checks, found, strict=True):
        line = {"host": check.host, "promise": check.promise, "found": what, "remedy": check.remedy}
        told[how].append(line)
    answer = {
        "schema_version": 1,
        "checked": len(checks) - len(told["not looked at"]),
        "broken": told["broken"],
        "not_looked_at": told["not looked at"],
    }
    sys.stdout.write(json.dumps(answer) + "\n")
    return 1 if told["broken"] else 0


if __name__ == "__main__":
    sys.exit(main())
