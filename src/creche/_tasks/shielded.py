"""`shielded`: a context manager whose exit is not interrupted, for so long.

Owns nothing but the scope around the exit. Knows no event loop.

    new --entered--> inside --the block ends--> leaving, shielded --done, or the grace is over--> left
"""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from math import inf
from types import TracebackType
from typing import Any, Generic, TypeVar

from .._kernel import current_kernel
from .._misuse import NeedsAsyncWith
from .scope import CancelScope

T_co = TypeVar("T_co", covariant=True)


class Shielded(NeedsAsyncWith, Generic[T_co]):
    """What `shielded` returns."""

    __slots__ = ("_grace", "_manager")

    def __init__(self, manager: AbstractAsyncContextManager[T_co, Any], grace: float) -> None:
        self._manager = manager
        self._grace = grace

    async def __aenter__(self) -> T_co:
        return await self._manager.__aenter__()

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> bool:
        swallows = False
        deadline = inf if self._grace == inf else current_kernel().now() + self._grace
        try:
            with CancelScope(deadline=deadline, shield=True, cleanup=0) as scope:
                swallows = bool(await self._manager.__aexit__(exc_type, exc_val, exc_tb))
            if scope.cancelled_caught:
                text = (
                    f"the exit of {self._manager!r} took longer than its grace of {self._grace:g} s"
                )
                if exc_val is None:
                    raise TimeoutError(f"{text}, and was cut off")
                exc_val.add_note(f"{text}, and was cut off")
            return swallows
        finally:
            del exc_val, exc_tb  # Its frames lead here.


def shielded(manager: AbstractAsyncContextManager[T_co, Any], *, grace: float) -> Shielded[T_co]:
    """Enter an async context manager whose exit is shielded from cancellation, for so long.

    The way in, and the block, are cancelled as ever.

    ```py
    async with shielded(pool.connection(), grace=5) as connection:
        ...
    ```

    :param manager: the async context manager
    :param grace: seconds that its exit may take, `inf` for as long as it takes
    :return: an async context manager that gives what `manager` gives
    :raises TimeoutError: the block has ended well, and the exit was cut off; an error of the block gets a
        note instead
    :raises TypeError: `manager` is no async context manager, or `grace` no number
    :raises ValueError: `grace` is negative or NaN
    """
    if not hasattr(type(manager), "__aenter__") or not hasattr(type(manager), "__aexit__"):
        raise TypeError(
            f"shielded() needs an async context manager, not {type(manager).__name__}: give it what "
            f"you would give to 'async with'"
        )
    if isinstance(grace, bool) or not isinstance(grace, (int, float)):  # pyright: ignore[reportUnnecessaryIsInstance]  # not all check
        raise TypeError(f"grace must be a number of seconds, not {type(grace).__name__} {grace!r}")
    if not grace >= 0:
        raise ValueError(f"grace must be 0 or more seconds, not {grace!r}")
    return Shielded(manager, grace)
