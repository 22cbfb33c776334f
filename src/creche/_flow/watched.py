"""`Watched`: one value that changes, and the tasks that follow it.

Owns the value, how often it was set, and who waits. Nothing is queued: who is slow sees the newest
value, and misses those in between.

    set() --> the version goes up by one --> everybody who waits for a change wakes up, and reads
                                         --> a task in wait_for gets the value if it satisfies

Rules
-----
* A change is a call of `set` or `update`. Values are not compared: they may be of any kind.
* A follower remembers the version that it has seen, and reads value and version when it steps, in one
  go. So it never sees an old value, nor one version twice.
* A predicate of `wait_for` is asked by whoever sets the value. So a value that satisfies it is not
  missed, however soon it is replaced.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Generic, Self, TypeVar

from .below import (
    MadeAt,
    Operation,
    TaskInfo,
    WaitDescription,
    Waiter,
    WaitQueue,
    current_task,
    label,
    noting,
    shown,
)

# Watched values, their followers and their operations are one thing.
# pyright: reportPrivateUsage=false

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Watched(Generic[T]):
    """A value that any task may set, and that tasks can follow and wait for.

    ```python
    import creche
    from creche.flow import Watched


    async def follow(price: Watched[int]) -> None:
        async for value in price.changes():
            print("the price is", value)
            if value > 100:
                return


    async def main() -> None:
        price = Watched(99)
        async with creche.create_task_group() as group:
            group.start_soon(follow, price)
            await creche.sleep(0.001)
            price.set(100)
            price.set(101)


    creche.run(main)
    ```

    It can be made outside of any loop.

    :param value: the value to begin with
    :param name: what `repr` and reports of deadlocks call it
    """

    __slots__ = ("__weakref__", "_followers", "_name", "_value", "_version", "_waiting")

    _name: str | MadeAt
    """Only set if there is something to keep."""

    def __init__(self, value: T, *, name: str | None = None) -> None:
        self._value = value
        self._version = 0
        self._followers: WaitQueue[None] = WaitQueue()
        self._waiting: WaitQueue[Callable[[T], object]] = WaitQueue()
        if name is not None or noting:
            self._name = label(name)

    def get(self) -> T:
        """Return the value."""
        return self._value

    def set(self, value: T) -> None:
        """Set the value, and wake those who wait for a change, or for such a value."""
        for waiter, _ in self._followers:  # First: in another thread the first wake-up raises.
            waiter.set_result(None)
        before, self._value = self._value, value
        self._version += 1
        self._followers.clear()
        if self._waiting:
            try:
                self._let_go_on(value)
            except RuntimeError:  # in another thread
                self._value = before
                self._version -= 1
                raise

    def _let_go_on(self, value: T) -> None:
        waiting = self._waiting
        entries = list(waiting)
        waiting.clear()
        try:
            self._ask_each(entries, value)
        except RuntimeError:  # in another thread, where nobody was woken
            waiting.clear()
            for entry in entries:
                waiting.add(*entry)
            raise

    def _ask_each(self, entries: Sequence[tuple[Waiter, Callable[[T], object]]], value: T) -> None:
        waiting = self._waiting
        for waiter, predicate in entries:
            try:
                satisfied = predicate(value)
            except BaseException as exc:  # It is the waiting task's own, so that task gets it.
                if not waiter.done():
                    waiter.set_exception(exc)
                continue
            if waiter.done():  # The predicate has cancelled its own task, or set the value again.
                continue
            if satisfied:
                waiter.set_result(value)
            else:
                waiting.add(waiter, predicate)

    def update(self, function: Callable[[T], T]) -> T:
        """Set the value to what `function` makes of it, and return that."""
        value = function(self._value)
        self.set(value)
        return value

    def changes(self, *, initial: bool = True) -> Changes[T]:
        """Return an endless async iterator over the value: as it is now, and then each change.

        One that is slow gets the newest value, and not those that were set in between; it never gets
        what it had before. Each iterator is a follower of its own, and nothing has to be closed.

        :param initial: whether the value as it is now comes first, rather than the next change
        """
        return Changes(self, self._version - 1 if initial else self._version)

    async def wait_for(self, predicate: Callable[[T], object]) -> T:
        """Wait until the value satisfies `predicate`, and return that value. A checkpoint.

        The predicate is asked now, and then in each `set`, until it answers something true. So the value
        that is returned may have been replaced since. It must not wait, and should be quick.
        """
        task = current_task()
        await task.ready_checkpoint()
        if predicate(self._value):
            return self._value
        value: T = await self._waiting.wait(task, predicate)
        return value

    def waiting_for(self, predicate: Callable[[T], object]) -> Operation[T]:
        """Return `wait_for` as an operation for `select`. Its value is the value that satisfies."""
        return WaitingFor(self, predicate)

    def _describe_wait(
        self, task: TaskInfo, inner: WaitDescription | None
    ) -> WaitDescription | None:
        return inner or WaitDescription(("a value of ", self), "set()")

    def __repr__(self) -> str:
        return f"<{shown(self)} {self._value!r}>"


class Changes(Generic[T_co]):
    """An endless async iterator over the changes of a `Watched`: what `changes()` returns."""

    __slots__ = ("_seen", "_watched")

    def __init__(self, _watched: Watched[T_co], _seen: int) -> None:
        self._watched = _watched
        self._seen = _seen

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T_co:
        task = current_task()
        await task.ready_checkpoint()
        watched = self._watched
        while self._seen == watched._version:
            await watched._followers.wait(task, None)
        return self._take()

    def receiving(self) -> Operation[T_co]:
        """Return the next change as an operation for `select`. Its value is the newest value."""
        return Following(self)

    def _describe_wait(
        self, task: TaskInfo, inner: WaitDescription | None
    ) -> WaitDescription | None:
        return inner or WaitDescription(("a change of ", self._watched), "set()")

    def _take(self) -> T_co:
        watched = self._watched
        self._seen = watched._version
        return watched._value


class Following(Operation[T_co]):
    """Hearing of the next change."""

    __slots__ = ("_changes",)

    def __init__(self, changes: Changes[T_co]) -> None:
        self._changes = changes

    @property
    def subject(self) -> object:
        return self._changes._watched

    def _describe_wait(
        self, task: TaskInfo, inner: WaitDescription | None
    ) -> WaitDescription | None:
        return self._changes._describe_wait(task, inner)

    def is_ready(self) -> bool:
        changes = self._changes
        return changes._seen != changes._watched._version

    def commit(self) -> T_co:
        return self._changes._take()

    def join(self, waiter: Waiter, /) -> None:
        self._changes._watched._followers.add(waiter, None)

    def leave(self, waiter: Waiter, /) -> None:
        self._changes._watched._followers.discard(waiter)

    def granted(self, value: Any, /) -> T_co:
        return self._changes._take()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.subject!r}>"


class WaitingFor(Operation[T]):
    """Waiting for a value that satisfies a predicate."""

    __slots__ = ("_predicate", "_watched")

    def __init__(self, watched: Watched[T], predicate: Callable[[T], object]) -> None:
        self._watched = watched
        self._predicate = predicate

    @property
    def subject(self) -> Watched[T]:
        return self._watched

    def is_ready(self) -> bool:
        return bool(self._predicate(self._watched._value))

    def commit(self) -> T:
        return self._watched._value

    def join(self, waiter: Waiter, /) -> None:
        self._watched._waiting.add(waiter, self._predicate)

    def leave(self, waiter: Waiter, /) -> None:
        self._watched._waiting.discard(waiter)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._watched!r}>"
