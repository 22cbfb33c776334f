"""An engine that the test plays: it asks for each lease, and makes calls at once, or holds them.

Owns what the cluster has told it. Its one worker is `w0`; what a call does happens in the test's own process.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from math import inf

from creche import create_memory_object_stream, create_task_group
from creche._cluster.contract import Answer, Listener, Options, Placement, WorkerInfo
from creche._cluster.opening import serve
from creche._cluster.remote.perform import CANCELLED, call, perform
from creche.cluster import Cluster

WORKER = "w0"


class PlayedEngine:
    """See `creche._cluster.contract.Engine`.

    - `holds`: whether calls go on until the test ends them
    - `deaf`: whether nobody hears that a call is to be stopped
    """

    def __init__(self, slots: int, holds: bool, deaf: bool) -> None:
        self.holds = holds
        self.deaf = deaf
        self.slots = slots
        self.placed: list[tuple[str, Placement]] = []
        self.granted: list[tuple[str, str, Options]] = []
        """Lease, offer and options."""
        self.stopped: list[tuple[float, float]] = []
        """The graces."""
        self.refused: list[str] = []
        self.forgotten: list[str] = []
        self._soon, self._todo = create_memory_object_stream[Callable[[], None]](inf)

    async def open(self, listener: Listener) -> None:
        self.listener = listener
        here = sys.version_info[:3]
        listener.worker_came(WorkerInfo(WORKER, "the worker", "some host", here, self.slots))

    async def close(self) -> None:
        pass

    def place(self, lease: str, name: str, placement: Placement) -> None:
        self.placed.append((lease, placement))
        self.soon(self.listener.asked, lease, f"offer of {lease}", WORKER)

    def grant(self, lease: str, offer: str, options: Options, data: bytes) -> None:
        self.granted.append((lease, offer, options))
        if not self.holds:
            self.soon(self.listener.answered, lease, offer, Answer(*perform(data, call)))

    def refuse(self, lease: str, offer: str) -> None:
        self.refused.append(lease)

    def stop(self, lease: str, offer: str, grace: tuple[float, float]) -> None:
        self.stopped.append(grace)
        if not self.deaf:
            self.soon(self.listener.answered, lease, offer, Answer(CANCELLED, b""))

    def forget(self, lease: str) -> None:
        self.forgotten.append(lease)

    def answer(self, answer: Answer) -> None:
        """Answer the call that was granted last."""
        lease, offer, _ = self.granted[-1]
        self.listener.answered(lease, offer, answer)

    def soon(self, func: Callable[..., object], *args: object) -> None:
        self._soon.send_nowait(partial(_drop, func, *args))

    async def act(self) -> None:
        with self._soon, self._todo:
            async for act in self._todo:
                act()


def _drop(func: Callable[..., object], *args: object) -> None:
    func(*args)


@asynccontextmanager
async def played(
    *,
    slots: int = 2,
    holds: bool = False,
    deaf: bool = False,
    ttl: float = 15.0,
    log: logging.Logger | None = None,
) -> AsyncIterator[tuple[Cluster, PlayedEngine]]:
    """Serve a cluster over an engine that the test plays."""
    engine = PlayedEngine(slots, holds, deaf)
    async with create_task_group() as group:
        group.start_soon(engine.act)
        try:
            async with serve(engine, ttl, log) as cluster:
                yield cluster, engine
        finally:
            group.cancel_scope.cancel()
