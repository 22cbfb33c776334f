"""`LoopRunner`: runs the coroutines of tests and fixtures in one task of one loop, in turn.

The loop's main task takes one job after the other. While it has none the loop stands still, and so do the
tasks that fixtures have started. A task group or cancel scope that a fixture has entered stays around
the jobs that come after it, since all run in one task.

    new --first job--> idle <--job given / job done--> busy
                        `--left--> closed      busy --loop is lost--> broken --left--> closed

Rules
-----
* The main task waits for its jobs shielded: a scope that is cancelled and still open matters to the job
  that closes it.
* Nothing but an exception that ended the loop itself, such as the second Ctrl-C, leaves a job
  unfinished. Then the runner is broken: it does no more jobs, and can only be left.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Iterator
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

from .. import _kernel
from .._abc.test_runner import TestRunner
from .._kernel import current_task
from .contexts import Mirror
from .failures import Failures
from .hangs import NO_LIMIT
from .jobs import Job, JobCancelledError, gathered

if TYPE_CHECKING:
    from .._kernel.contract import Kernel
    from .._kernel.running import Runner

T = TypeVar("T")

_END = object()


class JobRunner(TestRunner):
    """The base of all runners: tests and fixtures as jobs."""

    def __init__(self, backend: str) -> None:
        self._backend = backend
        self._outside = Mirror()
        self._inside = Mirror()
        self._limit = NO_LIMIT
        self._failures: Failures | None = None
        self._busy = False
        self._spoiled = False
        """Whether the run as such has failed, which was reported: all that comes is cancelled."""

    @abstractmethod
    def _perform(self, job: Job) -> Any:
        """Run `job` in the loop, and return or raise its outcome."""

    def _forget_failures(self) -> None:
        failures, self._failures = self._failures, None
        if failures is not None:
            failures.close()

    def is_running(self) -> bool:
        return self._busy

    def run_test(
        self, test_func: Callable[..., Coroutine[Any, Any, Any]], kwargs: dict[str, Any]
    ) -> None:
        __tracebackhide__ = True
        self._call(self._limit.around(partial(test_func, **kwargs)))

    def run_fixture(
        self, fixture_func: Callable[..., Coroutine[Any, Any, T]], kwargs: dict[str, Any]
    ) -> T:
        __tracebackhide__ = True
        value: T = self._call(partial(fixture_func, **kwargs))
        return value

    def run_asyncgen_fixture(
        self, fixture_func: Callable[..., AsyncGenerator[T, Any]], kwargs: dict[str, Any]
    ) -> Iterator[T]:
        __tracebackhide__ = True
        generator = fixture_func(**kwargs)
        value: T | object = self._call(partial(anext, generator, _END))
        if value is _END:
            raise RuntimeError("Async generator fixture did not yield: it must yield once")
        yield value  # type: ignore[misc]  # pyright: ignore[reportReturnType]  # not the mark
        try:
            end = self._call(partial(anext, generator, _END))
        except JobCancelledError:
            if self._spoiled:
                return
            raise
        if end is not _END:
            self._call(generator.aclose)
            raise RuntimeError("Async generator fixture did not stop: it must yield only once")

    def _call(self, func: Callable[[], Awaitable[Any]]) -> Any:
        __tracebackhide__ = True
        if self._busy:
            raise RuntimeError(
                "the event loop of this test is running already: name an async fixture as an "
                "argument, rather than ask for it with getfixturevalue() inside a coroutine"
            )
        job = Job(func)
        self._busy = True
        try:
            return self._perform(job)
        finally:
            self._busy = False
            if job.done:
                self._outside.show(job.context)


class LoopRunner(JobRunner):
    """A runner on an ordinary loop. It is opened with the first job."""

    def __init__(self, backend: str, options: dict[str, Any]) -> None:
        super().__init__(backend)
        self._options = options
        self._loop: Runner | None = None
        self._kernel: Kernel
        self._wake: Callable[[Job | None], object]
        self._broken = False
        self._closing = False

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None:
        __tracebackhide__ = True
        loop, self._loop = self._loop, None
        if loop is None:
            return
        self._closing = True
        self._forget_failures()
        try:
            if not self._broken:
                self._kernel.call_soon_threadsafe(self._wake, None)
                loop.drive()
        finally:
            loop.close()
        if loop.reports and exc_val is None:
            raise gathered(loop.reports)

    def _perform(self, job: Job) -> Any:
        __tracebackhide__ = True
        if self._broken:
            raise RuntimeError(
                f"the {self._backend} loop of this test was lost when a job in it was interrupted"
            )
        if self._loop is None:
            main = named(partial(self._serve, job), "tests")
            loop = self._loop = _kernel.open_runner(main, self._backend, self._options)
            wake = None
        else:
            loop, wake = self._loop, self._wake
        try:
            if wake is not None:
                self._kernel.call_soon_threadsafe(wake, job)
            loop.drive()
        finally:
            self._broken = not job.done
        assert job.done, "a turn ends when its job does"
        reports = loop.reports[:]
        loop.reports.clear()
        return job.unwrap(reports)

    async def _serve(self, first: Job) -> None:
        """Run the jobs: the main task of the loop. Never raises."""
        __tracebackhide__ = True
        task = current_task()
        self._kernel = task.kernel
        self._failures = Failures(task)
        job: Job | None = first
        del first
        while job is not None:
            await job.run(self._inside, self._failures)
            del job
            if self._closing:
                break
            waiter = task.make_firm_waiter()
            self._wake = waiter.set_result
            assert self._loop is not None, "what is driven is there"
            self._loop.pause()
            job = await waiter.wait()


def named(
    serve: Callable[[], Coroutine[Any, Any, None]], name: str
) -> Callable[[], Coroutine[Any, Any, None]]:
    """Return `serve` as a function after which a task gets a name that readers of tests understand."""

    def main() -> Coroutine[Any, Any, None]:
        return serve()

    main.__module__, main.__qualname__, main.__name__ = "pytest", name, name
    return main
