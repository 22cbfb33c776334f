"""Operations that belong to no primitive below: deadlines, and an operation whose errors are values.

How an operation is offered, committed and withdrawn is told in `creche/_sync/operation.py`.
"""

from __future__ import annotations

from typing import Any, TypeVar

from .below import Operation, TaskInfo, WaitDescription, Waiter, current_time
from .outcomes import Outcome

T = TypeVar("T")


class Deadline(Operation[None]):
    """The passing of a time: what `deadline_at` and `deadline_after` return."""

    __slots__ = ("deadline",)

    deadline: float

    def __init__(self, deadline: float) -> None:
        if deadline != deadline:
            raise ValueError(
                "a deadline must not be NaN: give a time by current_time(), in seconds"
            )
        self.deadline = deadline

    def is_ready(self) -> bool:
        return current_time() >= self.deadline

    def commit(self) -> None:
        pass

    def join(self, waiter: Waiter, /) -> None:
        pass

    def leave(self, waiter: Waiter, /) -> None:
        pass

    def _describe_wait(
        self, task: TaskInfo, inner: WaitDescription | None
    ) -> WaitDescription | None:
        return WaitDescription(f"the time {self.deadline:g}", "time")

    def __repr__(self) -> str:
        return f"<{type(self).__name__} at {self.deadline:g}>"


def deadline_at(deadline: float) -> Operation[None]:
    """Return an operation for `select` that is ready once a time has passed. Its value is None.

    :param deadline: a time by `current_time()`, in seconds
    """
    return Deadline(deadline)


def deadline_after(delay: float) -> Operation[None]:
    """Return an operation for `select` that is ready `delay` seconds from now. Its value is None.

    The time runs from this call, also if the operation is offered several times.

    :param delay: seconds
    """
    return Deadline(current_time() + delay)


class Catching(Operation[Outcome[T]]):
    """An operation whose errors are values: what `catching` returns."""

    __slots__ = ("_inner", "deadline", "settles")

    deadline: float
    settles: bool

    def __init__(self, inner: Operation[T]) -> None:
        self._inner = inner
        self.deadline = inner.deadline
        self.settles = inner.settles

    @property
    def subject(self) -> object:
        return self._inner.subject

    def is_ready(self) -> bool:
        return self._inner.is_ready()

    def commit(self) -> Outcome[T]:
        try:
            return Outcome[T].of_value(self._inner.commit())
        except Exception as exc:
            return Outcome[T].of_error(exc)

    def join(self, waiter: Waiter, /) -> None:
        self._inner.join(waiter)

    def leave(self, waiter: Waiter, /) -> None:
        self._inner.leave(waiter)

    def granted(self, value: Any, /) -> Outcome[T]:
        try:
            return Outcome[T].of_value(self._inner.granted(value))
        except Exception as exc:
            return Outcome[T].of_error(exc)

    def failed(self, exc: BaseException, /) -> Outcome[T]:
        try:
            return Outcome[T].of_value(self._inner.failed(exc))
        except Exception as error:
            return Outcome[T].of_error(error)

    async def settle(self, value: Any, /) -> None:
        await self._inner.settle(value)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._inner!r}>"


def catching(operation: Operation[T]) -> Operation[Outcome[T]]:
    """Return an operation that does what `operation` does, with an `Outcome` as its value.

    So `select` does not raise if a stream has ended, but tells which one:

    ```python
    import creche
    from creche.flow import catching, select


    async def main() -> None:
        send, receive = creche.create_memory_object_stream[int]()
        send.close()
        with receive:
            _, outcome = await select(catching(receive.receiving()))
            print(repr(outcome.error))


    creche.run(main)
    ```
    """
    return Catching(operation)
