"""Print one summary, in pytest's words, of several runs: test_summary.py JUNIT_XML… Exit 1 when a test failed or there was none.

A test that was tried twice is in a report twice: the last one counts, and a test that only then passed is named.
"""

import sys
from pathlib import Path
from xml.etree import ElementTree


def main() -> int:
    """Add up the runs; a file that is missing is a run that never came to its end."""
    counts = {"failed": 0, "passed": 0, "skipped": 0, "error": 0, "rerun": 0}
    seconds = 0.0
    for path in map(Path, sys.argv[1:]):
        if not path.is_file():
            counts["error"] += 1
            print(f"ERROR {path}: these tests did not come to their end")
            continue
        for suite in ElementTree.parse(path).iter("testsuite"):  # noqa: S314  # our own tests wrote it
            seconds += float(suite.get("time", "0"))
            verdicts: dict[str, list[str]] = {}
            for case in suite.iter("testcase"):
                verdict = next((tag for tag in ("failure", "error", "skipped") if case.find(tag) is not None), "passed")
                name = f"{case.get('classname')}::{case.get('name')}"
                verdicts.setdefault(name, []).append({"failure": "failed"}.get(verdict, verdict))
            for name, tries in verdicts.items():
                # A test that was tried again has to pass then; what was skipped has proven nothing.
                last = tries[-1] if len(tries) == 1 or tries[-1] in ("passed", "error") else "failed"
                counts[last] += 1
                counts["rerun"] += len(tries) - 1
                if last in ("failed", "error"):
                    print(f"{last.upper()} {name}")
                elif len(tries) > 1:
                    print(f"RERUN {name}: it failed, and passed when it was tried again")
    told = ", ".join(f"{count} {word}" for word, count in counts.items() if count) or "no tests ran"
    print(f"======== {told} in {seconds:.2f}s ========")
    return int(bool(counts["failed"] or counts["error"] or not counts["passed"]))


if __name__ == "__main__":
    sys.exit(main())
