"""Pictures of the pages are made by scripts, in light and dark, and narrow enough for a phone."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
ASSETS = ROOT / "docs" / "assets"
SHOWN = re.compile(r"assets/([\w-]+)-(light|dark)\.svg#only-(light|dark)\)")
SCRIPTS = "".join(
    (ROOT / "scripts" / f"{name}.py").read_text() for name in ("pictures", "timelines")
)
NARROW = 390


def shown() -> set[tuple[str, str]]:
    found: set[tuple[str, str]] = set()
    for page in (ROOT / "docs").rglob("*.md"):
        for name, file, theme in SHOWN.findall(page.read_text(encoding="utf-8")):
            assert file == theme, f"{page} shows {name}-{file}.svg on {theme} pages"
            found.add((name, theme))
    return found


def test_each_picture_is_shown_in_both_colours_and_made_by_a_script() -> None:
    names = {name for name, _ in shown()}
    assert len(names) > 10
    assert shown() == {(name, theme) for name in names for theme in ("light", "dark")}
    assert {name for name in names if f'"{name}": ' not in SCRIPTS} == set()


def test_each_picture_that_a_script_makes_is_there_and_fits_a_phone() -> None:
    for name, theme in shown():
        text = (ASSETS / f"{name}-{theme}.svg").read_text(encoding="utf-8")
        box = re.search(r'viewBox="0 0 (\d+) \d+"', text)
        assert box is not None
        assert int(box[1]) <= NARROW, name
        assert min(float(size) for size in re.findall(r'font-size="([\d.]+)"', text)) >= 11, name
        assert "<title" in text
        assert "<desc" in text
