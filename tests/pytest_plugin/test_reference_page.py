"""The page about pytest names every fixture, mark, setting and option of the plugin."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import creche
from creche import pytest_plugin

PAGE = (Path(__file__).parents[2] / "docs" / "pytest-reference.md").read_text(encoding="utf-8")
PLUGIN = Path(creche.__file__).parent / "_pytest"


def test_every_fixture_is_on_the_page() -> None:
    kind = type(pytest.fixture(lambda: None))
    fixtures = {name for name, value in vars(pytest_plugin).items() if isinstance(value, kind)}
    assert "virtual_clock" in fixtures
    assert {name for name in fixtures if f"`{name}`" not in PAGE} == set()


def test_every_option_of_the_command_is_on_the_page() -> None:
    source = "".join(path.read_text(encoding="utf-8") for path in PLUGIN.glob("*.py"))
    options = set(re.findall(r'"(--creche-[a-z]+)"', source)) | {"--creche-mode"}
    assert len(options) >= 4
    assert {option for option in options if not re.search(f"`{option}[=`]", PAGE)} == set()


def test_every_mark_and_setting_is_on_the_page(pytestconfig: pytest.Config) -> None:
    lines: list[str] = pytestconfig.getini("markers")
    marks = {match[0] for line in lines if (match := re.match(r"creche\w*", line))}
    assert marks == {"creche", "creche_timeout"}
    assert {mark for mark in marks if f"`@pytest.mark.{mark}" not in PAGE} == set()
    for setting in ("creche_mode", "creche_timeout"):
        pytestconfig.getini(setting)  # there is one of this name
        assert f"| `{setting}` |" in PAGE
