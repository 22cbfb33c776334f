"""Children that are started from another event loop than their group's: a task here, a stand-in there.

Owns such a child. It runs in the loop that it was started from, where its coroutine's streams and locks
are, in a scope of its own; in the group there is a stand-in, which waits for it, passes a cancellation
on to it, and raises its error. Knows no event loop: the two talk through `call_soon_threadsafe`.

    asked --the group's loop admits it--> running --> ended
       `--the group is closed by then--> refused

Rules
-----
* The coroutine takes no step before the group has a task that waits for it.
* What is kept of the child belongs to its own loop: the handle too. The stand-in only reads what was
  there before it was told.
* An error before `started()` is for the caller of `start()`, and not for the group.
"""

# A group and its children are one thing in several files.
# pyright: reportPrivateUsage=false

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .._exceptions import NoEventLoopError, RunFinishedError
from .._kernel import current_kernel, current_task
from .beginnings import inactive, raise_unstarted
from .handle import CANCELLED, FAILED, FINISHED, TaskHandle
from .scope import CancelScope, raise_as_is

if TYPE_CHECKING:
    from .._kernel.contract import FirmWaiter, Task, Waiter
    from .group import TaskGroup
    from .start import Starting

_log = logging.getLogger("creche")


class ElsewhereChild:
    """A child that runs in the loop of whoever started it."""

    def __init__(self, group: TaskGroup, handle: TaskHandle[Any]) -> None:
        assert group._host is not None, "the group is active"
        self._group = group
        self._home = group._host.kernel
        handle._group = None
        try:
            self._here = current_kernel()
        except NoEventLoopError as exc:
            handle.coro.close()
            raise RuntimeError(
                f"This task group belongs to an event loop ({self._home.token!r}) that does not run in "
                f"this thread, and no other one does: start tasks from threads with "
                f"creche.from_thread.run_sync(group.start_soon, ...)"
            ) from exc
        self._handle = handle
        self._scope = handle._scope = CancelScope()
        self._caller: Waiter | None = None
        """What the caller of `start()` waits on."""
        self._admission: FirmWaiter | None = None
        self._admitted: bool | None = None
        # For the stand-in, which has a loop of its own.
        self._error: BaseException | None = None
        self._ended = False
        self._stand_in: Waiter | None = None

    def begin(self) -> None:
        """Ask for admission. A copy of the current context is the child's."""
        try:
            self._home.call_soon_threadsafe(self._admit)
        except RunFinishedError:
            self._handle.coro.close()
            raise inactive() from None
        self._here.spawn_detached(self._run(), self._handle.name)

    async def start(self, caller: Task, status: Starting) -> None:
        """Do what the group's `start()` does."""
        handle = self._handle
        try:
            status._early = False
            self.begin()
            if status._called:  # Before there was a coroutine.
                status._started = True
                return
            await self._wait_started(caller, status)
            if not status._started and handle._state is not FINISHED:
                await caller.checkpoint_if_cancelled()
            if not status._started:
                raise_unstarted(handle)
        finally:
            del caller, handle  # The frames of an error that is raised here lead here.

    async def _wait_started(self, task: Task, status: Starting) -> None:
        """Wait until the child is ready, or has ended. A cancelled caller cancels the child first."""
        status._move = lambda: self._move(status)
        waiter = self._caller = task.make_waiter()
        try:
            await task.wait(waiter)
        except BaseException:
            if not status._started and self._handle._unfinished():
                status._abandoned = True
                self._scope.cancel("the caller of start() was cancelled")
                firm = self._caller = task.make_firm_waiter()
                await firm.wait()
            # An error of the child says more, and a scope's cancellation comes again.
            if self._handle._state is not FAILED or not task.in_cancelled_scope():
                raise
        finally:
            status._move = self._caller = None

    def _move(self, status: Starting) -> bool:
        """Go on as a task of the group: what `started()` does."""
        if status._abandoned:
            return False
        self._tell_caller()
        return True

    def _tell_caller(self) -> None:
        if self._caller is not None and not self._caller.done():
            self._caller.set_result(None)

    async def _run(self) -> None:
        """Run the coroutine, in its own loop."""
        handle, starting = self._handle, self._handle._starting
        try:
            await self._wait_admission()
            with self._scope:
                handle._end(FINISHED, await handle._coro)
            if handle._unfinished():
                handle._end(CANCELLED, None)
        except BaseException as exc:
            cancelled = isinstance(exc, self._here.cancelled_class)
            handle._end(CANCELLED if cancelled else FAILED, exc)
            if not cancelled and (starting is None or starting._started):
                self._error = exc
                if not self._admitted:
                    _log.warning("task %r was not started: %s", handle.name, exc)
        finally:
            handle._coro.close()
            self._tell_caller()
            self._tell(self._home, self._end)

    async def _wait_admission(self) -> None:
        self._admission = current_task().make_firm_waiter()
        if self._admitted is None:
            await self._admission.wait()
        if not self._admitted:
            raise inactive()

    def _answer(self, admitted: bool) -> None:
        """Hear whether the group has a place for the child."""
        self._admitted = admitted
        if self._admission is not None and not self._admission.done():
            self._admission.set_result(None)

    # In the loop of the group

    def _admit(self) -> None:
        admitted = self._group._open
        if admitted:
            self._group.create_task(self._wait(), name=f"stand-in for {self._handle.name}")
        self._tell(self._here, self._answer, admitted)

    async def _wait(self) -> None:
        """Be there for the child, in its group."""
        task = current_task()
        waiter = self._stand_in = task.make_waiter()
        try:
            if not self._ended:
                await task.wait(waiter)
        except task.kernel.cancelled_class:
            self._tell(self._here, self._scope.cancel, "its task group was cancelled")
            if not self._ended:
                firm = self._stand_in = task.make_firm_waiter()
                await firm.wait()
            if self._error is None:
                raise
        error, self._error = self._error, None
        try:
            if error is not None:
                raise_as_is(error)
        finally:
            del error

    def _end(self) -> None:
        self._ended = True
        if self._stand_in is not None and not self._stand_in.done():
            self._stand_in.set_result(None)

    @staticmethod
    def _tell(kernel: Any, func: Callable[..., object], *args: object) -> None:
        try:
            kernel.call_soon_threadsafe(func, *args)
        except RunFinishedError:
            pass  # A loop that is gone has nobody left who waits.
