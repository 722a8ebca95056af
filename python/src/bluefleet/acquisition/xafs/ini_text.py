"""The text of a scan: one section ``[scan]`` of keys and values, and the line that each key stands in."""

from __future__ import annotations

import configparser
import difflib
import re
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from bluefleet.acquisition.xafs.mistakes import Mistake, XafsRefused

SECTION: Final = "scan"
SUFFIX: Final = ".ini"
_KEY = re.compile(r"(?P<key>[^\s#;\[=:][^=:]*?)\s*[=:]")


@dataclass(frozen=True)
class Source:
    """Where values come from, to say where a mistake is."""

    file: str = ""
    lines: Mapping[str, int] = field(default_factory=dict[str, int])

    def place(self, key: str) -> str:
        """``cufoil.ini:9`` or ``line 9``; nothing when there is no text."""
        return self.line(self.lines.get(key))

    def line(self, number: int | None) -> str:
        """The place of a line, or of the text as a whole."""
        if number is None:
            return self.file
        return f"{self.file}:{number}" if self.file else f"line {number}"


def read(text_or_file: str) -> tuple[dict[str, str], Source]:
    """The values of a text, or of the file that it names: one line that ends in .ini.

    No other file is opened, as a part of it would come back in the message. Raises XafsRefused.
    """
    given = text_or_file.strip()
    if "\n" in given or not given.endswith(SUFFIX):
        return parse(text_or_file)
    path = Path(given).expanduser()
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text in UTF-8"
        raise XafsRefused(
            [Mistake(str(path), f"{reason}; the file must be where the plan runs: give the queue the text instead")]
        ) from error
    return parse(text, path.name)


def parse(text: str, file: str = "") -> tuple[dict[str, str], Source]:
    """Keys in small letters and their values; XafsRefused when it isn't a text of that form."""
    # A text that a program indents as a whole would be one long continued line.
    text = textwrap.dedent(text)
    source = Source(file, _lines(text))
    parser = configparser.ConfigParser(interpolation=None, default_section="")
    try:
        parser.read_string(text)
    except configparser.Error as error:
        raise XafsRefused([_explained(error, source)]) from error
    known = [name for name in parser.sections() if name.lower() == SECTION]
    others = [name for name in parser.sections() if name not in known]
    if not known:
        raise XafsRefused([Mistake(source.file, f"there is no section [{SECTION}]; begin with a line [{SECTION}]")])
    if others or len(known) > 1:
        extra = others[0] if others else known[1]
        raise XafsRefused(
            [Mistake(source.file, f"section [{extra}] is not known: everything belongs into [{SECTION}]")]
        )
    return dict(parser[known[0]]), source


def like(word: str, possible: list[str]) -> str:
    """``; did you mean …?``, when there is something like it."""
    near = difflib.get_close_matches(word, possible, n=1)
    return f"; did you mean {near[0]}?" if near else ""


def _lines(text: str) -> dict[str, int]:
    """Key → the first line that it stands in."""
    found: dict[str, int] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if match := _KEY.match(line):
            found.setdefault(match["key"].lower(), number)
    return found


def _explained(error: configparser.Error, source: Source) -> Mistake:
    match error:
        case configparser.DuplicateOptionError():
            return Mistake(source.line(error.lineno), f"{error.option} is there twice; leave one of them")
        case configparser.DuplicateSectionError():
            return Mistake(source.line(error.lineno), f"section [{error.section}] is there twice; make one of them")
        case configparser.MissingSectionHeaderError():
            return Mistake(
                source.line(error.lineno),
                f"before any [{SECTION}]: the text must begin with a line [{SECTION}]"
                + (f"; the name of a file ends in {SUFFIX}" if not source.lines else ""),
            )
        case configparser.ParsingError():
            number, _ = error.errors[0]
            return Mistake(source.line(number), "neither a comment (#) nor key = value")
        case _:
            return Mistake(source.file, " ".join(str(error).split()))
