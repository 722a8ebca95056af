"""Print one summary, in pytest's words, of several runs: test_summary.py JUNIT_XML… Exit 1 when a test failed or there was none.

A test that was tried twice is in a report twice: the last try counts, and a test that only then passed is named.
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
                # A try that was followed by another has no verdict in a report. The last one has two when its end failed as well.
                reruns = sum(verdict == "passed" for verdict in tries[:-1])
                counts["rerun"] += reruns
                for verdict in tries[reruns:]:
                    # A test that was tried again has to pass then; what was skipped has proven nothing.
                    counted = "failed" if reruns and verdict == "skipped" else verdict
                    counts[counted] += 1
                    if counted in ("failed", "error"):
                        print(f"{counted.upper()} {name}")
                    elif reruns:
                        print(f"RERUN {name}: it failed, and passed when it was tried again")
    told = ", ".join(f"{count} {word}" for word, count in counts.items() if count) or "no tests ran"
    print(f"======== {told} in {seconds:.2f}s ========")
    return int(bool(counts["failed"] or counts["error"] or not counts["passed"]))


if __name__ == "__main__":
    sys.exit(main())
