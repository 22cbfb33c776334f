"""What the tests of the kernel contract stand on: the least that a task group and a scope have to do.

Knows the contract and nothing above it, so a test that fails says that a kernel does not keep it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Generator
from contextvars import Context
from functools import partial
from math import inf
from sys import _getframe
from typing import Any

from creche._kernel import current_task
from creche._kernel.contract import Kernel, Nursery, Task, Waiter
from creche._kernel.scope import Scope, link, unlink

Func = Callable[..., Coroutine[Any, Any, object]]


class Label:
    """The contract's `Label`, with what its child came to."""

    def __init__(self, coro: Coroutine[Any, Any, object]) -> None:
        self.coro = coro
        self.name = "a child"
        self._origin: object = self.name
        self._key: Any = None
        self.ended = False
        self.cancelled = self.cancelled_alone = False
        self.error: BaseException | None = None

    def _exposed(self) -> Coroutine[Any, Any, object]:
        return self.coro

    def _finish(self, _value: object, exc: BaseException | None, /) -> BaseException | None:
        self.ended, self.error = True, exc
        return None


class Starting:
    """The contract's `Starting`."""

    _move: Callable[[], bool] | None = None


class Group:
    """A nursery, and children that do at their end what the contract asks of them."""

    def __init__(self, deadline: float = inf, shield: bool = False) -> None:
        self.task = current_task()
        self.kernel: Kernel = self.task.kernel
        self.scope = Scope(deadline, shield)
        link(self.scope, self.task, _getframe(1))
        self.nursery: Nursery = self.kernel.open_nursery(self.scope, self.task)

    def spawn(self, func: Func, *args: object, context: Context | None = None) -> Label:
        label = Label(func(*args))
        self.nursery.spawn(self._run(label), label, context)
        return label

    async def start(self, func: Callable[[Starting], Coroutine[Any, Any, object]]) -> Label:
        """Run `func(starting)` by the nursery's `start`. The child is to call `starting._move()`."""
        starting = Starting()
        label = Label(func(starting))
        await self.nursery.start(self._run(label), label, starting)
        return label

    async def _run(self, label: Label) -> None:
        cancelled: BaseException | None = None
        try:
            await label.coro
        except self.kernel.cancelled_class as exc:
            if not label.cancelled_alone or self.nursery.cancelled():
                cancelled = exc
            label.cancelled = True
        except BaseException as exc:
            label.error = exc
        label.ended = True
        self.nursery.retire(label._key, cancelled)

    def cancel_child(self, label: Label, reason: str | None = None) -> None:
        label.cancelled_alone = True
        self.nursery.cancel_child(label._key, reason)

    def cancel(self) -> None:
        cancel(self.scope)

    async def close(self, cancelled: BaseException | None = None) -> BaseException | None:
        return await self.nursery.close(cancelled)


class entered:
    """Have a scope around a block, by the kernel's verbs."""

    def __init__(self, deadline: float = inf, shield: bool = False) -> None:
        self._scope = Scope(deadline, shield)

    def __enter__(self) -> Scope:
        task = current_task()
        link(self._scope, task, _getframe(1))
        task.kernel.enter_scope(self._scope, task)
        return self._scope

    def __exit__(self, kind: object, exc: BaseException | None, traceback: object) -> bool:
        task = current_task()
        unlink(self._scope, task)
        rest = task.kernel.leave_scope(self._scope, task, exc)
        if rest is not None and rest is not exc:
            raise rest
        return rest is None


def cancel(scope: Scope) -> None:
    """Cancel a scope, if it has not been left yet."""
    if scope._host is not None:
        scope._cancelled = True
        scope._host.kernel.update_scope(scope)


def caught(scope: Scope) -> bool:
    """Tell whether a scope has swallowed a cancellation of its own."""
    return scope._entered == "caught"


class Parked:
    """A child that waits, seen from outside."""

    def __init__(self, group: Group, *, firm: bool = False) -> None:
        self.firm = firm
        self.steps: list[object] = []
        self.task: Task
        self.waiter: Waiter
        self.scope: Scope
        self.label = group.spawn(self._wait)

    async def _wait(self) -> None:
        self.task = task = current_task()
        with entered() as self.scope:
            try:
                if self.firm:
                    self.waiter = firm = task.make_firm_waiter()
                    self.steps.append(await firm.wait())
                else:
                    self.waiter = task.make_waiter()
                    self.steps.append(await task.wait(self.waiter))
            except task.kernel.cancelled_class:
                self.steps.append("cancelled")
                raise
            except Exception as exc:
                self.steps.append(exc)
                return
            try:
                await task.checkpoint_if_cancelled()
            except task.kernel.cancelled_class:
                self.steps.append("cancelled at the next checkpoint")
                raise


async def let_run(passes: int = 10) -> None:
    """Let the other tasks run, some times over, whatever is cancelled."""
    task = current_task()
    for _ in range(passes):
        await task.cancel_shielded_checkpoint()


class Counted:
    """Awaits something, and counts how often that suspends."""

    def __init__(self, awaitable: Awaitable[object]) -> None:
        self._awaitable = awaitable
        self.suspensions = 0

    def __await__(self) -> Generator[Any, Any, object]:
        inner: Any = self._awaitable.__await__()
        step = partial(inner.send, None)
        while True:
            try:
                trap = step()
            except StopIteration as done:
                return done.value
            self.suspensions += 1
            try:
                step = partial(inner.send, (yield trap))
            except BaseException as exc:
                step = partial(inner.throw, exc)


async def acting(act: Callable[[], Awaitable[object]]) -> None:
    await act()


async def times_given_way(act: Callable[[], Awaitable[object]]) -> int:
    """Count how often this task lets another one run while it acts."""
    turns: list[None] = []
    over = False
    group = Group()

    async def other() -> None:
        while not over:
            turns.append(None)
            await current_task().checkpoint()

    group.spawn(other)
    await let_run(3)
    turns.clear()
    counted = Counted(acting(act))
    await counted
    over = True
    await group.close()
    # A loop may put the tasks of one pass in any order.
    assert len(turns) >= counted.suspensions - 1
    return counted.suspensions
