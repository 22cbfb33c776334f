"""What a beginner has written, and what they meant: errors for the usual mistakes with async functions.

Knows no loop. Each function is called where something has gone wrong already, so it costs nothing before.
"""

from __future__ import annotations

from types import CoroutineType
from typing import TYPE_CHECKING, Any, NoReturn


def explain_call(caller: str, func: Any) -> None:
    """Raise a TypeError that says what is wrong with `func`, if it is the coroutine of a call."""
    if isinstance(func, CoroutineType):
        name = getattr(func, "__qualname__", "f").rpartition(".")[2]
        func.close()  # or there would be a warning beside the error
        raise TypeError(
            f"{caller}() was given a coroutine, and it wants the async function itself: write "
            f"{caller}({name}, ...), not {caller}({name}(...))"
        ) from None


def check_callable(caller: str, func: Any) -> None:
    """Raise TypeError if what a thread is to call cannot be called."""
    if isinstance(func, CoroutineType):
        func.close()
        raise TypeError(
            f"{caller}() was given a coroutine, and it wants a function that is not async: await "
            f"the coroutine here instead"
        )
    if not callable(func):
        raise TypeError(f"{caller}() wants a function, not {type(func).__name__} {func!r}")


def check_handler(caller: str, func: Any) -> None:
    """Raise TypeError if what is to be called for each connection cannot be called."""
    explain_call(caller, func)
    if not callable(func):
        raise TypeError(f"{caller}() wants an async function, not {type(func).__name__} {func!r}")


def check_bytes(
    caller: str, item: Any, otherwise: str = ", or wrap the stream in a TextSendStream"
) -> None:
    """Raise TypeError if `item` lends no memory; say what to send in place of text."""
    if not isinstance(item, str):
        memoryview(item).release()
    else:
        raise TypeError(
            f"{caller}() takes bytes, not str {item[:40]!r}: send text.encode(){otherwise}"
        )


class NeedsAsyncWith:
    """A task group, which says so where `with` is written for `async with`."""

    __slots__ = ()

    if not TYPE_CHECKING:  # to type checkers there is no such thing

        def __enter__(self) -> NoReturn:
            raise TypeError("a task group is entered with 'async with', not with 'with'")

        def __exit__(self, *_: object) -> None: ...


def refuse_async_with(_scope: object, *_: object) -> NoReturn:
    """Refuse `async with` where `with` was meant."""
    raise TypeError("a cancel scope is entered with 'with', not with 'async with'")


def check_was_sync(func: Any, result: Any) -> None:
    """Raise TypeError if a function that was called in a thread is an async one."""
    while hasattr(func, "func"):  # of a partial
        func = func.func
    code = getattr(getattr(func, "__func__", func), "__code__", None)
    if isinstance(result, CoroutineType) and code is result.cr_code:
        result.close()
        raise TypeError(
            f"to_thread.run_sync() wants a function that is not async, and "
            f"{getattr(func, '__qualname__', func)}() is: await it here instead"
        )


def check_seconds(caller: str, name: str, value: Any, kind: str = "a number of seconds") -> None:
    """Raise TypeError if `value` is no number."""
    if not isinstance(value, int | float):
        raise TypeError(f"{caller}() takes {name} as {kind}, not {type(value).__name__} {value!r}")


def check_callback(caller: str, name: str, func: Any) -> None:
    """Raise TypeError if `func` cannot be called, or is async: nobody awaits what a callback returns."""
    from inspect import iscoroutinefunction

    if not callable(func) or iscoroutinefunction(func):
        kind = "the async function " if callable(func) else ""
        raise TypeError(
            f"{caller}() takes {name} as a function that is not async, not {kind}{func!r}"
        )
