"""Children that the loop's task factory makes, where a program or a tool has set one.

Owns how such a child begins and ends. It is whatever the factory returns: a task of another class, or one
that runs the child inside a coroutine of its own. The outcome of that task is the child's. The kernel keeps
its state beside it, as for every task that it did not make.

    made --first step--> begun --the factory's task ends--> retired
        `--the factory's task ends before that----^

Rules
-----
* `asyncio.eager_task_factory` is ignored: it only decides when a task begins, and so do we. A child
  takes its first step after `start_soon` has returned, whatever the factory; see `_begin`.
* The child's value and error reach the factory's coroutine, which may change them.
* A factory that raises has made nothing: the child's coroutine is closed, and the error goes on.
"""

# pyright: reportPrivateUsage=false

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Generator
from contextvars import Context
from types import coroutine
from typing import TYPE_CHECKING, Any

from ..contract import ChildLabel
from ..inspection import TaskRecord
from .state import Factories, LoopKernel
from .tasks import ForeignTask, foreign_tasks

if TYPE_CHECKING:
    from ..scope import Scope

EAGER: object = getattr(asyncio, "eager_task_factory", None)
"""asyncio's own factory for tasks that begin at once, from Python 3.12 on."""


class _Asked:
    """The task factory of a loop that keeps it elsewhere, such as uvloop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._ask = loop.get_task_factory

    @property
    def _task_factory(self) -> Any:
        return self._ask()


def factories_of(loop: asyncio.AbstractEventLoop) -> Factories:
    """Return the object whose `_task_factory` tells, for each child, whether there is a factory."""
    stock: Any = loop if hasattr(loop, "_task_factory") else _Asked(loop)
    return stock  # type: ignore[no-any-return]  # either


class FactoryTask(ForeignTask):
    """The kernel's state for a child that the loop's task factory has made."""

    __slots__ = ("_begun", "_child", "_exposed", "label", "nursery", "origin")

    origin: object

    def __init__(self, native: asyncio.Task[Any], kernel: LoopKernel, label: Any) -> None:
        super().__init__(native, kernel)
        self._child: asyncio.Task[Any] | None = native  # The loop has weak references only.
        self._begun = False
        self._exposed: Any = None
        self.label = label
        self.nursery: Any = None

    def begun(self) -> bool:
        return self._begun

    def info(self) -> TaskRecord:
        record = super().info()
        label, nursery = self.label, self.nursery
        if label is None or nursery is None:
            return record
        return record._replace(parent_id=id(nursery.host.native), coro=label.coro, label=label)

    def end(self, native: asyncio.Task[Any]) -> None:
        """End the child as the factory's task has ended."""
        label, nursery = self.label, self.nursery
        cancelled: BaseException | None = None
        try:
            # The factory's coroutine may not have awaited it to its end, or at all.
            self._exposed.close()
            label.coro.close()
            cancelled = label._finish(native.result(), None)
        except BaseException as exc:
            cancelled = label._finish(None, exc)
        try:
            nursery.retire(self, cancelled)
        finally:
            self._child = self._exposed = None
            del cancelled, label, nursery, self, native


class _Slot:
    """Where a child finds its state, once its task is made."""

    __slots__ = ("state",)

    state: FactoryTask | None


def make_child(
    kernel: LoopKernel,
    coro: Coroutine[Any, Any, Any],
    label: ChildLabel,
    nursery: Any,
    scope: Scope | None,
    context: Context | None = None,
) -> FactoryTask:
    """Have the loop's task factory make a child; otherwise as `tasks.new_task`."""
    coro.close()  # `label` has what runs in its place.
    exposed = label._exposed()
    slot = _Slot()
    slot.state = None
    running = _begin(exposed, slot)
    create = kernel.loop.create_task
    try:
        if context is None:  # Not all factories know of contexts.
            native = create(running, name=label.name)
        else:
            native = create(running, name=label.name, context=context)
    except BaseException:
        running.close()
        exposed.close()
        label.coro.close()
        raise
    state = slot.state = label._key = FactoryTask(native, kernel, label)
    foreign_tasks[id(native)] = state
    state._exposed = exposed
    state.nursery = nursery
    state.scope = scope
    native.add_done_callback(state.end)
    return state


async def _begin(exposed: Coroutine[Any, Any, Any], slot: _Slot) -> Any:
    if slot.state is None:
        await _give_way()  # An eager factory, which has not returned yet.
    state, slot.state = slot.state, None
    assert state is not None, "set when the factory has returned"
    state._begun = True
    del state, slot
    return await exposed


@coroutine
def _give_way() -> Generator[None, None, None]:
    yield
