"""The parts of two verbs, for the few functions that hold a copy of them.

All code uses `Task.ready_checkpoint` and `WaitQueue.wait`. Where a benchmark shows that a call or a frame
costs too much, a function may hold a copy of `ready_checkpoint`, which looks at `credit`, and of `wait`,
which is `park` and `granted`. A comment there names the benchmark. `tests/kernel/test_inlined.py` has the
list, and holds each copy to what the verb does.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from .contract import Waiter


class Parts(Protocol):
    """The part of a task that `WaitQueue.wait` and the copies use, and nothing else does."""

    credit: int
    """Ready operations left, or 0 if the kernel has to be asked."""

    def park(self, waiter: Waiter, /) -> Awaitable[Any]:
        """Do what `Task.wait` does, but for a grant that meets a cancel.

        try:
            value = await task.park(waiter)
        except BaseException as exc:
            if not task.granted(waiter, exc):
                queue.discard(waiter)
                raise
            value = waiter.result()
        """
        ...

    def granted(self, waiter: Waiter, exc: BaseException, /) -> bool:
        """Tell, when `park` raised `exc`, whether `waiter` had been granted before the cancel.

        Then the operation has succeeded, and the cancel is put off to the next checkpoint.
        Otherwise the waiter is done.
        """
        ...
