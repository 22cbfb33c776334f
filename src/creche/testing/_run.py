"""Simulated runs: `run`, `settle`, `virtual_time`, and the director of a run.

Owns the inputs and outputs of one run: its schedule, its choices, its outcome. The kernel owns the
loop; the schedule decides which step comes first.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Sequence
from functools import wraps
from inspect import iscoroutinefunction
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, TypeVarTuple, Unpack, overload
from zlib import crc32

from .. import _kernel, _registry
from .._kernel import current_task
from .._kernel.main import start
from .._kernel.simulation import Simulation, passed_over
from .._labels import in_library, places_noted
from .._tasks.scope import CancelScope
from . import _boundary
from ._schedules import Fifo, Schedule, make
from ._tokens import Token
from ._trace import Trace

if TYPE_CHECKING:
    from .._kernel.running import Simulator

T = TypeVar("T")
P = ParamSpec("P")
PosArgsT = TypeVarTuple("PosArgsT")

passed_over.add(__name__.rpartition(".")[0])

LIMIT = 1_000_000
"""Steps that a run may take without time going on, before it counts as one that never ends."""
EXPLORED_LIMIT = 50_000
"""The same of an explored run: a small test has some hundreds, and there are many runs."""


class SpinningError(RuntimeError):
    """Tasks step and step while time stands still: some wait in a loop for what never comes."""


class Outcome:
    """What a run has come to."""

    def __init__(self, backend: str, director: _Director) -> None:
        self.backend = backend
        self.choices: Sequence[int] = director.choices
        self.check = director.check
        self.trace = director.trace
        self.result: Any = None
        self.error: BaseException | None = None

    @property
    def token(self) -> Token:
        """What the run can be had again by."""
        return Token(self.backend, tuple(self.choices), self.check)

    def unwrap(self) -> Any:
        """Return or raise what the run has come to."""
        __tracebackhide__ = True  # pytest then begins with the program
        if self.error is None:
            return self.result
        try:
            raise self.error
        finally:
            del self


class _Director:
    """The kernel's `Director`: asks the schedule, and writes down what it says."""

    def __init__(self, schedule: Schedule, *, traces: bool, limit: int) -> None:
        self._schedule = schedule
        self.steers = schedule.steers
        self.traces = traces
        self.limit = limit
        self.choices: list[int] = []
        self.check = 0
        self.trace = Trace() if traces else None

    def choose(self, ready: Sequence[int]) -> int:
        choice = self._schedule.choose(ready)
        self.choices.append(choice)
        self.check = crc32(b"%d/%d," % (ready[choice], len(ready)), self.check)
        return choice

    def stepping(self, number: int, native: Any) -> None:
        if self.trace is not None:
            self.trace.stepping(native)

    def stepped(self, number: int, native: Any) -> None:
        if self.trace is not None:
            self.trace.stepped(native)

    def stalled(self) -> BaseException:
        from ._deadlock import deadlock

        return deadlock()

    def spinning(self) -> BaseException:
        return SpinningError(
            f"the run took {self.limit} steps while time stood still: a task polls, without sleeping, "
            f"for something that never happens"
        )


def simulate(
    main: Callable[..., Any],
    args: tuple[Any, ...],
    backend: str,
    schedule: Schedule,
    *,
    traces: bool = False,
    limit: int = LIMIT,
) -> Outcome:
    """Run `main(*args)` once under a schedule; never raises what it raises, but for exits."""
    doors = check_backend(backend).DOORS
    director = _Director(schedule, traces=traces, limit=limit)
    simulation = Simulation(director)

    async def bounded(*args: Any) -> Any:
        _boundary.enter(doors)
        try:
            with CancelScope() as simulation.scope, places_noted():
                if director.trace is not None:
                    return await director.trace.main(start(main, args))
                return await start(main, args)
        finally:
            _boundary.leave()

    bounded.__module__ = getattr(main, "__module__", __name__)
    bounded.__qualname__ = getattr(main, "__qualname__", None) or type(main).__qualname__
    result: Any = None
    error: BaseException | None = None
    try:
        result = _kernel.simulate(bounded, args, backend, simulation)
    except Exception as exc:
        error = exc
    except BaseExceptionGroup as exc:
        error = exc
    finally:
        _boundary.leave()  # Tasks that would not end may have kept it from being done.
    if simulation.failure is not None:
        error = simulation.failure
    if director.trace is not None:
        director.trace.close()
    outcome = Outcome(backend, director)
    outcome.result, outcome.error = result, error
    if error is not None:
        _begin_in_the_program(error)
    return outcome


