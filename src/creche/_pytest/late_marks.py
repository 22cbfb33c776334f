"""Marks that a project gives its tests after they were collected, in `pytest_collection_modifyitems`.

By then an async test is one item, without a backend. It is collected again, as one of ours, and its new
items with the same parameters take its place. Knows no set of names.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

import pytest

from .bridges import is_async


def take_late(items: list[pytest.Item], mark: str, backend: str) -> None:
    """Have async tests that got `mark` late ask for the fixture `backend`, each for all its values."""
    items[:] = [each for item in items for each in _taken(item, mark, backend)]


def _taken(item: pytest.Item, mark: str, backend: str) -> Iterator[pytest.Item]:
    if (
        not isinstance(item, pytest.Function)
        or backend in item.fixturenames
        or item.get_closest_marker(mark) is None
        or not is_async(item.obj)
    ):
        yield item
        return
    parent: Any = item.parent
    name = item.originalname
    function: Any = inspect.getattr_static(parent.obj, name)
    pytest.mark.usefixtures(backend)(getattr(function, "__func__", function))
    made = item.ihook.pytest_pycollect_makeitem(collector=parent, name=name, obj=function)
    for each in made:
        if _params(item).items() <= _params(each).items():
            _copy_marks(item, each)
            yield each


def _params(item: pytest.Function) -> dict[str, object]:
    callspec: Any = getattr(item, "callspec", None)
    return {} if callspec is None else dict(callspec.params)


def _copy_marks(item: pytest.Item, to: pytest.Item) -> None:
    for mark in item.own_markers:
        if mark not in to.own_markers:
            to.add_marker(getattr(pytest.mark, mark.name)(*mark.args, **mark.kwargs))
