"""The calls that a blocking portal takes, by what waits for them and how.

Owns what happens to one call from the moment the portal lets it in. Knows the portal's group, and
no event loop beyond the contract.

    kind           what waits                         by
    PortalCall     a thread                           the call's own lock
    FutureCall     the holder of a future             `concurrent.futures.Future`
    StartCall      the same, also for `started()`     two futures
    CrossLoopCall  a task of another event loop       a waiter of that loop

A call is `sent -> running -> answered`, or `sent -> refused` by a portal that has stopped. It may be
cancelled in each. One that was sent takes its first step all the same, as a task of a group does that is
cancelled before it begins: a function that has something to clean up, or is handed something to close, is
always called, and hears of the cancel at its first checkpoint.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import CancelledError, Future, InvalidStateError
from typing import TYPE_CHECKING, Any

from .._advice import note_advice_in
from .._exceptions import RunFinishedError
from .._tasks.handle import TaskHandle, name_of
from .library import tell_library
from .loop_calls import LoopCall

if TYPE_CHECKING:
    from .._kernel.contract import Kernel, Task, Waiter
    from .._tasks.group import TaskGroup


class PortalCall(LoopCall):
    """A call through a portal, for a thread that waits for it."""

    __slots__ = ("_withdrawn", "handle", "name")

    def __init__(
        self,
        kernel: Kernel,
        func: Callable[..., Any],
        args: tuple[Any, ...],
        name: object = None,
    ) -> None:
        super().__init__(kernel, func, args)
        self.handle: TaskHandle[None] | None = None
        self.name = name_of(func) if name is None else str(name)
        self._withdrawn = False

    # In the loop

    def begin(self, group: TaskGroup) -> None:
        self.handle = group.start_soon(self.run, name=self.name)
        if self._withdrawn:
            self.handle.cancel()

    async def run(self) -> None:
        tell_library(self.kernel)
        try:
            result = self.func(*self.args)
            if hasattr(result, "__await__"):
                result = await result
            self.result = result
        except GeneratorExit:  # The loop was closed around it.
            self.error = RunFinishedError()
        except self.kernel.cancelled_class:
            self.error = CancelledError()
        except BaseException as exc:
            note_advice_in(exc)
            self.error = exc
        self.answer()

    def refuse(self, exc: BaseException) -> None:
        self.error = exc
        self.answer()

    def cancel(self) -> None:
        self._withdrawn = True
        if self.handle is not None:
            self.handle.cancel()

    # In any thread

    def cancel_from_outside(self) -> None:
        self._withdrawn = (
            True  # Heard at the first checkpoint, even if the loop is about to begin it.
        )
        try:
            self.kernel.call_soon_threadsafe(self.cancel)
        except RunFinishedError:
            pass


class FutureCall(PortalCall):
    """A call whose outcome goes into a future."""

    __slots__ = ("future",)

    def __init__(
        self,
        kernel: Kernel,
        func: Callable[..., Any],
        args: tuple[Any, ...],
        name: object = None,
    ) -> None:
        super().__init__(kernel, func, args, name)
        self.future: Future[Any] = Future()
        self.future.add_done_callback(self._hear)

    def answer(self) -> None:
        future, error, self.error = self.future, self.error, None
        try:
            if isinstance(error, CancelledError):
                future.cancel()
            elif error is None:
                future.set_result(self.result)
            else:
                future.set_exception(error)
        except InvalidStateError:
            pass  # Cancelled from outside: nobody wants to know.
        finally:
            del error
        if future.cancelled():
            # Until this, `concurrent.futures.wait()` does not see it.
            future.set_running_or_notify_cancel()

    def _hear(self, future: Future[Any]) -> None:
        if future.cancelled():
            self.cancel_from_outside()


class StartCall(FutureCall):
    """A call that says when it is ready: the task status of `start_task`."""

    __slots__ = ("ready",)

    def __init__(
        self, kernel: Kernel, func: Callable[..., Any], args: tuple[Any, ...], name: object
    ) -> None:
        super().__init__(kernel, self._with_status, (func, *args), name or name_of(func))
        self.ready: Future[Any] = Future()

    def _with_status(self, func: Callable[..., Any], *args: Any) -> Any:
        return func(*args, task_status=self)

    def started(self, value: Any = None) -> None:
        if self.ready.cancelled():
            return
        try:
            self.ready.set_result(value)
        except InvalidStateError:
            raise RuntimeError(
                "called 'started' twice on the same task status: call it once, when the task is "
                "ready"
            ) from None

    def answer(self) -> None:
        if not self.ready.done():
            error = self.error
            if error is None and not self.future.cancelled():
                error = RuntimeError(
                    f"Task exited without calling task_status.started(): {self.name} has to call "
                    f"it when it is ready"
                )
            self.ready.set_exception(error or CancelledError())
            del error
        super().answer()


class CrossLoopCall(PortalCall):
    """A call from a task of another event loop."""

    __slots__ = ("_caller_kernel", "delivered", "waiter")

    def __init__(
        self, kernel: Kernel, func: Callable[..., Any], args: tuple[Any, ...], task: Task
    ) -> None:
        super().__init__(kernel, func, args)
        self._caller_kernel = task.kernel
        self.waiter: Waiter = task.make_waiter()
        self.delivered = False

    def answer(self) -> None:
        try:
            self._caller_kernel.call_soon_threadsafe(self._deliver)
        except RunFinishedError:
            self.error = None  # The task that waited is gone, with its loop.

    def _deliver(self) -> None:
        self.delivered = True
        if not self.waiter.done():
            self.waiter.set_result(None)
