"""The pictures in the documentation show the states that there are, and are drawn by the script."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import get_args

import pytest

from creche._services.handle import State

ROOT = Path(__file__).parents[2]


@pytest.fixture
def pictures() -> ModuleType:
    spec = importlib.util.spec_from_file_location("pictures", ROOT / "scripts" / "pictures.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["service", "stop"])
def test_a_picture_is_as_the_script_draws_it(pictures: ModuleType, name: str) -> None:
    drawn = pictures.draw(getattr(pictures, name.upper()))
    assert (ROOT / "docs" / "assets" / f"{name}.svg").read_text(encoding="utf-8") == drawn


def test_the_states_of_a_service_are_in_the_picture(pictures: ModuleType) -> None:
    assert {box.name for box in pictures.SERVICE.boxes} == set(get_args(State))
