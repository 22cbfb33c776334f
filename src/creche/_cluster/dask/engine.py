"""The caller's end of the Dask engine: a thread with an asyncio loop, a Dask client, a link to the hub.

Owns that thread, the Dask futures of the leases, and the signs of life. Dask places: each lease is a Dask
task, which is a builtin and two names and carries no code. All else goes over the link (`plugin.py`).

    made --open--> connecting --> open --close, or the link breaks--> closed
                       `--error--> closed

Rules
-----
* The verbs hand over to the thread; what happens there comes back through `ThreadsafeCalls`.
* A Dask future is let go as soon as its lease is over. Dask may run a lease again; it asks then, and is
  refused.
* Every quarter of the ttl a sign of life goes to the hub and to each worker, and is answered.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
import threading
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from importlib.resources import files
from typing import Any

import distributed as untyped_distributed
import distributed.comm as untyped_comm
import distributed.diagnostics.plugin as untyped_plugin

from ..._sync.event import Event
from ..._threads.threadsafe import ThreadsafeCalls, wait_out
from ..contract import Answer, Listener, Options, Placement, WorkerInfo
from ..errors import ClusterError
from ..remote import ORDER
from .plugin import Link

# Dask's types are few, and differ from version to version.
distributed: Any = untyped_distributed
comms: Any = untyped_comm
SchedulerPlugin: Any = untyped_plugin.SchedulerPlugin
WorkerPlugin: Any = untyped_plugin.WorkerPlugin

A_MOMENT = 0.2
"""Seconds in which a broken connection is noticed on all that are broken with it."""

LOOPBACK = "127.0.0.1:0"


def _sources() -> tuple[str, dict[str, str]]:
    """Return the source of the loader, and of all that runs on workers."""
    here = files(str(__package__))
    remote = files(str(__package__).rpartition(".")[0]) / "remote"
    texts = {name: (remote / f"{name}.py").read_text(encoding="utf-8") for name in ORDER}
    texts["plugin"] = (here / "plugin.py").read_text(encoding="utf-8")
    return (remote / "loading.py").read_text(encoding="utf-8"), texts


class _Sent:
    """A plugin that is pickled as the source that makes it, so it arrives where Creche is not."""

    idempotent = True

    def __init__(self, name: str, make: str, **names: Any) -> None:
        self.name = name
        self._make = make
        self._names = names

    def __reduce__(self) -> tuple[Any, ...]:
        make = f"[exec(loading, globals()), load(package, sources)][1].plugin.{self._make}"
        return eval, (make, self._names)


class _SentHub(_Sent, SchedulerPlugin):  # type: ignore[misc]
    pass


class _SentMember(_Sent, WorkerPlugin):  # type: ignore[misc]
    pass


def plugins() -> tuple[str, _SentHub, _SentMember]:
    """Return the name of this version of the remote end, and its two plugins."""
    loading, sources = _sources()
    digest = hashlib.sha256("".join([loading, *sources.values()]).encode()).hexdigest()[:12]
    name = f"creche-{digest}"
    package = f"_creche_{digest}"
    hub_sources = {"plugin": sources["plugin"]}
    hub = _SentHub(name, f"Hub({name!r})", loading=loading, package=f"{package}_hub",
                   sources=hub_sources)  # fmt: skip
    member = _SentMember(name, f"Member({name!r}, load(package, sources), loading)",
                         loading=loading, package=package, sources=sources)  # fmt: skip
    return name, hub, member


class DaskEngine:
    """See `contract.Engine`."""

    def __init__(self, address: str | None, security: Any, ttl: float, slots: int | None) -> None:
        self._address = address
        self._security = security
        self._ttl = ttl
        self._slots = slots
        self._thread: threading.Thread | None = None
        self._failure: BaseException | None = None
        self._link: Link | None = None
        self._open = False
        self._futures: dict[str, Any] = {}
        self._watching: dict[str, asyncio.Task[None]] = {}
        self._offers: dict[str, str] = {}  # which worker each came from
        self._heard: dict[str, float] = {}
        self._hub_heard = 0.0
        self._beats = 0

    # In the caller's loop

    async def open(self, listener: Listener) -> None:
        """Connect."""
        self._listener = listener
        self._caller_loop = ThreadsafeCalls()
        self._opened, self._closed = Event(), Event()
        self._loop = asyncio.SelectorEventLoop()
        self._thread = threading.Thread(target=self._run, name="creche cluster", daemon=True)
        self._thread.start()
        try:
            await self._opened.wait()
        except BaseException:
            await self.close()
            raise
        if not self._open:
            await self.close()
            raise self._failure_of_opening()

    def _failure_of_opening(self) -> Exception:
        where = self._address or "an embedded cluster"
        failure = self._failure
        if isinstance(failure, ClusterError):
            return failure
        error = ClusterError(f"cannot open {where}: {type(failure).__name__}: {failure}")
        error.__cause__ = failure
        return error

    async def close(self) -> None:
        """Disconnect, and wait until the thread has ended."""
        thread, self._thread = self._thread, None
        if thread is not None:
            self._do(self._end)
            await wait_out(self._closed)
            thread.join()

    def place(self, lease: str, name: str, placement: Placement) -> None:
        self._do(self._place, lease, name, placement)

    def grant(self, lease: str, offer: str, options: Options, data: bytes) -> None:
        self._do(self._say, offer, ["grant", lease, offer, options._asdict(), data])

    def stop(self, lease: str, offer: str, grace: tuple[float, float]) -> None:
        self._do(self._say, offer, ["stop", lease, offer, *grace])

    def refuse(self, lease: str, offer: str) -> None:
        self._do(self._say, offer, ["refuse", lease, offer])

    def forget(self, lease: str) -> None:
        self._do(self._forget, lease)

    def _do(self, func: Callable[..., object], *args: Any) -> None:
        with suppress(RuntimeError):  # The loop is closed, and the listener knows.
            self._loop.call_soon_threadsafe(func, *args)

    # In the thread

    def _run(self) -> None:
        self._main_task = self._loop.create_task(self._main())
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(_finish(self._main_task))
        self._caller_loop.put(self._opened.set)
        self._caller_loop.put(self._closed.set)

    def _end(self) -> None:
        self._open = False
        self._main_task.cancel()

    async def _main(self) -> None:
        try:
            async with AsyncExitStack() as stack:
                await self._connect(stack)
                self._open = True
                self._caller_loop.put(self._opened.set)
                await self._live()
                if self._open:
                    self._caller_loop.put(
                        self._listener.cluster_lost,
                        f"the connection to the scheduler at {self._client.scheduler.address} is gone",
                    )
        except asyncio.CancelledError:
            pass
        except Exception as exc:
            self._failure = exc

    async def _connect(self, stack: AsyncExitStack) -> None:
        where: Any = self._address
        if where is None:
            where = await stack.enter_async_context(self._embedded())
        else:
            await self._knock(where)
        client = self._client = distributed.Client(
            where, security=self._security, asynchronous=True, set_as_default=False, name="creche"
        )
        stack.push_async_callback(_end_client, client)
        starting = asyncio.ensure_future(_started(client))
        try:
            await asyncio.shield(starting)
        except asyncio.CancelledError:
            await asyncio.wait({starting})  # Dask leaves things behind if it is interrupted here.
            raise
        if hasattr(client.scheduler_comm, "interval"):
            client.scheduler_comm.interval = 0.001  # Leases go out at once; the rest is not ours.
        self._name, hub, member = plugins()
        await client.register_plugin(hub, name=self._name)
        told: dict[str, Any] = await client.register_plugin(member, name=self._name) or {}
        for worker, reply in told.items():
            if reply.get("status") == "error":
                raise ClusterError(f"worker {worker} cannot be used: {reply.get('text')}")
        await self._join(client, stack)

    async def _knock(self, address: str) -> None:
        """See that somebody is there: that can be interrupted, and a starting client cannot."""
        security = self._security or distributed.Security()
        comm = await comms.connect(address, **security.get_connection_args("client"))
        await comm.close()

    def _embedded(self) -> Any:
        return distributed.LocalCluster(
            n_workers=1,
            threads_per_worker=self._slots or os.cpu_count(),
            processes=False,
            asynchronous=True,
            dashboard_address=LOOPBACK,
            worker_dashboard_address=LOOPBACK,
            security=self._security,
            silence_logs=logging.ERROR,  # What happens to leases is Creche's to tell.
        )

    async def _join(self, client: Any, stack: AsyncExitStack) -> None:
        comm = await comms.connect(client.scheduler.address, **client.connection_args)
        await comm.write({"op": self._name, "name": client.id})
        self._link = Link(comm)
        stack.callback(self._link.close)
        self._serving = asyncio.ensure_future(self._link.serve(self._receive))
        stack.push_async_callback(_cancel, self._serving)
        self._welcome = asyncio.Event()
        self._link.send(["beat"])
        welcome = asyncio.ensure_future(self._welcome.wait())
        await asyncio.wait({welcome, self._serving}, return_when=asyncio.FIRST_COMPLETED)
        if not welcome.done():
            await _cancel(welcome)
            raise ClusterError("the scheduler has closed the connection")

    # The link

    def _receive(self, item: list[Any]) -> None:
        word, put, listener = item[0], self._caller_loop.put, self._listener
        self._hub_heard = self._loop.time()
        if word == "from":
            self._heard[item[1]] = self._hub_heard
            assert self._link is not None
            message = self._link.join(item[1], item[2])
            if message is not None:
                self._hear(item[1], message)
        elif word == "here":
            self._heard[item[1]] = self._hub_heard
            self._say_to(item[1], ["alive", self._ttl])
            facts = item[2]
            put(
                listener.worker_came,
                WorkerInfo(
                    item[1], facts["name"], facts["host"], tuple(facts["python"]), facts["slots"]
                ),
            )
        elif word == "left":
            self._left(item[1])
        elif word == "beat":
            self._beats += 1
            if self._beats == 2:  # The first greets, the second answers: all workers were named.
                self._welcome.set()

    def _left(self, worker: str) -> None:
        if self._link is not None:
            self._link.forget(worker)
        self._heard.pop(worker, None)
        self._offers = {offer: home for offer, home in self._offers.items() if home != worker}
        self._caller_loop.put(self._listener.worker_left, worker)

    def _hear(self, worker: str, message: list[Any]) -> None:
        word, put, listener = message[0], self._caller_loop.put, self._listener
        if word == "ask":
            self._offers[message[2]] = worker
            put(listener.asked, message[1], message[2], worker)
        elif word == "done":
            self._offers.pop(message[2], None)
            answer = Answer(bytes(message[3]), message[4], message[5])
            put(listener.answered, message[1], message[2], answer)
        elif word == "output":
            put(listener.printed, message[1], message[2])
        elif word == "log":
            put(listener.logged, message[1], message[2])

    def _say(self, offer: str, message: list[Any]) -> None:
        worker = self._offers.get(offer)
        if worker is not None:
            if message[0] == "refuse":
                del self._offers[offer]
            self._say_to(worker, message)

    def _say_to(self, worker: str, message: list[Any]) -> None:
        if self._link is not None:
            self._link.send(["to", worker, message])

    async def _live(self) -> None:
        """Give and take signs of life until the link breaks."""
        pause = self._ttl / 4
        looked = self._loop.time()
        while not self._serving.done():
            await asyncio.wait({self._serving}, timeout=pause)
            now = self._loop.time()
            late, looked = now - looked - pause, now
            if late > pause:  # This process stood still: what the others said is unread.
                self._hub_heard += late
                self._heard = {worker: heard + late for worker, heard in self._heard.items()}
            elif not self._check(now):
                return
            if self._link is not None:
                self._link.send(["beat"])
            for worker in self._heard:
                self._say_to(worker, ["alive", self._ttl])

    def _check(self, now: float) -> bool:
        """Look for who is silent; tell whether the hub is not."""
        if now - self._hub_heard > self._ttl:
            return False
        for worker, heard in list(self._heard.items()):
            if now - heard > self._ttl:
                self._caller_loop.put(self._listener.silent, worker)
        return True

    # Leases

    def _place(self, lease: str, name: str, placement: Placement) -> None:
        if not self._open:
            return
        make = (
            f"__import__('distributed').get_worker().plugins[{self._name!r}]"
            f".lease({lease!r}, {self._client.id!r})"
        )
        try:
            future = self._client.submit(
                eval,
                make,
                key=f"{name}-{lease}",
                pure=False,
                workers=list(placement.workers) or None,
                resources=dict(placement.resources) or None,
                priority=placement.priority,
            )
        except Exception as exc:
            self._caller_loop.put(self._listener.lost, lease, f"Dask refuses it: {exc}")
            return
        self._futures[lease] = future
        self._watching[lease] = self._loop.create_task(self._watch(lease, future))

    async def _watch(self, lease: str, future: Any) -> None:
        """Hear of a lease that Dask gives up. One that has run to its end has said so itself."""
        error = await future.exception()
        if future.status == "finished":
            return
        await asyncio.sleep(A_MOMENT)  # Dask may give it up because the scheduler is gone.
        if not self._serving.done():
            reason = f"Dask has given it up ({future.status}): {error}"
            self._caller_loop.put(self._listener.lost, lease, reason)

    def _forget(self, lease: str) -> None:
        future = self._futures.pop(lease, None)
        if future is not None:
            self._watching.pop(lease).cancel()
            future.release()


async def _started(client: Any) -> None:
    await client


async def _end_client(client: Any) -> None:
    await client.close()


async def _finish(task: asyncio.Task[None]) -> None:
    await asyncio.wait({task})


async def _cancel(task: asyncio.Future[Any]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError, comms.CommClosedError):
        await task
