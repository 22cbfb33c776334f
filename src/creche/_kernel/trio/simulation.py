"""The simulated Trio run: virtual time, one step after the other, no world outside.

Owns Trio's clock (which Trio lets one replace) and its queue of tasks that are ready (which it does
not: `private.py`). Foreign code sees a Trio run like any other.

Rules
-----
* One task steps in each pass of Trio's loop: the queue gives it no more. Trio's own tasks go first.
* What becomes ready during one step is put in the order of the tasks' birth: the order in which
  Trio wakes several tasks at once depends on addresses in memory.
* Time stands still while anything can run, and while somebody waits in Trio's own
  `wait_all_tasks_blocked`. Then it is set to the next deadline exactly. An instrument may not raise
  and cannot shorten a wait, so what it finds is carried out by a callback that wakes the loop.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Coroutine, Iterator
from math import inf
from typing import TYPE_CHECKING, Any

import outcome
import trio
import trio.lowlevel

from ..main import start
from ..names import name_of
from ..simulation import Simulation, escaped_by
from . import private
from .here import kernel_of_run

if TYPE_CHECKING:
    from .kernel import TrioKernel


_PATIENCE = 100
"""How often all may be blocked once the main function has ended, before the run counts as stuck."""


class _Clock(trio.abc.Clock):
    """A clock that is set, and remembers what it was asked."""

    def __init__(self) -> None:
        self.now = 0.0
        self.asked = inf

    def start_clock(self) -> None:
        pass

    def current_time(self) -> float:
        return self.now

    def deadline_to_sleep_time(self, deadline: float) -> float:
        self.asked = deadline
        return deadline - self.now


class _Queue:
    """Stands for Trio's queue of ready tasks: gives out one task in each pass."""

    def __init__(self, simulation: Simulation) -> None:
        self._simulation = simulation
        self._trios: deque[Any] = deque()
        self._ready: list[Any] = []
        self._fresh: list[Any] = []
        self.main: Any = None
        self.users: set[Any] = set()
        self.failure: BaseException | None = None
        """What ends the loop at once."""
        self.adopting = False
        """Whether the task that comes next is one of the user's, whoever its parent is."""

    def append(self, task: Any) -> None:
        if self.main is None or not (self.adopting or self._of_user(task)):
            self._trios.append(task)
        else:
            self._fresh.append(task)

    def _of_user(self, task: Any) -> bool:
        if task in self.users:
            return True
        nursery = task.parent_nursery
        if nursery is not None and nursery.parent_task in self.users:
            self.users.add(task)
            return True
        return False

    def __len__(self) -> int:
        return len(self._trios) + len(self._ready) + len(self._fresh)

    def __bool__(self) -> bool:
        return bool(self._trios or self._ready or self._fresh)

    def __iter__(self) -> Iterator[Any]:
        if self.failure is not None:
            raise self.failure
        if self._trios:
            return iter((self._trios.popleft(),))
        fresh, ready = self._fresh, self._ready
        if fresh:
            if len(fresh) > 1:
                fresh.sort(key=private.order_of)
            ready.extend(fresh)
            fresh.clear()
        if not ready:
            return iter(())
        self._simulation.count_step()
        task = ready.pop(self._simulation.choose(ready))
        self._simulation.number(task)
        return iter((task,))

    def queued(self) -> list[Any]:
        """Return the tasks that are ready to step, in their order."""
        return [*self._ready, *sorted(self._fresh, key=private.order_of)]

    def clear(self) -> None:
        """Trio has taken what the iteration gave it, which is gone already."""


class _Watcher(trio.abc.Instrument):
    """Hears from Trio when all tasks are blocked, and when one has ended."""

    def __init__(self, simulation: Simulation, clock: _Clock) -> None:
        self._simulation = simulation
        self._clock = clock
        self.queue = _Queue(simulation)
        self._token: Any = None
        self.trouble: RuntimeError | None = None
        """Why the queue could not be put in its place."""

    def before_run(self) -> None:
        self._token = trio.lowlevel.current_trio_token()
        try:
            private.replace_run_queue(self.queue)
        except RuntimeError as exc:  # Trio would only log it.
            self.trouble = exc

    def task_exited(self, task: trio.lowlevel.Task) -> None:
        self.queue.users.discard(task)
        self._simulation.forget(task)

    def before_io_wait(self, timeout: float) -> None:
        deadline, self._clock.asked = self._clock.asked, inf
        if timeout > 0 and self.queue.main is not None:
            self._token.run_sync_soon(self._all_blocked, deadline)

    def _all_blocked(self, deadline: float) -> None:
        simulation = self._simulation
        call = _outside()
        if call is not None:
            simulation.abort(escaped_by(call))
        elif simulation.wake_settler():
            return
        elif deadline != inf:
            self._clock.now = max(self._clock.now, deadline)
            simulation.time_goes_on()
        elif simulation.stall():
            self._force()

    def _force(self) -> None:
        """Throw into tasks that are blocked although they were cancelled, and would be for ever."""
        simulation = self._simulation
        if simulation.over:  # Trio itself may yet have something to do.
            if simulation.forced > _PATIENCE:
                self.queue.failure = simulation.stuck()
            return
        failure = simulation.stuck()
        if simulation.forced > 1:
            self.queue.failure = failure
            return
        for record in kernel_of_run().tasks():
            if not record.native.child_nurseries:
                trio.lowlevel.reschedule(record.native, outcome.Error(failure))


