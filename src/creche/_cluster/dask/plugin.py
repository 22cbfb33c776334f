"""Dask's side of the remote end: the hub on the scheduler, and what is registered with each worker.

Travels as source, like `remote/`, and is executed on schedulers and workers. Owns the connections
between callers and workers: each of them has one to the hub, which passes messages on. Knows nothing of
what the messages say, but for who is there.

    caller ── comm ── hub, on the scheduler ── comm ── worker

What goes over a comm is a list of items:

    to the hub      ["to", name, message]   from a caller: name is a worker's address; or the reverse
                    ["beat"]                answered with the same
    from the hub    ["from", name, message]
                    ["here", name, facts], ["left", name]     who comes and goes, at the other side
                    ["beat"]

Rules
-----
* Everything is passed on over connections that Dask itself opens and secures; there is no new port.
* Bytes longer than PART travel in parts, and short messages overtake them, so a stop or a sign of life
  does not wait for 200 MB.
* A connection that breaks is an end, never a reconnection in the middle: the other side hears `left`.
"""

from __future__ import annotations

import asyncio
import platform
import socket
import sys
from collections import deque
from contextlib import suppress

import distributed.comm
import distributed.core
import distributed.diagnostics.plugin
import distributed.protocol

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

# Dask's types are few, and differ from version to version.
comms: Any = distributed.comm
plugins: Any = distributed.diagnostics.plugin
protocol: Any = distributed.protocol

PART = 1 << 19
"""Bytes that a message carries at most; more is split."""

JOINING = 30.0
"""Seconds that a worker may take to reach the hub."""

AT_ONCE = 64
"""Items in one write."""


class Link:
    """One comm, with a queue of what is to be sent. Used in the loop of its process."""

    def __init__(self, comm: Any) -> None:
        self._comm = comm
        self._soon: deque[Any] = deque()
        self._bulk: deque[Any] = deque()
        self._wake = asyncio.Event()
        self._parts: dict[str, list[bytes]] = {}
        self._count = 0
        self.closed = False

    def send(self, item: list[Any]) -> None:
        """Send an item as soon as may be. Never blocks."""
        message = item[-1] if item[0] in {"to", "from"} else None
        if message is not None and message[0] == "part":
            self._bulk.append(item)
        elif message is not None and _length(message) > PART:
            self._split(item)
        elif message is not None and message[-1] == "after":
            self._bulk.append(item)
        else:
            self._soon.append(item)
        self._wake.set()

    def _split(self, item: list[Any]) -> None:
        """Send the bytes of a message in parts, then the message itself without them."""
        message = list(item[-1])
        self._count += 1
        name = f"{id(self):x}-{self._count}"
        for index, value in enumerate(message):
            if _size(value) > PART:
                view = memoryview(value)
                for start in range(0, _size(value), PART):
                    part = [
                        "part",
                        f"{name}-{index}",
                        protocol.to_serialize(view[start : start + PART]),
                    ]
                    self._bulk.append([*item[:-1], part])
                message[index] = ["parts", f"{name}-{index}"]
        self._bulk.append([*item[:-1], [*message, "after"]])

    def join(self, sender: str, message: list[Any]) -> list[Any] | None:
        """Put parts together again. Returns None for a part."""
        if message[0] == "part":
            data = message[2].data if isinstance(message[2], protocol.Serialize) else message[2]
            self._parts.setdefault(f"{sender} {message[1]}", []).append(data)
            return None
        if message[-1] != "after":
            return message
        whole = list(message[:-1])
        for index, value in enumerate(whole):
            if type(value) in {list, tuple} and value[:1] in (["parts"], ("parts",)):
                whole[index] = b"".join(self._parts.pop(f"{sender} {value[1]}", []))
        return whole

    def forget(self, sender: str) -> None:
        """Drop the parts of one who has left in the middle of a message."""
        for name in [name for name in self._parts if name.startswith(f"{sender} ")]:
            del self._parts[name]

    async def serve(self, receive: Callable[[list[Any]], None]) -> None:
        """Read and write until the comm is closed."""
        writer = asyncio.ensure_future(self._write())
        try:
            while True:
                for item in await self._comm.read():
                    receive(item)
        except (comms.CommClosedError, OSError):
            pass
        finally:
            self.closed = True
            writer.cancel()
            with suppress(asyncio.CancelledError):
                await writer
            self._comm.abort()

    def close(self) -> None:
        """Break the connection."""
        self.closed = True
        self._comm.abort()

    async def _write(self) -> None:
        try:
            while True:
                await self._wake.wait()
                self._wake.clear()
                while self._soon or self._bulk:
                    items: list[Any] = []
                    while self._soon and len(items) < AT_ONCE:
                        items.append(self._soon.popleft())
                    if self._bulk:
                        items.append(self._bulk.popleft())
                    await self._comm.write(items)
        except (comms.CommClosedError, OSError):
            self._comm.abort()


def _length(message: list[Any]) -> int:
    return sum(map(_size, message))


def _size(value: Any) -> int:
    return len(value) if type(value) in {bytes, bytearray, memoryview} else 0


