"""`BlockingPortal`: an event loop as seen from threads that are not its workers.

Owns which calls are let in, and the group that they run in. Knows no event loop beyond the
contract; the calls themselves are in `portal_calls.py`, a loop and a thread for a portal in
`portal_thread.py`.

A portal:

    open --stop()--> stopping (its tasks still run) --the last one ends--> closed

Rules
-----
* Each call is a task of the portal's group, which keeps its outcome to itself: no call can end the
  portal, and none is left behind when it closes.
* A call that was sent is answered: by its task, or by the portal as it closes (`_sent`). A sender checks
  that the portal is open and adds the call under one hold of `_lock`; so no call is added after the portal
  has closed.
* Futures cancel both ways. Cancelling a future cancels its task; a cancelled task cancels its
  future.
* No exception of an event loop leaves the portal: a thread that waits for a cancelled task gets
  `concurrent.futures.CancelledError`.
"""

# pyright: reportPrivateUsage=false
# What ends a portal, or lives in one, stands in this module with it.

from __future__ import annotations

import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import CancelledError, Future
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar, TypeVarTuple, Unpack, cast, overload

from .._exceptions import RunFinishedError
from .._kernel import current_kernel, current_task
from .._sync.event import Event
from .._tasks.group import TaskGroup
from .portal_calls import CrossLoopCall, FutureCall, PortalCall, StartCall

if TYPE_CHECKING:
    from .._kernel.contract import Task


T_Retval = TypeVar("T_Retval")
T_co = TypeVar("T_co", covariant=True)
PosArgsT = TypeVarTuple("PosArgsT")


class BlockingPortal:
    """Lets other threads run code in this event loop. Used with `async with`.

    ```python
    import threading

    import creche
    from creche.from_thread import BlockingPortal


    async def main() -> None:
        async with BlockingPortal() as portal:
            thread = threading.Thread(target=work, args=(portal,))
            thread.start()
            await portal.sleep_until_stopped()
        thread.join()


    def work(portal: BlockingPortal) -> None:
        portal.call(creche.sleep, 0.01)
        portal.call(portal.stop)


    creche.run(main)
    ```

    :raises NoEventLoopError: no event loop runs in this thread
    """

    __slots__ = (
        "__weakref__",
        "_group",
        "_kernel",
        "_lock",
        "_open",
        "_sent",
        "_stopped",
        "_thread",
    )

    def __init__(self) -> None:
        self._kernel = current_kernel()
        self._group = TaskGroup()
        self._stopped = Event()
        self._lock = threading.RLock()  # A signal's handler may send while its thread sends.
        self._open = True
        self._sent: set[PortalCall] = set()
        self._thread = threading.get_ident()

    async def __aenter__(self) -> Self:
        await self._group.__aenter__()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> bool:
        self._close()
        try:
            return await self._group.__aexit__(exc_type, exc_val, exc_tb)
        finally:
            with self._lock:
                sent, self._sent = self._sent, set()
            for call in sent:
                call.refuse(_not_running())

    async def sleep_until_stopped(self) -> None:
        """Wait until `stop()` is called. A checkpoint."""
        await self._stopped.wait()

    async def stop(self, cancel_remaining: bool = False, *, grace: float | None = None) -> None:
        """Take no more calls, and end `sleep_until_stopped()`.

        :param cancel_remaining: whether to cancel the tasks that still run, rather than have the
            end of the `async with` block wait for them
        :param grace: ask the tasks that still run to stop, and cancel those that are left after so many
            seconds; None to leave them be
        :raises ValueError: `grace` is negative or NaN
        """
        if grace is not None:
            self._group.stop("the blocking portal was stopped", grace=grace)
        self._close(cancel_remaining)

    def _close(self, cancel_remaining: bool = False) -> None:
        with self._lock:
            self._open = False
        self._stopped.set()
        if cancel_remaining:
            self._group.cancel_scope.cancel("the blocking portal was stopped")

    @overload
    def call(
        self, func: Callable[[Unpack[PosArgsT]], Awaitable[T_Retval]], *args: *PosArgsT
    ) -> T_Retval: ...

    @overload
    def call(self, func: Callable[[Unpack[PosArgsT]], T_Retval], *args: *PosArgsT) -> T_Retval: ...

    def call(self, func: Callable[[Unpack[PosArgsT]], Any], *args: *PosArgsT) -> Any:
        """Call `func(*args)` in the event loop, as a task, and return or raise what it does.

        If it returns an awaitable that is awaited there.

        :param func: any function
        :param args: its positional arguments
        :raises RuntimeError: the portal is not running, or this is the thread of its event loop
        :raises concurrent.futures.CancelledError: the task was cancelled, by `stop()` perhaps
        """
        call = PortalCall(self._kernel, func, args)
        self._send(call)
        try:
            return call.wait()
        except KeyboardInterrupt:
            call.cancel_from_outside()
            raise

    @overload
    async def call_async(
        self,
        func: Callable[[Unpack[PosArgsT]], Awaitable[T_Retval]],
        *args: *PosArgsT,
        abandon_on_cancel: bool = False,
    ) -> T_Retval: ...

    @overload
    async def call_async(
        self,
        func: Callable[[Unpack[PosArgsT]], T_Retval],
        *args: *PosArgsT,
        abandon_on_cancel: bool = False,
    ) -> T_Retval: ...

    async def call_async(
        self,
        func: Callable[[Unpack[PosArgsT]], Any],
        *args: *PosArgsT,
        abandon_on_cancel: bool = False,
    ) -> Any:
        """Call `func(*args)` in the portal's event loop, from a task of another one. A checkpoint.

        If it returns an awaitable that is awaited there. Cancelling the caller cancels it.

        :param func: any function
        :param args: its positional arguments
        :param abandon_on_cancel: whether a cancelled caller leaves at once, rather than wait until
            the task in the portal has ended, and raise what it then raises
        :raises RuntimeError: the portal is not running, or this is the thread of its event loop
        """
        task = current_task()
        await task.ready_checkpoint()
        cross_call = CrossLoopCall(self._kernel, func, args, task)
        self._send(cross_call)
        try:
            await task.wait(cross_call.waiter)
        except BaseException:
            cross_call.cancel_from_outside()
            if not abandon_on_cancel:
                await _see_off(cross_call, task)
            raise
        return cross_call.outcome()

    @overload
    def start_task_soon(
        self,
        func: Callable[[Unpack[PosArgsT]], Awaitable[T_Retval]],
        *args: *PosArgsT,
        name: object = None,
    ) -> Future[T_Retval]: ...

    @overload
    def start_task_soon(
        self,
        func: Callable[[Unpack[PosArgsT]], T_Retval],
        *args: *PosArgsT,
        name: object = None,
    ) -> Future[T_Retval]: ...

    def start_task_soon(
        self, func: Callable[[Unpack[PosArgsT]], Any], *args: *PosArgsT, name: object = None
    ) -> Future[Any]:
        """Start `func(*args)` as a task of the portal's, without waiting for it.

        :param func: any function; if it returns an awaitable that is awaited
        :param args: its positional arguments
        :param name: a name to see in lists of tasks
        :return: a future for the outcome; cancelling it cancels the task
        :raises RuntimeError: the portal is not running, or this is the thread of its event loop
        """
        future_call = FutureCall(self._kernel, func, args, name)
        self._send(future_call)
        return future_call.future

    def start_task(
        self, func: Callable[..., Awaitable[T_Retval]], *args: object, name: object = None
    ) -> tuple[Future[T_Retval], Any]:
        """Start `func(*args, task_status=...)` and wait until it calls `task_status.started()`.

        :param func: an async function with a keyword argument `task_status`
        :param args: its positional arguments
        :param name: a name to see in lists of tasks
        :return: a future for the outcome, and the value that was given to `started()`
        :raises RuntimeError: the task ends without a call of `started()`; the portal is not running,
            or this is the thread of its event loop
        """
        start = StartCall(self._kernel, func, args, name)
        self._send(start)
        try:
            return start.future, start.ready.result()
        except KeyboardInterrupt:
            start.future.cancel()
            raise

    def wrap_async_context_manager(
        self, cm: AbstractAsyncContextManager[T_co]
    ) -> AbstractContextManager[T_co]:
        """Make a context manager for `with` of one for `async with`.

        It is entered and left in the event loop, both in one task.

        :param cm: an async context manager
        """
        return _Wrapped(self, cm)

    def _send(self, call: PortalCall) -> None:
        if threading.get_ident() == self._thread:
            raise RuntimeError(
                "This method cannot be called from the event loop thread: it would wait for "
                "itself. Await the function, or start it in a task group"
            )
        with self._lock:
            if not self._open:
                raise _not_running()
            self._sent.add(call)
        try:
            self._kernel.call_soon_threadsafe(self._admit, call)
        except BaseException:
            with self._lock:
                self._sent.discard(call)
            raise

    def _admit(self, call: PortalCall) -> None:
        with self._lock:
            waits = call in self._sent
            self._sent.discard(call)
        if waits and self._open:
            call.begin(self._group)
        elif waits:
            call.refuse(_not_running())


