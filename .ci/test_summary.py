"""Print one summary, in pytest's words, of several runs: test_summary.py JUNIT_XML… Exit 1 when a test failed or there was none."""

import sys
from pathlib import Path
from xml.etree import ElementTree


def main() -> int:
    """Add up the runs; a file that is missing is a run that never came to its end."""
    counts = {"failed": 0, "passed": 0, "skipped": 0, "error": 0}
    seconds = 0.0
    for path in map(Path, sys.argv[1:]):
        if not path.is_file():
            counts["error"] += 1
            print(f"ERROR {path}: these tests did not come to their end")
            continue
        for suite in ElementTree.parse(path).iter("testsuite"):  # noqa: S314  # our own tests wrote it
            seconds += float(suite.get("time", "0"))
            for case in suite.iter("testcase"):
                verdict = next((tag for tag in ("failure", "error", "skipped") if case.find(tag) is not None), "passed")
                word = {"failure": "failed"}.get(verdict, verdict)
                counts[word] += 1
                if word in ("failed", "error"):
                    print(f"{word.upper()} {case.get('classname')}::{case.get('name')}")
    told = ", ".join(f"{count} {word}" for word, count in counts.items() if count) or "no tests ran"
    print(f"======== {told} in {seconds:.2f}s ========")
    return int(bool(counts["failed"] or counts["error"] or not counts["passed"]))


if __name__ == "__main__":
    sys.exit(main())
