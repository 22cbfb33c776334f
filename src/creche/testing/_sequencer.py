"""`Sequencer`: blocks of several tasks that run in a given order.

Owns which positions were taken, which are through, and whether the sequence is broken.

    position   free --seq(n)--> waits for n - 1 --> runs --> through
    sequence   whole --a wait is cancelled--> broken, for good

Its rule: only the block before it lets a waiting block run; otherwise the wait raises, because the
sequence is broken.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from .._kernel import current_kernel
from .._sync import Event


class Sequencer:
    """Puts blocks of different tasks into one order: block 0 first, then 1, then 2.

    ```python
    import creche
    from creche.testing import Sequencer


    async def left(turn: Sequencer) -> None:
        async with turn(0):
            print("left, right,", end=" ")
        async with turn(2):
            print("left.")


    async def right(turn: Sequencer) -> None:
        async with turn(1):
            print("left, right,", end=" ")


    async def main() -> None:
        turn = Sequencer()
        async with creche.create_task_group() as group:
            group.start_soon(left, turn)
            group.start_soon(right, turn)


    creche.run(main)
    ```

    A block that raises is through, and the next one begins.
    """

    __slots__ = ("_broken", "_taken", "_through")

    def __init__(self) -> None:
        self._taken: set[int] = set()
        self._through: dict[int, Event] = {}
        self._broken = False

    @asynccontextmanager
    async def __call__(self, position: int) -> AsyncGenerator[None]:
        """Wait until the block before has been left; a checkpoint, but for position 0.

        :param position: 0 for the first block, 1 for the second...; each only once
        :raises RuntimeError: the position is taken, or a wait in this sequence was cancelled
        :raises ValueError: the position is negative
        """
        if position < 0:
            raise ValueError(f"a sequence begins at 0, so no block ever is at position {position}")
        if position in self._taken:
            raise RuntimeError(
                f"Attempted to reuse sequence point {position}: each position is for one block"
            )
        if self._broken:
            raise _broken()
        self._taken.add(position)
        if position > 0:
            await self._wait_for(position)
        try:
            yield
        finally:
            self._event_of(position).set()

    async def _wait_for(self, position: int) -> None:
        cancelled_class = current_kernel().cancelled_class
        try:
            await self._event_of(position - 1).wait()
        except cancelled_class:
            self._break()
            raise RuntimeError(
                f"Sequencer wait cancelled -- sequence broken: position {position} will never run"
            ) from None
        if self._broken:
            raise _broken()

    def _break(self) -> None:
        self._broken = True
        for event in self._through.values():
            event.set()

    def _event_of(self, position: int) -> Event:
        return self._through.setdefault(position, Event())


def _broken() -> RuntimeError:
    return RuntimeError(
        "sequence broken! A task was cancelled as it waited for its turn, so the ones after it "
        "have none"
    )
