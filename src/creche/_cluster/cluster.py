"""`Cluster`: calls on other machines, under the scopes of the tasks that make them.

Owns what one task does for its call: pickle it, wait for a slot, wait for the end, and see to the end if it
is cancelled. What may start and what has ended is decided in `call.py`; how anything gets anywhere is the
engine's business.

Rules
-----
* A call returns, or raises, when the function has ended and nothing is left of its process group; or was
  never started; or when it reports that neither can be known (`RemoteWorkerLost` and its kind).
* A cancelled call is waited for as long as its ttl and graces together, and then it is reported.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import AsyncIterable, Callable, Coroutine, Iterable, Sequence
from typing import Any, Literal, NamedTuple, TypeVar, TypeVarTuple, Unpack, overload

from .._flow.mapped import Mapped, make_map
from .._flow.outcomes import Outcome
from .._flow.rates import RateLimiter
from .._loop.time import (
    current_effective_deadline,
    current_time,
    get_cancelled_exc_class,
    sleep_until,
)
from .._tasks.info import get_current_task
from .._threads.threadsafe import wait_out
from .call import Verdict
from .calls import Calls, Pending, RemoteCall
from .checks import (
    check_function,
    check_grace,
    checked_placement,
    checked_retries,
    current_minor,
    exit_words,
    name_of,
)
from .contract import Answer, Engine, Options, Placement, WorkerInfo
from .errors import (
    ClusterError,
    ClusterLost,
    IncompatibleWorker,
    RemoteWorkerLost,
    WorkerUnreachable,
)
from .payload import open_answer, pack
from .remote.leases import DIED, GIVEN_UP
from .remote.perform import CANCELLED

T = TypeVar("T")
T_Retval = TypeVar("T_Retval")
PosArgsT = TypeVarTuple("PosArgsT")

GRACE = (0.5, 0.5)
CLOCKS_DIFFER = 1.0
"""Seconds by which a deadline may pass on the worker before it does here."""


class Call(NamedTuple):
    """A call with all that was asked of it, checked and pickled."""

    name: str
    data: bytes
    by_value: bool
    backend: str
    grace: tuple[float, float]
    placement: Placement
    reuse: bool


class Cluster:
    """A connection to a cluster, which `open_cluster` makes."""

    def __init__(self, engine: Engine, calls: Calls, ttl: float) -> None:
        self._engine = engine
        self._calls = calls
        self._ttl = ttl
        self._numbers = itertools.count(1)
        self._process = os.urandom(4).hex()

    @property
    def workers(self) -> Sequence[WorkerInfo]:
        """The workers that are there now."""
        return list(self._calls.workers.values())

    @property
    def slots(self) -> int:
        """How many calls can run at a time now."""
        return sum(worker.slots for worker in self._calls.workers.values())

    def calls(self) -> Sequence[RemoteCall]:
        """Return the calls that wait for a slot, run or are being stopped."""
        return self._calls.list()

    async def run_sync(
        self,
        func: Callable[[Unpack[PosArgsT]], T_Retval],
        *args: *PosArgsT,
        grace: tuple[float, float] = GRACE,
        placement: Placement | None = None,
        retries: int = 0,
        reuse: bool = True,
    ) -> T_Retval:
        """Call `func(*args)` on some worker, and return or raise what it does. A checkpoint.

        The function runs in a child process of the worker, at most once. If the caller is cancelled, or its
        deadline passes, the call is ended: `from_thread.check_cancelled()` raises in the function, after the
        first grace its process group gets SIGTERM, after the second SIGKILL. The call returns when the
        function has ended and its process group is gone, or if it was never started.

        Calls beyond the cluster's slots wait here. Context variables do not travel.

        :param func: a function; one that cannot be imported (a lambda, a closure, one of the main program)
            travels by value, to workers of the same minor version of Python
        :param args: its positional arguments
        :param grace: seconds from the cancellation to SIGTERM, and from there to SIGKILL
        :param placement: where it may run; None for anywhere
        :param retries: how often it is run again if its worker is lost, for functions that may run twice
        :param reuse: whether a process that has made a call before will do
        :raises PayloadError: function, arguments, result or error cannot be pickled
        :raises RemoteWorkerLost: the worker or the process ended before the call did
        :raises WorkerUnreachable: nobody knows whether the function has ended
        :raises IncompatibleWorker: `func` travels by value and no worker has this minor version of Python
        :raises ClusterLost: the connection to the cluster is gone
        """
        call = self._prepare(func, args, "", grace, placement, reuse)
        result: T_Retval = await self._make(call, checked_retries(retries))
        return result

    async def run(
        self,
        func: Callable[[Unpack[PosArgsT]], Coroutine[Any, Any, T_Retval]],
        *args: *PosArgsT,
        grace: tuple[float, float] = GRACE,
        placement: Placement | None = None,
        retries: int = 0,
        reuse: bool = True,
        backend: str = "asyncio",
    ) -> T_Retval:
        """Run `func(*args)`, an async function, on some worker; return or raise what it does. A checkpoint.

        As `run_sync`, but the function runs in `creche.run` in the child, inside a scope that is cancelled
        when the caller is, and has the deadline that the caller had when it began. Creche must be installed on
        the worker.

        :param func: an async function, otherwise as for `run_sync`
        :param backend: the event loop for it, as for `creche.run`
        """
        call = self._prepare(func, args, backend, grace, placement, reuse)
        if call.placement.threads:
            raise ValueError(
                "an async function runs in a child process: leave out Placement(threads=True)"
            )
        result: T_Retval = await self._make(call, checked_retries(retries))
        return result

    @overload
    def map(
        self,
        func: Callable[[T], T_Retval],
        items: Iterable[T] | AsyncIterable[T],
        *,
        at_most: int | None = None,
        per_second: float | RateLimiter | None = None,
        ordered: bool = False,
        errors: Literal["raise"] = "raise",
        grace: tuple[float, float] = GRACE,
        placement: Placement | None = None,
        retries: int = 0,
        reuse: bool = True,
    ) -> Mapped[T_Retval]: ...

    @overload
    def map(
        self,
        func: Callable[[T], T_Retval],
        items: Iterable[T] | AsyncIterable[T],
        *,
        at_most: int | None = None,
        per_second: float | RateLimiter | None = None,
        ordered: bool = False,
        errors: Literal["return"],
        grace: tuple[float, float] = GRACE,
        placement: Placement | None = None,
        retries: int = 0,
        reuse: bool = True,
    ) -> Mapped[tuple[T, Outcome[T_Retval]]]: ...

    def map(
        self,
        func: Callable[[T], T_Retval],
        items: Iterable[T] | AsyncIterable[T],
        *,
        at_most: int | None = None,
        per_second: float | RateLimiter | None = None,
        ordered: bool = False,
        errors: Literal["raise", "return"] = "raise",
        grace: tuple[float, float] = GRACE,
        placement: Placement | None = None,
        retries: int = 0,
        reuse: bool = True,
    ) -> Mapped[Any]:
        """Call `func(item)` on the cluster for each item, at most so many at a time.

        `creche.flow.as_mapped` for calls on the cluster: an async context manager that gives an async iterator
        over the results, by the same rules.

        ```python
        import creche
        from creche.cluster import open_cluster


        async def main() -> None:
            async with open_cluster() as cluster:
                async with cluster.map(abs, range(-3, 0), ordered=True) as results:
                    print([result async for result in results])


        creche.run(main)
        ```

        ```text title="Output"
        [3, 2, 1]
        ```

        An item is pulled when there is room for its result, so `items` may be endless. A call that raises
        cancels the others, and the iteration raises its error when they have ended. Leaving the block cancels
        the calls that run and waits for them.

        :param func: a function of one argument
        :param items: an iterable or async iterable of the arguments
        :param at_most: how many items may be pulled whose results were not taken; None for twice as many as
            the cluster has slots
        :param per_second: how many calls may start per second, or a `creche.flow.RateLimiter` to share
        :param ordered: whether results come in the order of the items, rather than as calls end
        :param errors: `"raise"`, or `"return"` for pairs of an item and the `Outcome` of its call, where no
            call cancels another
        :param grace: as for `run_sync`, like what follows
        :return: the results, with `total`, `done`, `failed` and `running` to show progress
        :raises TypeError: an argument is of the wrong type
        :raises ValueError: `at_most` is less than 1, or `errors` is neither of the two
        """

        async def call(item: T) -> T_Retval:
            return await self.run_sync(
                func, item, grace=grace, placement=placement, retries=retries, reuse=reuse
            )

        check_function(func, name_of(func), runs_async=False)
        check_grace(grace)
        call.__qualname__ = name_of(func)
        most = 2 * max(1, self.slots) if at_most is None else at_most
        return make_map(
            call, items, most, per_second, ordered, errors, ahead=most, maker="cluster.map"
        )

    # One call

    def _prepare(
        self,
        func: Callable[..., object],
        args: tuple[object, ...],
        backend: str,
        grace: tuple[float, float],
        placement: Placement | None,
        reuse: bool,
    ) -> Call:
        name = name_of(func)
        check_function(func, name, runs_async=bool(backend))
        check_grace(grace)
        placement = checked_placement(placement)
        self._check_workers(name, placement)
        payload = pack(func, args, name)
        if payload.by_value:
            placement = self._where_it_can_run(name, placement)
        return Call(name, *payload, backend, grace, placement, reuse)

    def _check_workers(self, name: str, placement: Placement) -> None:
        known = self._calls.workers.values()
        names = {each.address for each in known} | {each.name for each in known}
        unknown = [each for each in placement.workers if each not in names]
        if unknown and len(unknown) == len(placement.workers):
            raise ClusterError(
                f"{name}() cannot be placed: there is no worker {', '.join(map(repr, unknown))}. "
                "See cluster.workers for those that are there"
            )

    def _where_it_can_run(self, name: str, placement: Placement) -> Placement:
        """Keep a call that travels by value to workers with this minor version of Python."""
        here, chosen = current_minor(), set(placement.workers)
        workers = [
            worker
            for worker in self._calls.workers.values()
            if not chosen or {worker.address, worker.name} & chosen
        ]
        fit = [worker.address for worker in workers if worker.python[:2] == here]
        if len(fit) == len(workers):
            return placement
        if not fit:
            found = sorted({".".join(map(str, worker.python[:2])) for worker in workers})
            raise IncompatibleWorker(
                f"{name}() travels by value, since it cannot be imported, and bytecode of Python "
                f"{here[0]}.{here[1]} does not run on Python {', '.join(found)}, which the workers have. Put the "
                "function in a module that the workers can import, or use the same Python"
            )
        return Placement(fit, placement.resources, placement.priority, placement.threads)

    async def _make(self, call: Call, retries: int) -> Any:
        """Make a call, again if it may be and its worker is lost."""
        borrower = object()
        self._check_open(call)
        await self._calls.limiter.acquire_on_behalf_of(borrower)
        try:
            while True:
                try:
                    return await self._attempt(call)
                except RemoteWorkerLost:
                    if not retries or current_effective_deadline() < current_time():
                        raise
                    retries -= 1
        finally:
            self._calls.limiter.release_on_behalf_of(borrower)

    def _check_open(self, call: Call) -> None:
        if self._calls.loss is not None:
            raise ClusterLost(
                f"{call.name}() cannot be called: {self._calls.loss}. Open the cluster again"
            )

    async def _attempt(self, call: Call) -> Any:
        self._check_open(call)
        lease = f"{self._process}-{next(self._numbers)}"
        deadline = current_effective_deadline()

        def options() -> Options:
            remaining = max(0.0, deadline - current_time())
            output = self._calls.output is not None
            return Options(remaining, call.backend, call.placement.threads, call.reuse, output)

        task = get_current_task().name or "?"
        pending = Pending(lease, call.name, task, call.data, call.by_value, options)
        self._calls.add(pending)
        try:
            self._engine.place(lease, call.name, call.placement)
            try:
                await pending.wait()
            except get_cancelled_exc_class():
                await self._see_to_the_end(pending, call)
                raise
            return await self._outcome(pending, call)
        finally:
            self._calls.remove(pending)

    async def _see_to_the_end(self, pending: Pending, call: Call) -> None:
        """Return when a cancelled call has ended; raise if that cannot be known."""
        attempt = pending.attempt
        if attempt.cancel() is Verdict.STOP:
            assert attempt.offer is not None
            self._engine.stop(pending.lease, attempt.offer, call.grace)
            limit = float("inf") if call.placement.threads else self._ttl + sum(call.grace)
            if not await wait_out(pending.ended, limit):
                where = self._calls.where(attempt.worker)
                raise WorkerUnreachable(
                    f"{call.name}() was to be ended on {where}, which has not confirmed it for {limit:g} seconds. "
                    "The worker ends it by itself if it is alive",
                    attempt.worker,
                    self._calls.host(attempt.worker),
                )
        if attempt.loss is not None:
            raise attempt.loss

    async def _outcome(self, pending: Pending, call: Call) -> Any:
        attempt = pending.attempt
        if attempt.loss is not None:
            raise attempt.loss
        answer = attempt.answer
        assert answer is not None
        where = self._calls.where(attempt.worker)
        if answer.kind in {DIED, GIVEN_UP}:
            raise self._died(call, pending, answer, where)
        if answer.kind == CANCELLED:
            await self._be_cancelled(call, where)
        return await open_answer(answer, call.name, where)

    def _died(self, call: Call, pending: Pending, answer: Answer, where: str) -> RemoteWorkerLost:
        if answer.kind == GIVEN_UP:
            how = f"was ended, for this process was not heard of for {self._ttl:g} seconds"
        else:
            how = exit_words(answer.exit_code) + " before it answered"
        return RemoteWorkerLost(
            f"the process that ran {call.name}() on {where} {how}",
            pending.attempt.worker,
            self._calls.host(pending.attempt.worker),
            answer.exit_code,
        )

    async def _be_cancelled(self, call: Call, where: str) -> None:
        """Raise the cancellation that ended the function."""
        # The deadline has passed there. It passes here at any moment, or the function made it up.
        await sleep_until(min(current_effective_deadline(), current_time() + CLOCKS_DIFFER))
        raise ClusterError(
            f"{call.name}() on {where} let out a cancellation, and nobody has cancelled the call"
        )

    def __repr__(self) -> str:
        count = len(self._calls.workers)
        return f"<{type(self).__name__}: {count} workers, {self.slots} slots, {len(self.calls())} calls>"
