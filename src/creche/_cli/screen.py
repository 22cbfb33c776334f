"""How the command line speaks: colour, alignment, and a mistake in one line.

Owns the escape codes and the decision whether to write them. Knows nothing of what is said.
Text is padded first and painted after, for a terminal does not count escape codes but `len` does.
"""

from __future__ import annotations

import os
import shutil
import sys
import textwrap
from collections.abc import Iterator, Mapping
from typing import TextIO

STYLES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "cyan": "36"}

WIDEST = 100


class Mistake(Exception):
    """Something typed that cannot be done. Told in one line; the exit status is 2."""

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.split()))


class Screen:
    """One stream to write lines to, with the marks and colours that it can show."""

    def __init__(self, file: TextIO | None = None) -> None:
        self._file = sys.stdout if file is None else file
        self._coloured = wants_colour(self._file, os.environ)
        self.width = min(shutil.get_terminal_size((80, 24)).columns, WIDEST)
        fancy = can_encode(self._file, "✓✗·│─")
        self.tick, self.cross, self.dot, self.bar, self.rule = "✓✗·│─" if fancy else "+x-|-"

    def paint(self, text: str, *styles: str) -> str:
        """Return the text in these styles, or as it is where nothing is coloured."""
        if not self._coloured or not text or not styles:
            return text
        codes = ";".join(STYLES[style] for style in styles)
        return f"\x1b[{codes}m{text}\x1b[0m"

    def line(self, text: str = "") -> None:
        print(text, file=self._file, flush=True)

    def heading(self, left: str, right: str) -> None:
        """Write a line with one text at each end; two lines where they do not fit."""
        gap = self.width - len(left) - len(right)
        if gap < 2:
            self.line(self.paint(left, "bold"))
            self.line(self.paint(right, "dim"))
            return
        self.line(self.paint(left, "bold") + " " * gap + self.paint(right, "dim"))

    def pair(self, left: str, right: str, *styles: str) -> None:
        """Write a name, in these styles, and what it stands for.

        On a terminal that is too narrow for both the second is folded below itself, or below the name.
        """
        room = self.width - len(left) - 2
        if len(right) <= room or not self._file.isatty():
            self.line(f"{self.paint(left, *styles)}  {right}")
        elif room < 24:
            self.line(self.paint(left.rstrip(), *styles))
            for each in textwrap.wrap(right, self.width - 4):
                self.line(f"    {each}")
        else:
            first, *others = textwrap.wrap(right, room)
            self.line(f"{self.paint(left, *styles)}  {first}")
            for each in others:
                self.line(" " * (len(left) + 2) + each)

    def block(self, text: str, *styles: str) -> None:
        """Write a text of several lines, set apart by a bar on its left.

        On a terminal lines that are too long are folded, so that the bar stays whole.
        """
        for each in self._folded(text):
            painted = self.paint(each, *styles) if styles else each
            self.line(f"  {self.paint(self.bar, 'dim')} {painted}".rstrip())

    def _folded(self, text: str) -> Iterator[str]:
        room = max(self.width - 4, 20)
        for each in text.splitlines():
            if len(each) <= room or not self._file.isatty():
                yield each
            else:
                yield from textwrap.wrap(each, room, subsequent_indent="  ")


def wants_colour(file: TextIO, environ: Mapping[str, str]) -> bool:
    """Decide on colour: NO_COLOR, then FORCE_COLOR (each counts unless empty), then a terminal."""
    if environ.get("NO_COLOR"):
        return False
    if environ.get("FORCE_COLOR"):
        return True
    return file.isatty() and environ.get("TERM") != "dumb"


def can_encode(file: TextIO, text: str) -> bool:
    try:
        text.encode(file.encoding or "ascii")
    except (LookupError, UnicodeEncodeError):
        return False
    return True
