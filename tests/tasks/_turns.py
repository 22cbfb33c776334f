"""How many turns another task gets while one does an operation again and again.

Owns the count. An operation is made in the loop by its maker, which may open what it needs on `Opened`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any, TypeAlias

from creche import create_task_group
from creche._kernel.contract import BUDGET
from creche.lowlevel import checkpoint

ROUNDS = 6
TIMES = ROUNDS * (BUDGET + 1)
LEAST = ROUNDS - 1
"""Trio steps the tasks that are ready in any order, so a turn may fall before or after the count."""

Operation: TypeAlias = Callable[[], Awaitable[Any]]
Opened: TypeAlias = AsyncExitStack
Maker: TypeAlias = Callable[[Opened], Awaitable[Operation]]


async def turns_of_another(operation: Operation, times: int = TIMES) -> int:
    """Do an operation so many times in a row; return how often another task was stepped meanwhile."""
    turns, over = 0, False

    async def other() -> None:
        nonlocal turns
        while not over:
            turns += 1
            await checkpoint()

    async with create_task_group() as tg:
        tg.start_soon(other)
        await checkpoint()
        before = turns
        for _ in range(times):
            await operation()
        counted = turns - before
        over = True
    return counted
