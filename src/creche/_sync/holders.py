"""Locks that others wait for, by the task that holds them: what happens when it ends.

Owns that a holder's end is heard of. A lock that nobody waits for is not known here, so one that is
taken and released costs nothing; whoever comes to one whose holder has ended sees that for itself.

Rules
-----
* A lock is noted when a task begins to wait for it, and when it changes hands while others wait.
* A lock that was released since stays noted until its holder ends, or has very many noted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from .._exceptions import BrokenResourceError

if TYPE_CHECKING:
    from .._kernel.contract import Task

_KEY = object()
_MANY = 64
"""Locks noted for one holder from which on it is asked which of them it still holds."""


class Held(Protocol):
    """A lock, as it is seen here."""

    def _held_by(self, task: Task) -> bool: ...
    def _break(self) -> None: ...


class _Locks(dict[Held, None]):
    """The locks that others wait for and one task holds, or has held."""

    def __init__(self, holder: Task) -> None:
        self.holder = holder

    def held(self) -> list[Held]:
        holder = self.holder
        return [lock for lock in self if lock._held_by(holder)]  # pyright: ignore[reportPrivateUsage]  # a friend

    def end(self) -> None:
        """The holder has ended."""
        self.holder.kernel.run_vars.get(_KEY, {}).pop(self.holder, None)
        for lock in self.held():
            lock._break()  # pyright: ignore[reportPrivateUsage]  # as above


def note(lock: Held, holder: Task) -> None:
    """Have `lock` break if `holder` ends without releasing it."""
    known: dict[Task, _Locks] = holder.kernel.run_vars.setdefault(_KEY, {})
    locks = known.get(holder)
    if locks is None:
        locks = known[holder] = _Locks(holder)
        holder.at_end(locks.end)
    if len(locks) >= _MANY and lock not in locks:
        held = locks.held()
        locks.clear()
        locks.update(dict.fromkeys(held))
    locks[lock] = None


def broken(lock: object, holder: Task) -> BrokenResourceError:
    """Make the error for those who want a lock that will never be released."""
    return BrokenResourceError(
        f"{type(lock).__name__} is held by task {holder.info().name!r}, which has ended without "
        f"releasing it, so it will never be free: hold it with 'async with', and make a new one"
    )
