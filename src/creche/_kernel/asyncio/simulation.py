"""The simulated asyncio loop: virtual time, one callback after the other, nothing from outside.

Owns the loop's clock and the order of steps. Foreign code sees an asyncio loop: `time`,
`call_later`, `asyncio.sleep`, `asyncio.timeout`, futures and tasks are the stock ones.

Rules
-----
* Callbacks run in the order in which they were scheduled, as asyncio promises. Steps of tasks that
  stand between two other callbacks may change places.
* Time stands still while anything can run. Then it is set to the next deadline exactly, so that no
  remainder is left. A delay too short to change the time moves it by a microsecond, or by a step of the
  float, so that every sleep takes time, at any date.
* Equal deadlines fire in the order in which they were set.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from contextvars import Context
from heapq import heappop, heappush
from typing import TYPE_CHECKING, Any

from ..main import MainLabel, start
from ..simulation import Simulation, after, escaped
from .here import kernel_of
from .runner import adopt_next_task

if TYPE_CHECKING:
    BaseTimer = asyncio.TimerHandle
else:
    BaseTimer = asyncio.TimerHandle


class _Timer(BaseTimer):
    """A timer that keeps its place among those of the same time."""

    __slots__ = ("order",)

    order: int

    def __lt__(self, other: Any) -> bool:
        mine = self.when()
        theirs: float = other.when()
        return mine < theirs or (mine == theirs and self.order < int(other.order))


class SimulatedLoop(asyncio.BaseEventLoop):
    """An asyncio loop of virtual time, whose order of steps is chosen."""

    _ready: deque[Any]
    _scheduled: list[Any]

    def __init__(self, simulation: Simulation) -> None:
        super().__init__()
        self._simulation = simulation
        self._now = 0.0
        self._timers = 0

    def time(self) -> float:
        return self._now

    # typeshed ties the arguments to the callback's; nothing here depends on them.

    def call_later(  # type: ignore[override]
        self, delay: float, callback: Any, *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        now = self._now
        when = now + delay
        if delay > 0 and when == now:
            when = after(now)
        return self.call_at(when, callback, *args, context=context)

    def call_at(  # type: ignore[override]
        self, when: float, callback: Any, *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        if self.is_closed():
            raise RuntimeError("Event loop is closed")
        timer = _Timer(when, callback, args, self, context)
        self._timers += 1
        timer.order = self._timers
        heappush(self._scheduled, timer)
        native: Any = timer
        native._scheduled = True
        return timer

    def call_soon_threadsafe(  # type: ignore[override]
        self, callback: Any, *args: Any, context: Context | None = None
    ) -> asyncio.Handle:
        self._simulation.check_thread()
        return self.call_soon(callback, *args, context=context)

    # The loop

    def _run_once(self) -> None:
        if self._scheduled:
            self._move_due()
        if not self._ready:
            self._all_blocked()
            return
        handle, task = self._next()
        if handle.cancelled():
            return
        if task is None:
            handle._run()
            return
        simulation = self._simulation
        number = simulation.number(task)
        if simulation.director.traces and not simulation.over:
            simulation.director.stepping(number, task)
            handle._run()
            simulation.director.stepped(number, task)
        else:
            handle._run()
        if task.done():
            simulation.forget(task)

    def _move_due(self) -> None:
        scheduled, now = self._scheduled, self._now
        while scheduled and (scheduled[0].when() <= now or scheduled[0].cancelled()):
            timer = heappop(scheduled)
            timer._scheduled = False
            if not timer.cancelled():
                self._ready.append(timer)

    def _next(self) -> tuple[Any, Any]:
        """Take the next callback out of the queue; with its task, if it is the step of one."""
        ready = self._ready
        task = _stepping(ready[0])
        if task is None:
            return ready.popleft(), None
        simulation = self._simulation
        simulation.count_step()
        if len(ready) == 1 or not simulation.director.steers or simulation.over:
            return ready.popleft(), task
        tasks: list[Any] = []
        for handle in ready:
            task = _stepping(handle)
            if task is None:
                break
            tasks.append(task)
        index = simulation.choose(tasks)
        handle = ready[index]
        del ready[index]
        return handle, tasks[index]

    def _all_blocked(self) -> None:
        simulation = self._simulation
        if simulation.wake_settler():
            return
        if self._scheduled:
            self._now = self._scheduled[0].when()
            simulation.time_goes_on()
        elif simulation.stall():
            raise simulation.stuck()

    def queued(self) -> list[asyncio.Task[Any]]:
        """Return the tasks that are ready to step, in their order."""
        return [task for task in map(_stepping, self._ready) if task is not None]

    def abandon(self, tasks: list[asyncio.Task[Any]]) -> None:
        """Give up tasks that were cancelled twice and did not end."""
        self._ready.clear()
        self._scheduled.clear()
        self._simulation.steps = 0
        for task in tasks:
            native: Any = task
            native._log_destroy_pending = False

    def _process_events(self, event_list: object) -> None:
        pass

    def _write_to_self(self) -> None:
        pass


def _stepping(handle: Any) -> asyncio.Task[Any] | None:
    """Return the task whose step a callback is, None if it is something else."""
    callback = handle._callback
    task = getattr(callback, "__self__", None)
    if isinstance(task, asyncio.Task):
        # A step has no name in C; what wakes a task has one. Others, as `task.cancel`, are no step.
        name = getattr(callback, "__name__", "step")
        if name.endswith(("step", "wakeup")):
            return task
    return None


_OUTSIDE = (
    "add_reader", "add_writer", "add_signal_handler", "connect_accepted_socket",
    "connect_read_pipe", "connect_write_pipe", "create_connection", "create_datagram_endpoint",
    "create_server", "create_unix_connection", "create_unix_server", "getaddrinfo", "getnameinfo",
    "run_in_executor", "sendfile", "sock_accept", "sock_connect", "sock_recv", "sock_recv_into",
    "sock_recvfrom", "sock_recvfrom_into", "sock_sendall", "sock_sendfile", "sock_sendto",
    "start_tls", "subprocess_exec", "subprocess_shell",
)  # fmt: skip


def _refusing(name: str) -> Callable[..., Any]:
    def refuse(self: object, *args: object, **options: object) -> Any:
        raise escaped(f"asyncio's loop.{name}()")

    vars(refuse)["refuses"] = True  # For callers that can do without.
    return refuse


for _name in _OUTSIDE:
    setattr(SimulatedLoop, _name, _refusing(_name))


DOORS = ()
"""The loop is one of ours, and refuses by itself."""


def run(func: Callable[..., Any], args: tuple[Any, ...], simulation: Simulation) -> Any:
    """Run `func(*args)` in a new simulated loop, and leave nothing behind."""
    loop = SimulatedLoop(simulation)
    kernel = kernel_of(loop)
    kernel.simulation = simulation
    steps: set[asyncio.Task[None]] = set()

    def start_step(coro: Coroutine[Any, Any, None], name: str) -> None:
        task = loop.create_task(coro, name=name)
        steps.add(task)
        task.add_done_callback(steps.discard)

    simulation.start_step = start_step
    simulation.queued = loop.queued
    try:
        main = start(func, args)
        adopt_next_task(loop, MainLabel(func, main))
        return loop.run_until_complete(loop.create_task(main))
    finally:
        simulation.ends()
        try:
            _cancel_what_is_left(loop, simulation)
            loop.run_until_complete(loop.shutdown_asyncgens())
        finally:
            kernel.close()
            loop.close()


def _cancel_what_is_left(loop: SimulatedLoop, simulation: Simulation) -> None:
    left = sorted(asyncio.all_tasks(loop), key=simulation.number)
    if not left:
        return
    for task in left:
        task.cancel()
    try:
        loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
    except BaseException as exc:
        if exc is not simulation.failure:
            raise
        loop.abandon(left)
