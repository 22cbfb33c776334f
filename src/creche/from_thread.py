"""Calling into an event loop from other threads: from workers, and from threads of the user's own.

Publishes what is in `_threads`; only the token's part in it is here.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, TypeVar, TypeVarTuple, Unpack

from ._loop.token import EventLoopToken
from ._loop.token import kernel_of as _kernel_of
from ._threads import loop_calls as _loop_calls
from ._threads.portal import BlockingPortal as BlockingPortal
from ._threads.portal_thread import BlockingPortalProvider as BlockingPortalProvider
from ._threads.portal_thread import start_blocking_portal as start_blocking_portal

T_co = TypeVar("T_co", covariant=True)
T_Retval = TypeVar("T_Retval")
PosArgsT = TypeVarTuple("PosArgsT")


def run(
    func: Callable[[Unpack[PosArgsT]], Coroutine[Any, Any, T_co]],
    *args: *PosArgsT,
    token: EventLoopToken | None = None,
) -> T_co:
    """Run `func(*args)` in an event loop, from another thread; return or raise what it does.

    In a worker thread that is the loop of the task that waits for the worker, and what cancels that
    task cancels the function. It runs as a task, in a copy of this thread's context.

    :param func: an async function
    :param args: its positional arguments
    :param token: the event loop to run it in, from `lowlevel.current_token()`; needed in threads
        that Creche did not start
    :raises NoEventLoopError: this is no worker thread, and there is no token
    :raises RunFinishedError: the event loop has finished, or finishes before the function does
    :raises RuntimeError: the event loop of the token runs in this very thread
    """
    return _loop_calls.run(func, args, None if token is None else _kernel_of(token))


def run_sync(
    func: Callable[[Unpack[PosArgsT]], T_Retval],
    *args: *PosArgsT,
    token: EventLoopToken | None = None,
) -> T_Retval:
    """Call `func(*args)` in the thread of an event loop; return or raise what it does.

    :param func: a function that does not block; it runs outside of all tasks
    :param args: its positional arguments
    :param token: the event loop to call it in, from `lowlevel.current_token()`; needed in threads
        that Creche did not start
    :raises NoEventLoopError: this is no worker thread, and there is no token
    :raises RunFinishedError: the event loop has finished
    :raises RuntimeError: the event loop of the token runs in this very thread
    """
    return _loop_calls.run_sync(func, args, None if token is None else _kernel_of(token))


def check_cancelled() -> None:
    """Raise the event loop's cancellation exception if the task that waits for this worker is
    cancelled.

    For functions that take long, to stop early. The exception is meant to be let out.

    :raises NoEventLoopError: this is no worker thread
    """
    _loop_calls.check_cancelled()
