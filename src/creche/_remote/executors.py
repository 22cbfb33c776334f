"""A call on an executor of somebody else's: `to_executor.run_sync`.

Owns the call, between the task that waits for it and the executor's future. Knows of the executor only what
`concurrent.futures` says.

A call:

    waiting for a token --granted--> submitted --the executor begins it--> running --> finished
        |                              |                                     |
        `--cancelled--> never made     `--cancelled--> withdrawn             `--cancelled--> waited for
                                                                                    or abandoned

Rules
-----
* A cancelled caller withdraws a call that has not begun: its function never runs.
* The token belongs to the call: it goes back when the function has ended, however long ago its caller left.
* A future calls back in the thread that resolves it, or at once, in the loop's own thread, if it is resolved
  already. So a callback only puts a call into the loop.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any, TypeVar, TypeVarTuple, Unpack

from .._kernel import current_task
from .._sync.event import Event
from .._sync.limiter import CapacityLimiter
from .._threads.threadsafe import ThreadsafeCalls, wait_out

T_Retval = TypeVar("T_Retval")
PosArgsT = TypeVarTuple("PosArgsT")


async def run_sync(
    executor: Executor,
    func: Callable[[Unpack[PosArgsT]], T_Retval],
    *args: *PosArgsT,
    abandon_on_cancel: bool = False,
    limiter: CapacityLimiter | None = None,
) -> T_Retval:
    """Call `func(*args)` on an executor, and return or raise what it does. A checkpoint.

    For process pools, and for the executors of loky, mpi4py, Dask and others. If the caller is cancelled
    while the call is in the executor's queue, it is withdrawn, and the function never runs. Once the function
    runs, the caller waits for it, for a future cannot stop what runs; what it returns is returned.

    :param executor: anything with the `submit` of `concurrent.futures.Executor`
    :param func: a function that the executor can call
    :param args: its positional arguments
    :param abandon_on_cancel: whether a cancelled caller leaves a running function behind at once. It goes on
        alone, with its token of the limiter, and its outcome goes nowhere
    :param limiter: what bounds the number of calls that are submitted at a time; None to let the executor
        queue them all
    :raises concurrent.futures.CancelledError: somebody else has cancelled the future, or shut down the executor
    :raises concurrent.futures.BrokenExecutor: a worker of the executor died
    :raises TypeError: `executor` is none
    """
    if not callable(getattr(executor, "submit", None)):
        raise TypeError(
            f"to_executor.run_sync() takes an executor, then the function: {executor!r} has no submit()"
        )
    task = current_task()
    await task.checkpoint_if_cancelled()
    token = object()
    if limiter is not None:
        await limiter.acquire_on_behalf_of(token)
    calls, ended = ThreadsafeCalls(), Event()

    def finish() -> None:
        ended.set()
        if limiter is not None:
            limiter.release_on_behalf_of(token)

    try:
        future = executor.submit(func, *args)
    except BaseException:
        finish()
        raise
    future.add_done_callback(lambda _: calls.put(finish))
    try:
        await ended.wait()
    except BaseException:
        if future.cancel() or abandon_on_cancel:
            raise
        await wait_out(ended)
    result: T_Retval = await _outcome(future)
    return result


async def _outcome(future: Future[Any]) -> Any:
    task = current_task()
    error = future.exception()
    if error is None:
        return future.result()
    if isinstance(error, task.kernel.cancelled_class):
        await task.checkpoint_if_cancelled()  # The real one, if the function let out a copy of it.
    try:
        raise error
    finally:
        del error
