"""An engine for simulated runs: its workers are tasks, and lose what they are told to lose.

Owns what happened: how often each call was started, and which are running. A call is `abs(number)`, and is
known by its number. Each step of a lease is a checkpoint, so the schedule decides what comes in between.
"""

from __future__ import annotations

import pickle
import sys
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from creche import CancelScope, Event, create_task_group
from creche._cluster.contract import Answer, Listener, Options, Placement, WorkerInfo
from creche._cluster.opening import serve
from creche._cluster.remote.perform import CANCELLED, RESULT
from creche.abc import TaskGroup
from creche.cluster import Cluster
from creche.lowlevel import checkpoint

STEPS = ("asking", "granted", "running", "answered", "after")


class FakeEngine:
    """See `creche._cluster.contract.Engine`.

    - `faults`: for each lease in turn, the step at which its worker dies, or "" for none
    - `length`: checkpoints that a call takes; None for one that ends only when it is stopped
    """

    def __init__(
        self, group: TaskGroup, faults: Sequence[str] = (), length: int | None = 3
    ) -> None:
        self._group = group
        self._faults = list(faults)
        self._length = length
        self._replies: dict[str, tuple[Event, list[Any]]] = {}
        self._stops: dict[str, Event] = {}
        self._offers = 0
        self.starts: Counter[int] = Counter()
        self.running: set[int] = set()
        self.forgotten: set[str] = set()
        self.closed = False

    async def open(self, listener: Listener) -> None:
        self.listener = listener
        for name in ("w0", "w1", "w2"):
            listener.worker_came(WorkerInfo(name, name, "host", sys.version_info[:3], 4))
        await checkpoint()

    async def close(self) -> None:
        self.closed = True

    def place(self, lease: str, name: str, placement: Placement) -> None:
        fault = self._faults.pop(0) if self._faults else ""
        self._group.start_soon(self._be, lease, fault)

    def grant(self, lease: str, offer: str, options: Options, data: bytes) -> None:
        self._reply(offer, [options, data])

    def refuse(self, lease: str, offer: str) -> None:
        self._reply(offer, [])

    def stop(self, lease: str, offer: str, grace: tuple[float, float]) -> None:
        self._stops.setdefault(offer, Event()).set()

    def forget(self, lease: str) -> None:
        self.forgotten.add(lease)

    def _reply(self, offer: str, reply: list[Any]) -> None:
        event, found = self._replies[offer]
        found += [reply]
        event.set()

    # A lease

    async def _be(self, lease: str, fault: str) -> None:
        """Run a lease, and then again, as Dask does after a lost worker, or as it likes."""
        for turn in ("first", "second"):
            # A worker of its own: no other call is lost with it.
            await self._run(lease, fault, f"{turn}-{lease}")
            fault = ""

    async def _run(self, lease: str, fault: str, worker: str) -> None:
        await checkpoint()
        self._offers += 1
        offer = f"offer-{self._offers}"
        event, found = self._replies[offer] = Event(), []
        self.listener.asked(lease, offer, worker)
        if fault == "asking":
            self.listener.worker_left(worker)
            return
        await event.wait()
        await checkpoint()
        assert len(found) == 1, "a lease was answered twice"
        if not found[0]:
            return
        if fault == "granted":
            self.listener.worker_left(worker)
            return
        kind, number = await self._call(found[0][1], fault, self._stops.setdefault(offer, Event()))
        self.running.discard(number)
        if fault in {"running", "answered"}:
            self.listener.worker_left(worker)
            return
        await checkpoint()
        data = pickle.dumps(number) if kind == RESULT else b""
        self.listener.answered(lease, offer, Answer(kind, data))
        if fault == "after":
            self.listener.worker_left(worker)

    async def _call(self, data: bytes, fault: str, stop: Event) -> tuple[bytes, int]:
        """Make the call, and end early if it is stopped."""
        assert data, "a call was granted twice"
        number: int = pickle.loads(data)[1][0]
        self.starts[number] += 1
        self.running.add(number)
        steps = 0
        while steps != self._length:
            await checkpoint()
            if stop.is_set():
                return CANCELLED, number
            if fault == "running" and steps == 1:
                return CANCELLED, number
            steps += 1
            if self._length is None and steps > 50:
                await stop.wait()
        return RESULT, number


@asynccontextmanager
async def fake_cluster(
    faults: Sequence[str] = (), length: int | None = 3, ttl: float = 15.0
) -> AsyncIterator[tuple[Cluster, FakeEngine]]:
    """Serve a cluster with a fake engine; its leases are cancelled at the end."""
    async with create_task_group() as group:
        engine = FakeEngine(group, faults, length)
        with CancelScope():
            async with serve(engine, ttl) as cluster:
                yield cluster, engine
        group.cancel_scope.cancel()