class _Tracer(trio.abc.Instrument):
    """Tells the director of steps. For itself, since Trio switches off an instrument that raises."""

    def __init__(self, simulation: Simulation, queue: _Queue) -> None:
        self._simulation = simulation
        self.queue = queue
        self._stepping: Any = None
        self._number = 0

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        simulation = self._simulation
        if task in self.queue.users and not simulation.over:
            self._stepping = task
            self._number = simulation.number(task)
            simulation.director.stepping(self._number, task)

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        # A task that ends is forgotten before its step is told of: to ask for its number then would
        # give it a new one, and all that come later others than in a run that nobody traces.
        if task is self._stepping:
            self._stepping = None
            self._simulation.director.stepped(self._number, task)
        elif task is self.queue.main:  # It was not known before its first step.
            self._simulation.director.stepped(self._simulation.number(task), task)


def _outside() -> str | None:
    """Name what a task waits for that is no part of the run, None if there is nothing.

    Called in the task of Trio's that waits to be woken from outside, so that this one does not count.
    """
    io: Any = trio.lowlevel.current_statistics().io_statistics
    if getattr(io, "tasks_waiting_read", 0) or getattr(io, "tasks_waiting", 0):
        return "trio.lowlevel.wait_readable()"
    if getattr(io, "tasks_waiting_write", 0):
        return "trio.lowlevel.wait_writable()"
    return None


DOORS = (private.THREADS,)
"""What leads out of a run and is Trio's own: see `testing/_boundary.py`."""


def run(func: Callable[..., Any], args: tuple[Any, ...], simulation: Simulation) -> Any:
    """Run `func(*args)` in a new simulated Trio run."""
    private.check_run_queue(_order_of_steps)
    return _run(func, args, simulation)


def _run(func: Callable[..., Any], args: tuple[Any, ...], simulation: Simulation) -> Any:
    clock = _Clock()
    watcher = _Watcher(simulation, clock)
    queue = watcher.queue
    instruments: list[trio.abc.Instrument] = [watcher]
    if simulation.director.traces:
        instruments.append(_Tracer(simulation, queue))

    def start_step(coro: Coroutine[Any, Any, None], name: str) -> None:
        queue.adopting = True
        try:
            queue.users.add(trio.lowlevel.spawn_system_task(_itself, coro, name=name))
        finally:
            queue.adopting = False

    kernels: list[TrioKernel] = []

    async def main() -> Any:
        if watcher.trouble is not None:
            raise watcher.trouble
        me = queue.main = trio.lowlevel.current_task()
        queue.users.add(me)
        simulation.number(me)
        me.name = name_of(func)
        kernel = kernel_of_run()
        kernel.simulation = simulation
        kernels.append(kernel)
        try:
            return await start(func, args)
        finally:
            simulation.ends()

    simulation.start_step = start_step
    simulation.queued = queue.queued
    try:
        return trio.run(main, clock=clock, instruments=instruments)
    finally:
        if trio.lowlevel.in_trio_run():  # Tasks would not end, and the queue raised.
            private.abandon_run()
        for kernel in kernels:
            # The state of the main task knows the kernel, and the simulation knows the main task:
            # they would keep each other for ever.
            kernel.simulation = None


async def _itself(coro: Coroutine[Any, Any, None]) -> None:
    await coro


class _LastFirst:
    """A director for the check of the queue."""

    steers, traces, limit = True, False, 1000

    def choose(self, ready: Any) -> int:
        return len(ready) - 1

    def stepping(self, number: int, native: Any) -> None: ...

    def stepped(self, number: int, native: Any) -> None: ...

    def stalled(self) -> BaseException:
        return RuntimeError("stalled")

    def spinning(self) -> BaseException:
        return RuntimeError("spinning")


def _order_of_steps() -> list[int]:
    """Run three tasks, each time the last one that is ready, and return how they went."""
    order: list[int] = []

    async def note(number: int) -> None:
        order.append(number)
        await trio.lowlevel.checkpoint()
        order.append(number)

    async def main() -> None:
        private.order_of(trio.lowlevel.current_task())  # if it fails, then better here
        async with trio.open_nursery() as nursery:
            for number in range(3):
                nursery.start_soon(note, number)
        await trio.sleep(3600)

    _run(main, (), Simulation(_LastFirst()))
    return order
