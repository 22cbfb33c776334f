"""`Simulation`: what a simulated run is to a kernel. Half of it knows no loop, and is here.

In a simulated run nothing comes from outside. So the kernel owns time and order: it steps one task
after the other, jumps to the next deadline when all are blocked, and knows at once when nothing can
ever run again. `asyncio/simulation.py` and `trio/simulation.py` are the loops for it; a `Director`, made by
the code that runs the simulation, makes the choices.

    running --abort(exc)--> stopping (the main scope is cancelled) --> over
       `--------------------the main function ends------------------> over

Rules
-----
* Only steps of tasks are put in another order, and only by the director.
* When all tasks are blocked, in this order: the first that waits in `settle` goes on; else time
  jumps to the next deadline; else the director says what is wrong, and the run is stopped.
* A kernel whose `simulation` is None is an ordinary one. Nothing on a hot path looks at it.
* What would reach out of the run raises `EscapedSimulationError` before it has done anything.
"""

from __future__ import annotations

import sys
import threading
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from math import inf, nextafter
from typing import TYPE_CHECKING, Any, Protocol

from .._registry import KERNELS, LIBRARIES

if TYPE_CHECKING:
    from types import CodeType, FrameType

    from .contract import Task, Waiter


_REFUSALS = 10_000
"""Steps that a run may take after it was stopped: some tasks will not be cancelled."""


def after(now: float) -> float:
    """Return the first time after `now` that a clock shows: a microsecond later, or all of the
    float's step when that is longer.
    """
    return max(now + 1e-6, nextafter(now, inf))


class EscapedSimulationError(RuntimeError):
    """Code in a simulated run tried to reach the world outside: a socket, a process, a thread."""


class Director(Protocol):
    """Makes the choices of a simulated run."""

    steers: bool
    """Whether `choose` is to be asked; if not, the order is that of the loop itself."""
    traces: bool
    """Whether `stepping` and `stepped` are to be told."""
    limit: int
    """Steps that tasks may take without time going on."""

    def choose(self, ready: Sequence[int]) -> int:
        """Say which of two or more tasks, given by their numbers, steps next: its index.

        They come in the order in which the loop would step them.
        """
        ...

    def stepping(self, number: int, native: Any) -> None:
        """Hear that a task is about to take a step."""
        ...

    def stepped(self, number: int, native: Any) -> None:
        """Hear that it has taken it."""
        ...

    def stalled(self) -> BaseException:
        """Say what is wrong when nothing can ever run again."""
        ...

    def spinning(self) -> BaseException:
        """Say what is wrong when tasks step and step, and time stands still."""
        ...


class Job(Protocol):
    """A call for a worker thread."""

    def run(self) -> None: ...

    def finish(self) -> None: ...


class Simulation:
    """One simulated run, as the kernels and the packages above them see it."""

    def __init__(self, director: Director) -> None:
        self.director = director
        self.scope: Any = None
        """The cancel scope around the main function, once that has begun."""
        self.over = False
        self.failure: BaseException | None = None
        """Why the run was stopped, if it was."""
        self.forced = 0
        """How often it stalled when it was being stopped."""
        self.stop: BaseException | None = None
        """What the run is to be stopped with, at its next step. Set from any thread."""
        self.steps = 0
        """Steps since time last went on."""
        self.settlers: deque[Waiter] = deque()
        self.names: dict[Any, str] | None = None
        """What each task is called, in runs that are traced: the same name from first to last."""
        self.queued: Callable[[], Sequence[Any]]
        """Return the tasks that are ready, in their order. The kernel sets it."""
        self._numbers: dict[Any, int] = {}
        self._next = 0
        self._thread = threading.get_ident()
        self.inline = False
        """Whether a call for a worker thread is being made just now."""
        self.start_step: Callable[[Coroutine[Any, Any, None], str], None]
        """Run a coroutine as a task of its own, outside of all groups. The kernel sets it."""

    # Order

    def number(self, native: Any) -> int:
        """Number the tasks as they are first seen. The same in each run of one schedule."""
        number = self._numbers.get(native)
        if number is None:
            number = self._numbers[native] = self._next
            self._next += 1
        return number

    def order(self) -> dict[Any, int]:
        """Return the places of the tasks in the order of their birth: looking numbers nobody."""
        order = dict(self._numbers)
        for native in self.queued():
            order.setdefault(native, self._next + len(order))
        return order

    def forget(self, native: Any) -> None:
        """A task has ended."""
        self._numbers.pop(native, None)

    def choose(self, natives: Sequence[Any]) -> int:
        """Say which of the tasks that are ready is to step."""
        if len(natives) == 1 or self.over or not self.director.steers:
            return 0
        number = self.number
        return self.director.choose([number(native) for native in natives])

    def count_step(self) -> None:
        """Count a step of a task. Raises, in the loop, if a run that was stopped does not end."""
        self.steps += 1
        if self.over or self.failure is not None:
            if self.steps > _REFUSALS:
                raise self.stuck()
        elif self.stop is not None:
            self.abort(self.stop)
        elif self.steps > self.director.limit:
            self.abort(self.director.spinning())

    def time_goes_on(self) -> None:
        """Time has been set forward."""
        if self.failure is None and not self.over:
            self.steps = 0

    def ends(self) -> None:
        """The main function has ended: what is left has to go."""
        self.over = True
        self.steps = 0

    # All are blocked

    async def settle(self, task: Task) -> None:
        """Park `task`, the running one, until every other task is blocked."""
        await task.checkpoint_if_cancelled()
        waiter = task.make_waiter()
        self.settlers.append(waiter)
        try:
            await task.park(waiter)
        except BaseException as exc:
            if not task.granted(waiter, exc):
                if waiter in self.settlers:
                    self.settlers.remove(waiter)
                raise

    def wake_settler(self) -> bool:
        """Let the first task that waits in `settle` go on, if there is one."""
        while self.settlers:
            waiter = self.settlers.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return True
        return False

    def stall(self) -> bool:
        """Nothing can run. Stop the run; return whether it was being stopped already."""
        if self.failure is None and self.scope is not None and not self.over:
            self.abort(self.director.stalled())
            return False
        self.forced += 1
        return True

    def stuck(self) -> BaseException:
        """Return what the run has failed of, when it does not even end."""
        if self.failure is None:
            self.failure = RuntimeError(
                "a task that the main function left running did not end when it was cancelled: do not "
                "catch CancelledError in it, or end it before the main function returns"
            )
        return self.failure

    def abort(self, failure: BaseException) -> None:
        """Stop the run: cancel all that the main function has started."""
        if self.failure is None:
            self.failure = failure
            self.steps = 0
            if self.scope is not None:
                self.scope.cancel("the simulated run is stopped")

    # The boundary

    def check_thread(self) -> None:
        """Refuse a call into the loop from a thread that is no part of the run."""
        if threading.get_ident() != self._thread:
            raise escaped("a call into the event loop from another thread")
        if self.inline:  # The thread that would have to answer is this one.
            raise escaped("a call into the event loop from a worker thread")

    def escape(self, call: str) -> EscapedSimulationError:
        """Make the error for a call that would leave the run, named as the user knows it."""
        return escaped(call)

    def refuse(self, call: str) -> EscapedSimulationError:
        """Make the error for a call that would leave the run, from who knows what it is called."""
        return escaped_by(call)

    def pool(self) -> InlinePool:
        """Return what takes the place of the worker threads."""
        return InlinePool(self)


