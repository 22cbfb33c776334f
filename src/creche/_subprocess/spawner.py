"""The one thread of the program that starts processes.

Owns the thread and its queue. Knows a start as a function to call, and the event loop by the contract.

    asked --the thread takes it--> starting --the new program runs, or cannot--> answered

Rules
-----
* Popen returns when the new program runs, or says why it does not. That is a fraction of a millisecond,
  or more where processors are scarce, and it must not be the event loop that waits.
* It is one thread, and it stays as long as the program. A child that asks to die with its parent, as
  `bwrap --die-with-parent` does, dies with the thread that started it: to the system that is the parent.
* The task that asks waits shielded, on a firm waiter, so no cancel can lose a process that is being started.
* The child of a fork has no such thread, and starts one of its own. Where threads cannot be daemons, in a
  subinterpreter, or where there are none, in a simulated run, the caller starts the process itself.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, TypeVar, cast

from .._exceptions import RunFinishedError
from .._kernel import current_task
from .._platform import check_there
from .._threads.shutdown import DAEMON

T = TypeVar("T")
NAME = "creche starts processes"


class _Start:
    """One start, between the task that asks for it and the thread."""

    __slots__ = ("_error", "_func", "_kernel", "_result", "_waiter")

    def __init__(self, func: Callable[[], Any]) -> None:
        task = current_task()
        self._func: Callable[[], Any] | None = func
        self._kernel = task.kernel
        self._waiter = task.make_firm_waiter()
        self._result: Any = None
        self._error: BaseException | None = None

    def run(self) -> None:
        """Call the function, and have the loop wake the task. In the thread."""
        func, self._func = self._func, None
        assert func is not None, "called once"
        try:
            self._result = func()
        except BaseException as exc:
            self._error = exc
        del func
        try:
            self._kernel.call_soon_threadsafe(self._wake)
        except RunFinishedError:
            pass  # The loop was closed around the task.

    def _wake(self) -> None:
        if not self._waiter.done():
            self._waiter.set_result(None)

    async def wait(self) -> Any:
        """Wait for the thread, and return or raise what the function does."""
        await self._waiter.wait()
        error, self._error = self._error, None
        result, self._result = self._result, None  # The thread may still hold this call.
        try:
            if error is not None:
                raise error
            return result
        finally:
            del error


class _Spawner:
    """The thread, from the first start on."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._queue: SimpleQueue[_Start] | None = None

    def ask(self, start: _Start) -> None:
        check_there("processes")
        with self._lock:
            if self._queue is None:
                queue: SimpleQueue[_Start] = SimpleQueue()
                threading.Thread(target=_work, args=(queue,), name=NAME, daemon=True).start()
                self._queue = queue
            self._queue.put(start)


def _work(queue: SimpleQueue[_Start]) -> None:
    while True:
        start = queue.get()
        start.run()
        del start  # Nothing of it stays while the thread waits for the next.


_spawner = _Spawner()


def _forget() -> None:
    global _spawner  # noqa: PLW0603  # the child of a fork has neither the thread nor its lock
    _spawner = _Spawner()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


async def spawn(func: Callable[[], T]) -> T:
    """Call `func()`, which starts a process, in the thread for that; return or raise what it does."""
    if not DAEMON or current_task().kernel.simulation is not None:
        return func()
    start = _Start(func)
    _spawner.ask(start)
    return cast("T", await start.wait())
