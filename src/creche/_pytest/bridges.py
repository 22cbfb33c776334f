"""`Bridge`: an async test as a plain function, which pytest and hypothesis can call.

    idle --the hook gives it a runner--> ready --called, any number of times--> ready --> idle

One without a runner belongs to a test that is not running. `hooks.py` decides which runner it gets.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial, wraps
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from .runner import JobRunner


class Bridge:
    """Connects a plain function with the coroutine function that it stands for."""

    def __init__(self, test: Callable[..., Any]) -> None:
        self.runner: JobRunner | None = None

        @wraps(test)
        def function(*args: Any, **kwargs: Any) -> None:
            __tracebackhide__ = True
            assert self.runner is not None, "called by pytest, through the plugin's own hook"
            self.runner.run_test(partial(test, *args), kwargs)

        vars(function).pop("_is_coroutine_mark", None)  # of inspect.markcoroutinefunction
        vars(function)["creche_bridge"] = self
        self.function: Callable[..., None] = function


def is_async(test: object) -> bool:
    """Tell whether this is an async test, as it was written, under hypothesis, or as a bridge."""
    inner = _inner(test)
    return inspect.iscoroutinefunction(inner) or hasattr(inner, "creche_bridge")


def bridge_of(item: pytest.Item) -> Bridge | None:
    """Return the bridge of an item that is an async test; put it in place if it is not there."""
    if not isinstance(item, pytest.Function) or not is_async(item.obj):
        return None
    inner: Any = _inner(item.obj)
    bridge: Bridge | None = getattr(inner, "creche_bridge", None)
    if bridge is None:
        bridge = Bridge(inner)
        if inner is item.obj:
            item.obj = bridge.function
        else:  # The items of one test share it: hypothesis keeps it with the function.
            item.obj.hypothesis.inner_test = bridge.function
    return bridge


def _inner(test: Any) -> object:
    """Return what hypothesis' `given` calls for each example; for other tests, the test itself."""
    return getattr(getattr(test, "hypothesis", None), "inner_test", test)