class InlinePool:
    """Makes calls that are meant for worker threads in the loop's thread, each a step of its own."""

    __slots__ = ("_pending", "_simulation")

    def __init__(self, simulation: Simulation) -> None:
        self._simulation = simulation
        self._pending: list[Job] = []

    def submit(self, job: Any) -> None:
        self._pending.append(job)
        call = _called(sys._getframe(1)) or "a call in a worker thread"  # pyright: ignore[reportPrivateUsage]  # as below
        name = call.removesuffix("()").partition(".")[2] or call
        self._simulation.start_step(self._step(job, call), name)

    async def _step(self, job: Job, call: str) -> None:
        if self.withdraw(job):
            self._simulation.inline = True
            try:
                job.run()
            finally:
                self._simulation.inline = False
            job.finish()

    def withdraw(self, job: Any) -> bool:
        """Take a call back that was not made yet."""
        if job in self._pending:
            self._pending.remove(job)
            return True
        return False

    abandon = withdraw  # A call runs in one step of the loop: nobody leaves it in the middle.


_LIBRARIES = frozenset(
    ("_thread", "concurrent", __name__.partition(".")[0], "multiprocessing", "os", "signal",
     "socket", "subprocess", "threading")
)  # fmt: skip
"""Packages that are not the program's own, beside those of the loops."""
passed_over: set[str] = {__name__.rpartition(".")[0]}
"""The packages whose functions no user has called: this one, and those that run simulations."""


def escaped(what: str) -> EscapedSimulationError:
    """Make the error for a call that would leave the run, named as the user knows it."""
    frame = sys._getframe(1)  # pyright: ignore[reportPrivateUsage]  # nothing public gives frames
    return escaped_by(_called(frame) or what)


def escaped_by(call: str) -> EscapedSimulationError:
    """Make the error for a call that would leave the run, by the name of the call."""
    return EscapedSimulationError(
        f"{call} would leave the simulated run: it has no real sockets, processes, "
        f"signals or threads, because it could not control their order. Use memory streams and "
        f"tasks instead, or test this part in an ordinary run"
    )


def _called(frame: FrameType | None) -> str | None:
    """Name the outermost library function between the user's code and `frame`."""
    name = None
    loops = [record.simulated for record in KERNELS.values() if record.simulated is not None]
    libraries = _LIBRARIES | LIBRARIES
    steppers = frozenset[str]().union(*(loop.steppers for loop in loops))
    while frame is not None:
        module = frame.f_globals.get("__name__", "")
        code = frame.f_code
        if module == __name__ and code is _STEP:
            return str(frame.f_locals["call"])  # the call that asked for a worker thread
        if module.partition(".")[0] not in libraries or module in steppers:
            return name
        if not any(f"{module}.".startswith(f"{package}.") for package in passed_over):
            name = _public_name(module, code)
        frame = frame.f_back
    return None


def _public_name(module: str, code: CodeType) -> str:
    """Name a function of a library as its documentation does."""
    top, path = module.partition(".")[0], code.co_qualname.removesuffix(".__init__")
    path = path.removeprefix("_")
    if path in vars(sys.modules.get(top, sys)):
        return f"{top}.{path}()"
    if "._" in module:
        return _published(top, code) or f"{top}.{path}()"
    return f"{module}.{path}()"


def _published(top: str, code: CodeType) -> str | None:
    """Name a function by the public module of a package that has it, None if none does."""
    for name, module in sorted(sys.modules.items()):
        if name.startswith(f"{top}.") and "._" not in name:
            for variable, value in list(vars(module).items()):
                if getattr(value, "__code__", None) is code:
                    return f"{name}.{variable}()"
    return None


_STEP = InlinePool._step.__code__  # pyright: ignore[reportPrivateUsage]  # it is this module's