def stop_from_outside(portal: BlockingPortal, cancel_remaining: bool) -> None:
    """Call `portal.stop` in another thread. For `start_blocking_portal`."""
    try:
        portal._kernel.call_soon_threadsafe(portal._close, cancel_remaining)
    except RunFinishedError:
        pass


async def _see_off(cross_call: CrossLoopCall, task: Task) -> None:
    """Wait for what was cancelled, and raise what its clean-up raised."""
    if not cross_call.delivered:
        cross_call.waiter = waiter = task.make_firm_waiter()
        await waiter.wait()
    if cross_call.error is not None and not isinstance(cross_call.error, CancelledError):
        cross_call.outcome()


def _not_running() -> RuntimeError:
    return RuntimeError(
        "This portal is not running: it takes calls inside its 'with' block, until it is stopped"
    )


class _Wrapped(AbstractContextManager[T_co, bool | None], Generic[T_co]):
    """An async context manager that lives in a task of a portal."""

    def __init__(self, portal: BlockingPortal, cm: AbstractAsyncContextManager[T_co]) -> None:
        self._portal = portal
        self._cm = cm
        self._leave = Event()
        self._error: Any = (None, None, None)
        self._future: Future[bool | None] | None = None

    def __enter__(self) -> T_co:
        self._future, value = self._portal.start_task(self._live)
        return cast("T_co", value)

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> bool | None:
        future, self._future = self._future, None
        assert future is not None, "entered before it is left"
        self._error = exc_type, exc_val, exc_tb
        try:
            self._portal._kernel.call_soon_threadsafe(self._leave.set)
        except RunFinishedError:
            pass  # The portal has been cancelled, and the task before it: that is in the future.
        return future.result()

    async def _live(self, *, task_status: Any) -> bool | None:
        value = await self._cm.__aenter__()
        try:
            task_status.started(value)
            await self._leave.wait()
        except BaseException as exc:
            if not await self._cm.__aexit__(type(exc), exc, exc.__traceback__):
                raise
            return None
        error, self._error = self._error, None
        try:
            return await self._cm.__aexit__(*error)
        finally:
            del error
