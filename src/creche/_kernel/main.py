"""The main function of a run, on every loop: calling it, and the name its task goes by."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from .._misuse import explain_call
from .names import name_of


async def start(func: Callable[..., Any], args: tuple[Any, ...]) -> Any:
    """Call the function that was given to `run` and await what it returns."""
    explain_call("run", func)
    result = func(*args)
    if not hasattr(result, "__await__"):
        raise TypeError(
            f"Expected {name_of(func)}() to return an awaitable, but the return value "
            f"({result!r}) is not one: pass an async function to run()"
        )
    return await result


def module_and_name(func: Callable[..., Any]) -> tuple[Any, str]:
    """Return where the main function is from, if it tells that, and what it is called there."""
    name: str = getattr(func, "__qualname__", None) or type(func).__qualname__
    return getattr(func, "__module__", None), name


class MainLabel:
    """What a kernel shows of the main task: the contract's `Label`."""

    __slots__ = ("_key", "_origin", "coro", "name")

    def __init__(self, func: Callable[..., Any], coro: Coroutine[Any, Any, Any]) -> None:
        self.name = name_of(func)
        self._origin: object = self.name
        self.coro = coro
        self._key: Any = None
