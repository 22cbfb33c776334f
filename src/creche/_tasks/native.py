"""`run_native`: code of the loop's own library, as one native task that is cancelled once."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, TypeVar, TypeVarTuple, Unpack

from .._kernel import current_task

T = TypeVar("T")
PosArgsT = TypeVarTuple("PosArgsT")


async def run_native(
    func: Callable[[Unpack[PosArgsT]], Coroutine[Any, Any, T]],
    *args: *PosArgsT,
    grace: float,
) -> T:
    """Run asyncio code as a native task, which gets exactly one cancel, and wait for its end.

    For libraries that do not bear to be cancelled at each await of their clean-up. If the caller is
    cancelled the task is, once, and has `grace` seconds to clean up; a task that has not ended by
    then is cancelled again and again. It is never left running. A checkpoint.

    :param func: a coroutine function of an asyncio library
    :param args: its positional arguments
    :param grace: seconds for its clean-up, `inf` for as long as it takes
    :return: what it returns, also if that comes after the cancel
    :raises RuntimeError: the loop is not asyncio's
    :raises TypeError: `grace` is not a number
    :raises ValueError: `grace` is negative or NaN
    """
    if isinstance(grace, bool) or not isinstance(grace, (int, float)):  # pyright: ignore[reportUnnecessaryIsInstance]  # not all check
        raise TypeError(f"grace must be a number of seconds, not {type(grace).__name__} {grace!r}")
    if not grace >= 0:
        raise ValueError(f"grace must be 0 or more seconds, not {grace!r}")
    kernel = current_task().kernel
    value: T = await kernel.run_native(func, args, grace)
    return value
