"""What the text of a scan may say, and what is told of one that can't be done."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.acquisition.xafs.conftest import TEXT

from bluefleet.acquisition.xafs.mistakes import XafsRefused
from bluefleet.acquisition.xafs.scan import XafsScan

FIELDS: dict[str, Any] = {
    "filename": "cufoil", "element": "Cu", "edge": "K", "sample": "Cu metal",
    "bounds": [-200, -30, "15k"], "steps": [10, "2"], "times": "0.5 0.5",
}  # fmt: skip


def refused(given: str | dict[str, Any]) -> str:
    with pytest.raises(XafsRefused) as refusal:
        XafsScan.read(given)
    return str(refusal.value)


def changed(old: str, new: str) -> str:
    assert TEXT.count(old) == 1, old
    return TEXT.replace(old, new)


def test_the_text_is_read_as_it_stands() -> None:
    scan = XafsScan.read(TEXT)
    assert scan.filename == "cufoil"
    assert scan.experimenters == ("Betty Cooper", "Veronica Lodge", "Archibald Andrews")
    assert (scan.element, scan.edge, scan.e0) == ("Cu", "K", 8979.0)
    assert (scan.sample, scan.prep, scan.comment) == ("Cu metal", "standard foil", "Welcome to BMM")
    assert (scan.nscans, scan.start, scan.mode) == (3, 1, "transmission")
    assert [str(each) for each in scan.bounds] == ["-200", "-30", "-10", "15.5", "15k"]
    assert [str(each) for each in scan.steps] == ["10", "2", "0.3", "0.05k"]
    assert [str(each) for each in scan.times] == ["0.5", "0.5", "0.5", "0.25k"]


def test_the_text_on_the_page_is_this_one() -> None:
    page = Path(__file__).parents[4] / "docs" / "how-to" / "xafs.md"
    assert f"```\n{TEXT}```\n" in page.read_text(encoding="utf-8")


def test_what_the_page_says_of_mistakes_is_what_is_told() -> None:
    page = Path(__file__).parents[4] / "docs" / "how-to" / "xafs.md"
    said = refused(changed("= 8979", "= 8333").replace("10    2.0  0.3  0.05k", "10 2.0 0.3"))
    assert f"```\n{said}\n```\n" in page.read_text(encoding="utf-8")


def test_a_text_that_a_program_indents_is_the_same_text() -> None:
    assert XafsScan.read("\n" + "\n".join("    " + line for line in TEXT.splitlines())) == XafsScan.read(TEXT)


def test_a_file_is_named_by_its_mistakes(tmp_path: Path) -> None:
    file = tmp_path / "cufoil.ini"
    file.write_text(TEXT)
    assert XafsScan.read(str(file)) == XafsScan.read(TEXT)
    file.write_text(changed("mode = transmission", "mode = transmision"))
    assert refused(str(file)).startswith("cufoil.ini:16: mode = transmision: choose one of transmission, ")


def test_fields_may_come_one_by_one_and_what_is_left_out_has_a_value() -> None:
    scan = XafsScan.read({**FIELDS, "element": "cu", "edge": "k", "mode": "Both"})
    assert (scan.element, scan.edge, scan.e0, scan.mode) == ("Cu", "K", 8979.0, "both")
    assert (scan.nscans, scan.start, scan.experimenters) == (1, 1, ())
    assert XafsScan.read({**FIELDS, "element": "Pt", "edge": "L3"}).e0 == 11564.0
    assert refused({**FIELDS, "edge": "Q"}).startswith("edge = Q: not an edge")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("[scan]", "", "line 2: before any [scan]: the text must begin with a line [scan]"),
        ("[scan]", "[scna]", "there is no section [scan]; begin with a line [scan]"),
        ("nscans        = 3", "[more]\nnscans = 3", "section [more] is not known: everything belongs into [scan]"),
        ("mode = transmission", "mode: transmission\nmode = both", "line 17: mode is there twice; leave one of them"),
        ("mode = transmission", "transmission", "line 16: neither a comment (#) nor key = value"),
        ("comment       =", "commment      =", "line 10: commment is not known; did you mean comment?"),
        ("sample        = Cu metal\n", "", "sample is missing; add a line sample = …"),
        ("sample        = Cu metal", "sample =", "line 8: sample = : "),
        ("filename      = cufoil", "filename = ../cufoil", "line 2: filename = ../cufoil: a name has letters, "),
        ("element       = Cu", "element = Cx", "line 6: element = Cx: no element with an edge above 1000 eV"),
        ("edge          = K", "edge = K2", "line 7: edge = K2: not an edge; choose one of K, L1, L2, L3, "),
        ("edge          = K", "edge = L3", "line 7: edge = L3: Cu has none above 1000 eV; those it has: K, L1"),
        (
            "= 8979", "= 8333",
            "line 5: e0 = 8333: 646 eV from the Cu K edge at 8979, and 25 is the most (the nearest edge is Ni K, 8333); "
            "correct e0, element or edge",
        ),
        ("= 8979", "= high", "line 5: e0 = high: input should be a valid number"),
        ("= 8979", "= nan", "line 5: e0 = nan: "),
        ("nscans        = 3", "nscans = 0", "line 12: nscans = 0: input should be greater than or equal to 1"),
        ("nscans        = 3", "nscans = 2.5", "line 12: nscans = 2.5: input should be a valid integer"),
        ("start         = 1", "start = -1", "line 13: start = -1: input should be greater than or equal to 0"),
        (
            "mode = transmission", "mode = xanes",
            "line 16: mode = xanes: choose one of transmission, fluorescence, both, reference",
        ),
        ("-200  -30  -10  15.5  15k", "-200", "line 20: bounds = -200: a region has two bounds; give at least two"),
        ("-200  -30", "-200  -30x", "bounds = -200  -30x  -10  15.5  15k: -30x is no number, nor one with k, such as"),
        ("-30  -10 ", "-10  -30 ", "they must ascend, and -30 comes after -10; put them in order"),
        ("15.5  15k", "300  5k", "they must ascend, and 5k (95.2 eV) comes after 300; put them in order"),
        ("-10  15.5", "-10  -10", "they must ascend, and -10 comes after -10"),
        ("-30  -10 ", "-30  -3k ", "-3k: k is 0 at e0 and has no value below; give it in eV"),
        ("-200  -30", "-9000 -30", "-9000 is below 0 eV, with e0 at 8979; begin higher"),
        ("0.3  0.05k", "0.05k", "line 21: steps = 10    2.0  0.05k: 3 steps for 4 regions, as there are 5 bounds; give"),
        ("0.5  0.25k", "0.5  0.5 0.25k", "line 22: times = 0.5   0.5  0.5  0.5 0.25k: 5 times for 4 regions"),
        ("0.3  0.05k", "0 0.05k", "0 is no step; give one above 0"),
        ("0.3  0.05k", "0.3k 0.05k", "0.3k in the region -10 … 15.5: below e0 is no k; give it in eV"),
        ("10    2.0", "10   40", "40 is more than the region -30 … -10 is wide (20 eV); give a smaller step"),
        ("0.3  0.05k", "0.3  14k", "14k is more than the region 15.5 … 15k is wide (12.98k); give a smaller step"),
        ("0.3  0.05k", "0.0003 0.05k", "they make 85288 points, and 10000 is the most; give wider steps"),
        ("0.5  0.25k", "-1 0.25k", "-1 is no time; give one above 0"),
        ("0.5  0.25k", "0.25k 0.25k", "0.25k in the region -10 … 15.5: k is 0 at e0, and none below; give it in s"),
    ],
)  # fmt: skip
def test_each_mistake_has_its_message(old: str, new: str, said: str) -> None:
    assert said in refused(changed(old, new))


def test_all_mistakes_are_told_at_once_and_what_follows_from_one_is_not() -> None:
    text = changed("= 8979", "= 8000").replace("-200  -30", "-200  30").replace("mode = t", "mode = T")
    told = refused(text).splitlines()
    assert told[0] == "2 mistakes:"
    assert [line.partition(" = ")[0] for line in told[1:]] == ["line 5: e0", "line 20: bounds"]


def test_no_other_file_is_opened(tmp_path: Path) -> None:
    secret = tmp_path / "password"
    secret.write_text("hunter2")
    said = refused(str(secret))
    assert "hunter2" not in said
    assert "the name of a file ends in .ini" in said


def test_a_file_that_is_not_there_is_told_with_what_to_do(tmp_path: Path) -> None:
    said = refused(str(tmp_path / "lost.ini"))
    assert "No such file or directory; the file must be where the plan runs: give the queue the text instead" in said
