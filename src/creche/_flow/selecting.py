"""`select`: wait for several operations, and do exactly one of them.

Owns the choice among those that are ready, and the one waiter that stands in all queues. What an
operation does is its own business; the protocol is told in `creche/_sync/operation.py`.

    asking --some are ready--> committed: one of them, in turn
           --none is---------> waiting: in the queue of each --granted by one--> committed
                                                             --its time is up--> committed
                                                             --cancelled-------> none

Rules
-----
* Nothing else runs between the last question and the last `join`, so nothing is missed in between.
* The branches that stand in the queues have one waiter in common. The first primitive that grants
  makes it done; all others then pass it over. So one commits and no other, without asking anybody.
* A grant wins over a cancel and over a deadline, as everywhere.
* Of several that are ready each has its turn. The choice follows a sequence of each loop's own, the
  multiples of the golden ratio: any number of selects in any rhythm find the operations evenly dealt.
"""

from __future__ import annotations

from collections.abc import Sequence
from inspect import iscoroutine
from math import inf
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar, cast, overload

from .below import (
    GOLDEN,
    NOT_READY,
    TURNS,
    CancelScope,
    Operation,
    TaskInfo,
    WaitDescription,
    current_task,
    turn,
)

if TYPE_CHECKING:
    from .below import Task, Waiter

T = TypeVar("T")
T1 = TypeVar("T1")
T2 = TypeVar("T2")
T3 = TypeVar("T3")
T4 = TypeVar("T4")


_Grant: TypeAlias = tuple[Operation[Any], Any, BaseException | None]
"""The operation that was committed, what it was granted with, and what it failed with."""


class _Branch:
    """The waiter of a select, as it stands in the queue of one operation."""

    __slots__ = ("_waiter", "done", "operation")

    def __init__(self, waiter: Waiter, operation: Operation[Any]) -> None:
        self._waiter = waiter
        self.done = waiter.done
        self.operation = operation

    def result(self) -> Any:
        return self._waiter.result()

    def set_result(self, value: Any, /) -> None:
        self._waiter.set_result((self.operation, value, None))

    def set_exception(self, exc: BaseException, /) -> None:
        self._waiter.set_result((self.operation, None, exc))


class _Selection:
    """One select that has to wait."""

    __slots__ = ("operations", "task")

    def __init__(self, operations: Sequence[Operation[Any]], task: Task) -> None:
        self.operations = operations
        self.task = task

    async def wait(self) -> tuple[Operation[Any], Any]:
        """Wait until one is committed; return it and its value."""
        first = min(self.operations, key=_deadline)
        if first.deadline == inf:
            return _concluded(*await self._park())
        # Nothing but the deadline is caught: a cancel from outside goes through the scope.
        with CancelScope(deadline=first.deadline):
            return _concluded(*await self._park())
        return first, first.commit()

    def _describe_wait(
        self, task: TaskInfo, inner: WaitDescription | None
    ) -> WaitDescription | None:
        """Describe the wait for the first of several; a deadlock if each is held by somebody stuck."""
        what: list[object] = []
        holders: list[object] = []
        complete = True
        for operation in self.operations:
            described = operation._describe_wait(task, None)  # pyright: ignore[reportPrivateUsage]  # what reports call
            if described is None:
                described = WaitDescription((operation,), complete=False)
            said: Any = described.what
            parts = cast("tuple[object, ...]", said if type(said) is tuple else (said,))
            what += [" or " if what else "", *parts]
            holders += described.holders
            complete = complete and described.complete and bool(described.holders)
        return WaitDescription(tuple(what), "any of them", holders, complete=complete)

    async def _park(self) -> _Grant:
        task, waiter = self.task, self.task.make_waiter()
        joined: list[_Branch] = []
        chosen: Any = (None, None, None)
        try:
            for operation in self.operations:
                branch = _Branch(waiter, operation)
                operation.join(branch)
                joined.append(branch)
            chosen = await task.wait(waiter)
            return cast("_Grant", chosen)
        finally:
            if not waiter.done():  # A `join` has raised: nobody may be granted any more.
                waiter.set_result(chosen)
            for branch in joined:
                branch.operation.leave(branch)
            for branch in joined:
                if branch.operation.settles:
                    await branch.operation.settle(
                        chosen[1] if branch.operation is chosen[0] else None
                    )


def _deadline(operation: Operation[Any]) -> float:
    return operation.deadline


