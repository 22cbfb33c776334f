"""All calls of one cluster: hears the engine, and wakes the tasks that wait.

Owns the table of attempts by lease, the list of workers, and the limiter of the slots. Decides nothing:
`call.py` does. Waits for nothing: `cluster.py` does.
"""

from __future__ import annotations

import sys
from typing import Any, NamedTuple

from .._loop.time import current_time
from .._sync.event import Event
from .._sync.limiter import CapacityLimiter
from .._tasks.info import TaskInfo
from .._wait_description import WaitDescription
from .call import Attempt, Verdict
from .contract import Answer, Engine, Options, WorkerInfo
from .errors import (
    ClusterError,
    ClusterLost,
    IncompatibleWorker,
    RemoteWorkerLost,
    WorkerUnreachable,
)
from .output import Output


class RemoteCall(NamedTuple):
    """A call as `cluster.calls()` shows it."""

    name: str
    """The function's name."""
    task: str
    """The name of the task that waits for it."""
    lease: str
    state: str
    """`"waiting for a slot"`, `"running"` or `"being stopped"`."""
    worker: str | None
    """The worker's address, None while it has none."""
    age: float
    """Seconds since it has asked for a slot."""


class Pending:
    """One attempt, with what the engine needs to grant it and the task to wake."""

    __slots__ = (
        "attempt",
        "by_value",
        "data",
        "ended",
        "lease",
        "make_options",
        "name",
        "since",
        "task",
    )

    def __init__(
        self, lease: str, name: str, task: str, data: bytes, by_value: bool, make_options: Any
    ) -> None:
        self.lease = lease
        self.name = name
        self.task = task
        self.data = data
        self.by_value = by_value
        self.make_options = make_options
        self.attempt = Attempt()
        self.ended = Event(name=f"remote call {name}() {lease}")  # in reports of deadlocks
        self.since = current_time()

    async def wait(self) -> None:
        """Wait for the end of the attempt."""
        await self.ended.wait()

    def _describe_wait(
        self, task: TaskInfo, inner: WaitDescription | None
    ) -> WaitDescription | None:
        return WaitDescription(repr(self).strip("<>"), complete=False)

    def describe(self) -> RemoteCall:
        """Return what people are shown of the call."""
        attempt, age = self.attempt, current_time() - self.since
        return RemoteCall(
            self.name, self.task, self.lease, attempt.state.value, attempt.worker, age
        )

    def __repr__(self) -> str:
        call = self.describe()
        where = "" if call.worker is None else f" on {call.worker}"
        return f"<remote call of {call.name}(){where}, {call.state} for {call.age:.1f} s, lease {call.lease}>"

    def wake(self, verdict: Verdict) -> None:
        if verdict is Verdict.WAKE:
            self.ended.set()


class Calls:
    """See `contract.Listener`."""

    def __init__(self, engine: Engine, output: Output | None) -> None:
        self._engine = engine
        self.output = output
        self._pending: dict[str, Pending] = {}
        self.workers: dict[str, WorkerInfo] = {}
        self.limiter = CapacityLimiter(1)
        self.loss: str | None = None
        """Why nothing can be called any more."""

    # For the tasks

    def add(self, pending: Pending) -> None:
        self._pending[pending.lease] = pending

    def remove(self, pending: Pending) -> None:
        """Let go of an attempt that is over, or that nothing more is to be heard of."""
        del self._pending[pending.lease]
        self._engine.forget(pending.lease)
        if self.output is not None and pending.attempt.worker is not None:
            self.output.ended(pending.lease, pending.name, pending.attempt.worker)

    def list(self) -> list[RemoteCall]:
        return [each.describe() for each in self._pending.values()]

    def host(self, worker: str | None) -> str | None:
        info = self.workers.get(worker or "")
        return None if info is None else info.host

    def where(self, worker: str | None) -> str:
        """Say which worker that is."""
        info = self.workers.get(worker or "")
        return f"worker {worker}" + (f" on {info.host}" if info is not None else "")

    # For the engine

    def asked(self, lease: str, offer: str, worker: str) -> None:
        pending = self._pending.get(lease)
        if pending is not None and pending.by_value:
            self._check_python(pending, worker)
        verdict = Verdict.REFUSE if pending is None else pending.attempt.asked(offer, worker)
        if verdict is Verdict.GRANT:
            assert pending is not None
            options: Options = pending.make_options()
            self._engine.grant(lease, offer, options, pending.data)
            pending.data = b""
        else:
            self._engine.refuse(lease, offer)

    def answered(self, lease: str, offer: str, answer: Answer) -> None:
        pending = self._pending.get(lease)
        if pending is not None:
            pending.wake(pending.attempt.answered(offer, answer))

    def lost(self, lease: str, reason: str) -> None:
        pending = self._pending.get(lease)
        if pending is not None:
            loss = ClusterError(f"{pending.name}() cannot be placed: {reason}")
            pending.wake(pending.attempt.unplaced(loss))

    def worker_came(self, worker: WorkerInfo) -> None:
        self.workers[worker.address] = worker
        self._count_slots()

    def worker_left(self, address: str) -> None:
        self._end_all_on(address, RemoteWorkerLost, "the connection to it has broken")
        if self.workers.pop(address, None) is not None:
            self._count_slots()

    def silent(self, address: str) -> None:
        self._end_all_on(address, WorkerUnreachable, "it was not heard of for the ttl")

    def cluster_lost(self, reason: str) -> None:
        self.loss = reason
        for pending in list(self._pending.values()):
            pending.wake(pending.attempt.fail(ClusterLost(f"{pending.name}(): {reason}")))

    def printed(self, lease: str, data: bytes) -> None:
        pending = self._pending.get(lease)
        if pending is not None and self.output is not None:
            self.output.printed(lease, pending.name, pending.attempt.worker or "?", data)

    def logged(self, lease: str, data: bytes) -> None:
        pending = self._pending.get(lease)
        if pending is not None and self.output is not None:
            self.output.logged(pending.attempt.worker or "?", data)

    def _check_python(self, pending: Pending, worker: str) -> None:
        """Fail a call that travels by value to a worker that came after it was placed, and does not fit."""
        info = self.workers.get(worker)
        if info is not None and info.python[:2] != sys.version_info[:2]:
            loss = IncompatibleWorker(
                f"{pending.name}() travels by value and was placed on {self.where(worker)}, which runs "
                f"Python {'.'.join(map(str, info.python))}: choose workers with placement="
            )
            pending.wake(pending.attempt.unplaced(loss))

    def _end_all_on(self, address: str, kind: type[RemoteWorkerLost], why: str) -> None:
        for pending in list(self._pending.values()):
            if pending.attempt.worker == address:
                text = (
                    f"{pending.name}() was running on {self.where(address)}: {why}. It has begun, perhaps, "
                    "and is not run again; pass retries= for a function that may be"
                )
                pending.wake(pending.attempt.lost(kind(text, address, self.host(address))))

    def _count_slots(self) -> None:
        self.limiter.total_tokens = max(1, sum(each.slots for each in self.workers.values()))
