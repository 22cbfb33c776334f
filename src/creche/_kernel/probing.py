"""A number that tells when somebody pays with it: how kernels see a checkpoint that did not wait.

Owns nothing. An operation that need not wait pays for its checkpoint and does nothing else: mostly
with `task.credit -= 1`, or it asks `task.credit <= 0` and pays later, by what it has done. So a task
that is watched has the same figure as a `Figure`, which makes a note of either. Nobody else pays for
it. Kernels themselves, to whom the question means less, ask `credit < 1`.
"""

from __future__ import annotations

from collections.abc import Callable


class Figure(int):
    """An integer that calls `paid()` when it is used as credit; what is left is a plain one."""

    paid: Callable[[], object]

    @classmethod
    def of(cls, figure: int, paid: Callable[[], object]) -> Figure:
        """Make one of a plain figure."""
        made = cls(figure)
        made.paid = paid
        return made

    def __sub__(self, other: int, /) -> int:
        self.paid()
        return int(self) - other

    def __le__(self, other: int, /) -> bool:
        self.paid()
        return int(self) <= other