def _concluded(
    chosen: Operation[Any], value: Any, failure: BaseException | None
) -> tuple[Operation[Any], Any]:
    """Return the operation that was granted, and its value; if that raises, say which it was."""
    try:
        return chosen, chosen.granted(value) if failure is None else chosen.failed(failure)
    except Exception as exc:
        _note(exc, chosen)
        raise


def _note(exc: Exception, operation: Operation[Any]) -> None:
    exc.add_note(f"raised by {operation!r}, which select() has chosen")


@overload
async def select(o1: Operation[T1], /) -> tuple[Operation[T1], T1]: ...


@overload
async def select(
    o1: Operation[T1], o2: Operation[T2], /
) -> tuple[Operation[T1], T1] | tuple[Operation[T2], T2]: ...


@overload
async def select(
    o1: Operation[T1], o2: Operation[T2], o3: Operation[T3], /
) -> tuple[Operation[T1], T1] | tuple[Operation[T2], T2] | tuple[Operation[T3], T3]: ...


@overload
async def select(
    o1: Operation[T1], o2: Operation[T2], o3: Operation[T3], o4: Operation[T4], /
) -> (
    tuple[Operation[T1], T1]
    | tuple[Operation[T2], T2]
    | tuple[Operation[T3], T3]
    | tuple[Operation[T4], T4]
): ...


@overload
async def select(*operations: Operation[T]) -> tuple[Operation[T], T]: ...


async def select(*operations: Operation[Any]) -> tuple[Operation[Any], Any]:
    """Wait until one of several operations can be done, and do exactly that one.

    ```python
    import creche
    from creche.flow import deadline_after, select


    async def main() -> None:
        send, receive = creche.create_memory_object_stream[str](1)
        stop = creche.Event()
        with send, receive:
            item, stopped = receive.receiving(), stop.waiting()
            await send.send("a parcel")
            chosen, value = await select(item, stopped, deadline_after(1))
            if chosen is item:
                print("received", value)


    creche.run(main)
    ```

    The others have not happened: nothing was received, sent or acquired by them. If this is cancelled,
    none has. Of several that are ready each has its turn. An operation may be offered again and again.

    Operations: `receiving()` and `sending(item)` of memory streams and broadcasts, `acquiring()` of locks,
    semaphores and capacity limiters, `waiting()` of events, conditions and futures,
    `receiving()` of `Watched.changes()`, `waiting_for(predicate)` of a `Watched`, `deadline_at` and
    `deadline_after`, and whatever implements `Operation`.

    If the operation that is done fails, as receiving does at the end of a stream, its error is raised, with
    a note that names it; `catching` makes it a value instead. A checkpoint.

    :param operations: one or more operations
    :return: the operation that was done, one of those that were passed, and its value
    :raises ValueError: nothing was passed
    :raises TypeError: something else was passed
    """
    task = current_task()
    if task.credit > 0:  # Inlined: `select-1` in benchmarks.
        task.credit -= 1
    else:
        await task.ready_checkpoint()
    chosen: Operation[Any] | None = None
    try:
        if len(operations) == 1:
            (chosen,) = operations
            value = chosen.attempt()
            if value is not NOT_READY:
                return chosen, value
        elif len(operations) == 2:
            # As below, with fewer questions, for with two the order decides (`select-2` in benchmarks).
            chosen, other = operations
            kept = task.kernel.run_vars
            state = kept[TURNS] = (kept.get(TURNS, 0) + GOLDEN) & 0xFFFFF
            if state & 0x80000:
                chosen, other = other, chosen
            value = chosen.attempt()
            if value is not NOT_READY:
                return chosen, value
            chosen = other
            value = chosen.attempt()
            if value is not NOT_READY:
                return chosen, value
        elif ready := [operation for operation in operations if operation.is_ready()]:
            chosen = ready[0] if len(ready) == 1 else ready[turn(task, len(ready))]
            return chosen, chosen.commit()
    except Exception as exc:
        _check(operations)
        if chosen is not None:
            _note(exc, chosen)
        raise
    if not operations:
        raise ValueError("select() takes at least one operation: with none it would never end")
    return await _Selection(operations, task).wait()


def _check(operations: tuple[object, ...]) -> None:
    """Raise TypeError if something is not an operation."""
    wrong = [operation for operation in operations if not isinstance(operation, Operation)]
    for thing in wrong:
        if iscoroutine(thing):
            thing.close()  # or Python reports that it was never awaited
    if wrong:
        raise TypeError(
            f"select() takes operations, such as stream.receiving() or event.waiting(), not "
            f"{wrong[0]!r}: for coroutines there is race()"
        )
