"""Files that the documentation shows are really shown: their blocks are as the site's builder reads them."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
# The form with the name on a line of its own: a formatter takes the other one for Python.
SHOWN = re.compile(r'^--8<--\n(.+)\n--8<--$|^--8<-- "(.+)"$', re.MULTILINE)


def test_the_files_that_pages_show_are_there() -> None:
    found = 0
    for page in sorted((ROOT / "docs").rglob("*.md")):
        text = page.read_text()
        for match in SHOWN.finditer(text):
            found += 1
            assert (ROOT / (match[1] or match[2])).is_file(), f"{page}: {match[0]}"
        assert "--8" not in SHOWN.sub("", text), f"{page} has a block that shows no file"
    assert found > 5
