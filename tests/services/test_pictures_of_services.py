"""The pictures in the documentation show the states that there are, and are drawn by the script."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType
from typing import get_args

import pytest

from creche._services.handle import State

ROOT = Path(__file__).parents[2]


@pytest.fixture
def pictures(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(ROOT / "scripts")
    return importlib.import_module("pictures")


@pytest.mark.parametrize("name", ["service", "stop"])
def test_a_picture_is_as_the_script_draws_it(pictures: ModuleType, name: str) -> None:
    themes = importlib.import_module("drawing").THEMES
    assert themes
    for theme, colours in themes.items():
        drawn = pictures.draw(pictures.PICTURES[name], colours)
        file = ROOT / "docs" / "assets" / f"{name}-{theme}.svg"
        assert file.read_text(encoding="utf-8") == drawn


def test_the_states_of_a_service_are_in_the_picture(pictures: ModuleType) -> None:
    shown = {box.name for box in pictures.PICTURES["service"].boxes}
    [ended] = [box for box in pictures.PICTURES["service"].boxes if box.name == "ended"]
    assert ended.note == "finished, or failed"
    assert shown - {"ended"} | {"finished", "failed"} == set(get_args(State))