def _begin_in_the_program(error: BaseException) -> None:
    """Leave the frames that every run begins with out of a traceback."""
    traceback = error.__traceback__
    while traceback is not None and in_library(traceback.tb_frame):
        traceback = traceback.tb_next
    if traceback is not None:
        error.__traceback__ = traceback


def check_backend(backend: str) -> Simulator:
    """Return what simulates a backend; raise for one that cannot be simulated, or is not there."""
    for record in _registry.KERNELS.values():
        for loop in record.variants[1:]:
            if backend == loop.name or backend in loop.packages:
                raise ValueError(
                    f"{backend} cannot be simulated: a simulated run needs the loop's clock and "
                    f"its queue, and {loop.title} exposes neither. Use "
                    f"backend={record.name!r}, which runs the same code"
                )
    return _kernel.simulator(backend)


def run(
    main: Callable[[Unpack[PosArgsT]], Awaitable[T]],
    *args: *PosArgsT,
    backend: str = "asyncio",
    seed: int | None = None,
) -> T:
    """Run an async function in virtual time, and return or raise what it does.

    When all tasks are blocked time jumps to the next deadline, so nothing really sleeps. The clock
    begins at 0. Sockets, subprocesses, signals and threads are out of bounds.

    :param main: the async function
    :param args: its positional arguments
    :param backend: `"asyncio"` or `"trio"`
    :param seed: step the tasks that are ready in the random order of this seed, the same in each
        run; None for the order of the loop
    :raises DeadlockError: no task can ever run again
    :raises EscapedSimulationError: the function tried to reach out of the run
    :raises ValueError: the backend is uvloop, which cannot be simulated
    :raises LookupError: there is no such backend, or it is not installed
    """
    schedule = Fifo() if seed is None else make("random", seed, 0)
    outcome = simulate(main, args, backend, schedule)
    if outcome.error is not None and seed is not None:
        outcome.error.add_note(f"replay with: creche.testing.replay(main, {str(outcome.token)!r})")
    result: T = outcome.unwrap()
    return result


async def settle() -> None:
    """Wait until every other task is blocked, and nothing but time or this task can wake one.

    Only in a simulated run, where that is known: it looks at nothing twice. A checkpoint.

    :raises RuntimeError: this is no simulated run
    """
    task = current_task()
    if task.kernel.simulation is None:
        raise RuntimeError(
            "settle() needs a simulated run: use creche.testing.run(), or "
            "wait_all_tasks_blocked() in an ordinary run"
        )
    await task.kernel.simulation.settle(task)


@overload
def virtual_time(test: Callable[P, Coroutine[Any, Any, object]], /) -> Callable[P, None]: ...


@overload
def virtual_time(
    *, backends: Sequence[str] | None = ...
) -> Callable[[Callable[P, Coroutine[Any, Any, object]]], Callable[P, None]]: ...


def virtual_time(test: Any = None, /, *, backends: Sequence[str] | None = None) -> Any:
    """Make an async test a plain one that runs in virtual time, once on each backend.

    :param backends: the backends to run on, by default all that can be simulated; one that is not
        installed is left out, if another is
    :raises TypeError: it is not put on an async function
    :raises ValueError: a backend is uvloop, which cannot be simulated
    """

    def decorate(test: Callable[..., Any]) -> Callable[..., None]:
        check_async(test, "virtual_time")

        @wraps(test)
        def run_test(*args: Any, **options: Any) -> None:
            __tracebackhide__ = True

            async def main() -> None:
                await test(*args, **options)

            for backend in chosen:
                simulate(main, (), backend, Fifo()).unwrap()

        vars(run_test)["creche_bare"] = test
        return run_test

    chosen = installed(backends)
    return decorate if test is None else decorate(test)


def installed(backends: Sequence[str] | None) -> list[str]:
    """Return those of the backends that are there; at least one of them must be."""
    if backends is None:
        backends = _registry.simulating()
    elif isinstance(backends, str):
        backends = (backends,)
    missing = {*_registry.names()} - {*_registry.installed()}
    chosen = [name for name in backends if name not in missing]
    for name in chosen or backends:
        check_backend(name)
    return chosen


def check_async(test: Any, decorator: str) -> None:
    """Raise TypeError unless `test` is an async function."""
    if not iscoroutinefunction(test):
        raise TypeError(
            f"@creche.testing.{decorator} goes on an async function, not {test!r}: put it next "
            f"to the 'async def', below all other decorators"
        )


def bare(function: Any) -> Callable[..., Any]:
    """Return the async function that a decorator of this package was put on."""
    found: Callable[..., Any] = getattr(function, "creche_bare", function)
    return found
