"""What a call is given, checked before anything is sent; and words for what it ended with.

Owns the messages about wrong arguments of a call. Knows no cluster.
"""

from __future__ import annotations

import signal
import sys
from inspect import iscoroutinefunction

from .contract import Placement


def check_function(func: object, name: str, *, runs_async: bool) -> None:
    """Refuse what cannot be called on a worker, or not in this way."""
    if not callable(func):
        raise TypeError(f"func must be a function, not {func!r}: pass its arguments beside it")
    if not runs_async and iscoroutinefunction(func):
        raise TypeError(
            f"{name}() is async: run_sync() and map() are for plain functions, run() is for async ones"
        )


def checked_placement(placement: Placement | None) -> Placement:
    """Return a placement, anywhere for None."""
    if placement is None:
        return Placement()
    if not isinstance(placement, Placement):  # pyright: ignore[reportUnnecessaryIsInstance]  # not all check
        raise TypeError(
            f"placement must be a Placement, such as Placement(workers=[...]), not {placement!r}"
        )
    return placement


def name_of(func: object) -> str:
    """Return what to call a function in messages."""
    inner = getattr(func, "func", func)  # functools.partial
    return getattr(inner, "__qualname__", None) or type(inner).__qualname__


def current_minor() -> tuple[int, ...]:
    return sys.version_info[:2]


def check_grace(grace: tuple[float, float]) -> None:
    try:
        cooperative, terminated = grace
        good = cooperative >= 0 and terminated >= 0
    except (TypeError, ValueError):
        good = False
    if not good:
        raise ValueError(
            f"grace must be two numbers of seconds, before SIGTERM and before SIGKILL, such as (0.5, 0.5), "
            f"not {grace!r}"
        )


def checked_retries(retries: int) -> int:
    if type(retries) is not int or retries < 0:
        raise ValueError(f"retries must be a number of times, 0 or more, not {retries!r}")
    return retries


def exit_words(code: int | None) -> str:
    if code is None:
        return "ended"
    if code < 0:
        try:
            return f"was killed by {signal.Signals(-code).name}"
        except ValueError:
            return f"was killed by signal {-code}"
    return f"ended with exit code {code}"