class Hub(plugins.SchedulerPlugin):  # type: ignore[misc]
    """Passes messages between callers and workers. On the scheduler."""

    idempotent = True

    def __init__(self, name: str) -> None:
        self.name = name
        self._callers: dict[str, Link] = {}
        self._workers: dict[str, Link] = {}
        self._facts: dict[str, Any] = {}

    def start(self, scheduler: Any) -> None:
        """Add the operation by which others join."""
        scheduler.handlers[self.name] = self._join

    def remove_worker(self, scheduler: Any, worker: str, **_: Any) -> None:
        """Dask has given up a worker: so do we."""
        if link := self._workers.get(worker):
            link.close()

    def remove_client(self, scheduler: Any, client: str) -> None:
        """Dask has given up a caller: so do we."""
        if link := self._callers.get(client):
            link.close()

    async def _join(self, comm: Any, name: str, facts: Any = None) -> Any:
        """Serve one caller (no facts) or worker for as long as it is connected."""
        mine, others = self._callers, self._workers
        if facts is not None:
            mine, others = others, mine
            self._facts[name] = facts
        link = Link(comm)
        old, mine[name] = mine.get(name), link
        if old is not None:
            old.close()
        link.send(["beat"])
        if facts is None:
            for worker, known in self._facts.items():
                link.send(["here", worker, known])
        else:
            _tell_all(others, ["here", name, facts])
        try:
            await link.serve(lambda item: self._receive(link, others, name, item))
        finally:
            if mine.get(name) is link:
                del mine[name]
                if facts is not None:
                    del self._facts[name]
                _tell_all(others, ["left", name])
        return distributed.core.Status.dont_reply

    def _receive(self, link: Link, others: dict[str, Link], name: str, item: list[Any]) -> None:
        if item[0] == "beat":
            link.send(["beat"])
            return
        other = others.get(item[1])
        if other is None or other.closed:
            link.send(["left", item[1]])
        else:
            other.send(["from", name, item[2]])


def _tell_all(links: dict[str, Link], item: list[Any]) -> None:
    for link in list(links.values()):
        link.send(item)


class Member(plugins.WorkerPlugin):  # type: ignore[misc]
    """Makes a Dask worker one of ours."""

    idempotent = True

    def __init__(self, name: str, package: Any, loading: str) -> None:
        self.name = name
        self._package = package
        self._loading = loading
        self._link: Link | None = None
        self._serving: Any = None

    async def setup(self, worker: Any) -> None:
        """Join the hub."""
        package = self._package
        self._worker = worker
        self._loop = asyncio.get_running_loop()
        sources = {name: package.sources[name] for name in package.sources if name != "plugin"}
        self._children = package.children.Children(package.__name__, self._loading, sources)
        self._children.start()
        self._leases = package.leases.Leases(self._send, self._children)
        joined = asyncio.Event()
        self._serving = asyncio.ensure_future(self._serve(joined))
        await asyncio.wait_for(joined.wait(), JOINING)

    async def _serve(self, joined: asyncio.Event) -> None:
        """Be connected to the hub, for as long as the worker lives."""
        worker = self._worker
        while worker.status.name not in {"closing", "closed", "failed"}:
            try:
                comm = await comms.connect(worker.scheduler.address, **worker.connection_args)
                await comm.write({"op": self.name, "name": worker.address, "facts": self._facts()})
                link = self._link = Link(comm)
            except (comms.CommClosedError, OSError):
                await asyncio.sleep(0.5)
                continue
            await link.serve(lambda item: self._receive(link, joined, item))  # noqa: B023  # called in here
            self._link = None
            self._leases.all_lost()
            await asyncio.sleep(0.2)

    def _facts(self) -> dict[str, Any]:
        worker = self._worker
        return {
            "name": str(worker.name),
            "host": socket.gethostname(),
            "python": list(sys.version_info[:3]),
            "slots": worker.state.nthreads,
            "platform": platform.system(),
        }

    def _receive(self, link: Link, joined: asyncio.Event, item: list[Any]) -> None:
        joined.set()
        if item[0] == "from":
            message = link.join(item[1], item[2])
            if message is not None:
                self._leases.heard(item[1], message)
        elif item[0] == "left":
            link.forget(item[1])
            self._leases.caller_lost(item[1])

    def _send(self, caller: str, message: list[Any]) -> None:
        with suppress(RuntimeError):  # The loop is closed.
            self._loop.call_soon_threadsafe(self._send_here, caller, message)

    def _send_here(self, caller: str, message: list[Any]) -> None:
        if self._link is not None:
            self._link.send(["to", caller, message])

    def lease(self, lease: str, caller: str) -> None:
        """Be a lease; in a thread of the worker's. What Dask calls a task is this."""
        self._leases.run(lease, caller)

    async def teardown(self, worker: Any) -> None:
        """End everything."""
        self._serving.cancel()
        with suppress(asyncio.CancelledError):
            await self._serving
        await asyncio.get_running_loop().run_in_executor(None, self._leases.close)
