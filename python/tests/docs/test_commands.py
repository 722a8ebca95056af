"""The commands in the documentation are commands that work."""

from __future__ import annotations

import ast
import os
import re
import shlex
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import yaml

from bluefleet.cli.main import VERBS
from patience import PATIENCE

ROOT = Path(__file__).resolve().parents[3]
PAGES = [ROOT / "README.md", ROOT / "inventories" / "example" / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^```(?P<language>\w*)(?P<kind>[^\n]*)\n(?P<text>.*?)^```", re.MULTILINE | re.DOTALL)
BIN = Path(sys.executable).parent


@dataclass(frozen=True)
class Block:
    """A block of a page: ``sh lab`` and ``python lab`` run on the running lab, the rest is looked at without one.

    ``sh host`` is typed as root on the host that the page names: a test of the laboratory's own runs it from the page.
    The ``lab session`` blocks of a page follow each other in one shell, Python with the ``python`` that is there then.
    """

    page: str
    line: int
    language: str
    kind: str
    text: str


def blocks() -> list[Block]:
    """Every block of every page, its own indentation and all."""
    found: list[Block] = []
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for match in BLOCK.finditer(text):
            line = text.count("\n", 0, match.start()) + 1
            found.append(
                Block(str(page.relative_to(ROOT)), line, match["language"], match["kind"].strip(), match["text"])
            )
    return found


def named(block: Block) -> str:
    """How a test calls a block."""
    return f"{block.page}:{block.line}"


# How a line begins that is a command of this project.
COMMAND = re.compile(
    r"(\$ )?(sudo |[A-Z_]+=\S* )*(\S*/)?(make|ansible-playbook|bluefleet|fab|bootstrap|pytest|molecule)( |$)"
)


def commands(text: str) -> list[str]:
    """The commands of a block, without comments and with continued lines joined."""
    joined = text.replace("\\\n", " ")
    stripped = (re.sub(r"\s+#.*$", "", line).strip() for line in joined.splitlines())
    return [line for line in stripped if line and not line.startswith("#")]


# Each command that is not run from its page, once, with the places where it stands.
UNRUN: dict[str, list[str]] = {}
for _block in blocks():
    if (_block.language, _block.kind) == ("sh", ""):
        for _command in commands(_block.text):
            UNRUN.setdefault(_command, []).append(named(_block))


SHELL = ["bash", "-euo", "pipefail", "-c"]
# Page → its blocks of kind `lab session` as one script.
SESSIONS: dict[str, str] = {}
for _block in blocks():
    if _block.kind == "lab session":
        _typed = _block.text if _block.language == "sh" else f"python - <<'END OF BLOCK'\n{_block.text}END OF BLOCK\n"
        SESSIONS[_block.page] = SESSIONS.get(_block.page, "") + _typed


def harmless(command: str) -> list[str]:  # noqa: PLR0911  (a line for each kind of command)
    """The same command, asked so that nothing happens and yet every name in it must be right."""
    words = ["inventories/example" if word == "inventories/mysite" else word for word in shlex.split(command)]
    match words:
        case ["make", *targets]:
            return ["make", "--dry-run", *targets]
        case [".venv/bin/ansible-playbook", *rest]:
            return [str(BIN / "ansible-playbook"), *rest, "--syntax-check"]
        case [".venv/bin/bluefleet", *rest]:
            return [str(BIN / "bluefleet"), *with_help(rest)]
        case [".venv/bin/fab", "-H", _, name, *_]:
            return [str(BIN / "fab"), "--help", name]
        case ["tar", "--create", "--gzip", "--file", _, folder]:
            return ["ls", folder]
        case ["cp", "-r", source, _]:
            return ["ls", source]
        case ["ssh", *rest]:
            # Says what it would do, and connects nowhere.
            return ["ssh", "-G", *rest]
        case [".ci/bootstrap"]:
            return ["bash", "-n", ".ci/bootstrap"]
        case _:
            raise AssertionError(
                f"mark the block `sh lab`, so that it is run, or say here how it is checked: {command}"
            )


def with_help(words: list[str]) -> list[str]:
    """Asks the verb for its help: at the end, or before what belongs to another program."""
    for position, word in enumerate(words):
        if word in VERBS and VERBS[word].passes_on:
            return [*words[: position + 1], "--help", *words[position + 1 :]]
    return [*words, "--help"]


def asked(command: str) -> Any:
    """A command for the test below; Ansible takes seconds to look a playbook through."""
    return pytest.param(command, marks=pytest.mark.slow if "ansible-playbook" in command else ())


@pytest.mark.timeout(60)
@pytest.mark.parametrize("command", [asked(command) for command in UNRUN])
def test_a_command_that_no_test_runs_from_the_page_is_a_command(command: str) -> None:
    done = subprocess.run(
        harmless(command),
        cwd=ROOT,
        env={**os.environ, "ANSIBLE_NOCOLOR": "1"},
        capture_output=True,
        text=True,
        timeout=55 * PATIENCE,
        check=False,
    )
    assert done.returncode == 0, f"{', '.join(UNRUN[command])}: {command}\n{done.stdout}{done.stderr}"


@pytest.mark.parametrize("command", ["ansible-playbook site.yml", "bluefleet status", "./mend-it"])
def test_a_command_that_a_fresh_machine_does_not_have_is_refused(command: str) -> None:
    with pytest.raises(AssertionError, match="say here how it is checked"):
        harmless(command)


def test_every_block_is_of_a_known_kind() -> None:
    kinds = {(block.language, block.kind) for block in blocks()}
    run = {(language, kind) for language in ("sh", "python") for kind in ("lab", "lab session")}
    assert kinds <= run | {("sh", ""), ("sh", "host"), ("yaml", ""), ("toml", ""), ("python", ""), ("", "")}


@pytest.mark.parametrize("block", [one for one in blocks() if (one.language, one.kind) == ("python", "")], ids=named)
def test_a_sample_of_a_program_is_python(block: Block) -> None:
    assert ast.parse(block.text).body


@pytest.mark.parametrize("block", [one for one in blocks() if one.language == "toml"], ids=named)
def test_a_sample_of_a_package_is_toml(block: Block) -> None:
    assert tomllib.loads(block.text)


@pytest.mark.parametrize("block", [one for one in blocks() if not one.language], ids=named)
def test_a_block_without_a_language_is_a_picture_and_no_commands(block: Block) -> None:
    assert not [line for line in block.text.splitlines() if COMMAND.match(line)], f"{named(block)}: mark it `sh`"


@pytest.mark.parametrize("block", [one for one in blocks() if one.language == "yaml"], ids=named)
def test_a_sample_of_an_inventory_is_yaml(block: Block) -> None:
    assert yaml.safe_load(block.text)


@pytest.mark.lab
@pytest.mark.timeout(300)
@pytest.mark.parametrize("block", [one for one in blocks() if one.kind == "lab"], ids=named)
def test_the_commands_of_the_page_work_on_the_lab(block: Block) -> None:
    program = {"sh": SHELL, "python": [str(BIN / "python"), "-c"]}[block.language]
    # A group of consumers goes on where it stopped: what was read by an earlier test would not come again.
    printed = runs(named(block), [*program, block.text.replace("listener-mine", f"listener-{uuid4()}")])
    assert_all_went_as_the_page_says(named(block), printed)


@pytest.mark.lab
@pytest.mark.timeout(300)
@pytest.mark.parametrize("page", SESSIONS)
def test_the_commands_of_the_page_work_on_the_lab_one_after_the_other(page: str) -> None:
    assert_all_went_as_the_page_says(page, runs(page, [*SHELL, SESSIONS[page]]))


@pytest.mark.parametrize("page", SESSIONS)
def test_the_commands_that_follow_each_other_can_be_read_by_a_shell(page: str) -> None:
    done = subprocess.run(
        ["bash", "-n", "-c", SESSIONS[page]], capture_output=True, text=True, timeout=10 * PATIENCE, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("block", [one for one in blocks() if one.kind == "host"], ids=named)
def test_the_commands_for_a_host_can_be_read_by_a_shell_and_are_run_by_a_test(block: Block) -> None:
    done = subprocess.run(
        ["bash", "-n", "-c", block.text], capture_output=True, text=True, timeout=10 * PATIENCE, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    tests = (ROOT / "python" / "tests" / "lab").glob("test_*.py")
    assert any(Path(block.page).name in test.read_text(encoding="utf-8") for test in tests)


# How the plans of a page's session end, in order: what its `history/get | last` prints first, or its program at the end of a run.
ENDS = {
    "docs/how-to/queue-plans.md": [
        "scan completed",
        "count completed",
        "scan failed",  # the page leaves out an argument
        "count completed",  # behind another that failed, with the mode in which the queue goes on
        "count failed",  # the page destroys the environment
        "scan completed",
    ],
    "docs/how-to/adaptive-scans.md": ["completed 17"],
    "docs/how-to/xafs.md": ["xafs completed"],
    "docs/how-to/follow-the-documents.md": ["success", "31 points"],
}
STATUS = "completed|stopped|failed|aborted|halted|unknown"
RUN_STATUS = "success|fail|abort"
END = re.compile(rf"^(?:\w+ (?:{STATUS})|(?:{STATUS}) \d+|(?:{RUN_STATUS})(?= )|\d+ points)\b", re.MULTILINE)
# What the queue answers of an item that went wrong, and what a program writes that did.
WRONG = re.compile(r'"exit_status": ?"(?:failed|aborted|halted|unknown)"|Traceback \(most recent call last\)')


def assert_all_went_as_the_page_says(name: str, printed: str) -> None:
    """Commands that ask for a plan's end succeed however it ended."""
    meant = ENDS.get(name, [])
    if name in SESSIONS:
        assert END.findall(printed) == meant, printed
    if not any("failed" in end for end in meant):
        assert not WRONG.search(printed), printed


SAID = {
    "docs/how-to/follow-the-documents.md": (
        "scan 7: scan, 6a2a5c30-1d0c-4a53-8f0f-0c5cf0a1e1a4\n         1                    0\nsuccess \n"
        "31 points of pinhole over motor_ph: .cache/following/scan.png\n"
    ),
    "docs/how-to/adaptive-scans.md": "completed 17 \n",
    "docs/how-to/xafs.md": "xafs completed 6a2a5c30-1d0c-4a53-8f0f-0c5cf0a1e1a4 \n",
    "docs/how-to/queue-plans.md": (
        "scan completed 6a2a5c30 \ncount completed 6a2a5c30 \nscan failed  The number of points must be provided\n"
        '{"success":true,"items":[{"result":{"exit_status":"failed","traceback":"Traceback (most recent call last):"}}]}\n'
        "count completed 6a2a5c30 \ncount failed 6a2a5c30 RE Worker environment was destroyed\nscan completed 6a2a5c30 \n"
    ),
}


@pytest.mark.parametrize("page", SAID)
def test_a_session_that_goes_as_its_page_says_is_well(page: str) -> None:
    assert page in SESSIONS
    assert_all_went_as_the_page_says(page, SAID[page])


@pytest.mark.parametrize(
    ("page", "old", "new"),
    [
        ("docs/how-to/follow-the-documents.md", "success ", "fail pinhole stopped answering"),
        ("docs/how-to/follow-the-documents.md", "success ", "abort "),
        ("docs/how-to/follow-the-documents.md", "success \n", ""),
        ("docs/how-to/follow-the-documents.md", "31 points", "7 points"),
        ("docs/how-to/adaptive-scans.md", "completed 17", "failed 3"),
        ("docs/how-to/xafs.md", "completed", "aborted"),
        ("docs/how-to/xafs.md", "xafs", '{"result":{"exit_status": "failed"}}\nxafs'),
        ("docs/how-to/xafs.md", "xafs", "Traceback (most recent call last):\nxafs"),
        ("docs/how-to/queue-plans.md", "count completed", "count aborted"),
        ("docs/how-to/queue-plans.md", "count completed 6a2a5c30 \n", ""),
    ],
)
def test_a_session_in_which_a_plan_fails_unasked_fails(page: str, old: str, new: str) -> None:
    assert old in SAID[page]
    with pytest.raises(AssertionError):
        assert_all_went_as_the_page_says(page, SAID[page].replace(old, new))


def runs(name: str, command: list[str]) -> str:
    """The command ends well, and prints something, which is returned."""
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=280 * PATIENCE, check=False)
    assert done.returncode == 0, f"{name}\n{done.stdout}\n{done.stderr}"
    assert done.stdout + done.stderr, f"{name} printed nothing"
    return done.stdout + done.stderr
