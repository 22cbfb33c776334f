"""`VirtualRunner`: runs the coroutines of one test and its fixtures in virtual time.

A simulated loop cannot be left and entered again. So it has a thread of its own. There the main task
blocks the thread, and the loop with it, until a job comes: no virtual time passes in between, and nothing
of the test runs in two threads at once.

    new --first job--> idle <--job given / job done--> busy --left--> closed
"""

from __future__ import annotations

import threading
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import TYPE_CHECKING, Any

from .._kernel import current_task
from .._kernel.running import tell_interrupted
from ..testing import run
from .failures import Failures
from .jobs import Job
from .runner import JobRunner, named

if TYPE_CHECKING:
    from .._kernel.simulation import Simulation

PATIENCE = 5.0
"""Seconds that an interrupted test has to come to a step of its loop."""
GLANCE = 0.05
"""Seconds after which a thread that waits for the run looks for a signal."""


class VirtualRunner(JobRunner):
    """A runner in a simulated run. The run begins with the first job."""

    def __init__(self, backend: str, test: str) -> None:
        super().__init__(backend)
        self._test = test
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._ready: SimpleQueue[None] = SimpleQueue()
        """Gets an item when a job is done, and one when the run has ended."""
        self._thread: threading.Thread | None = None
        self._failure: BaseException | None = None
        """What has ended the run as such: a deadlock, or another error."""
        self._simulation: Simulation | None = None
        self._over = False

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None:
        __tracebackhide__ = True
        self._forget_failures()
        if self._thread is None or self._over:
            return
        self._jobs.put(None)
        self._thread.join()
        if self._failure is not None and not self._spoiled:
            raise self._failure

    def _perform(self, job: Job) -> Any:
        __tracebackhide__ = True
        if self._over:
            raise RuntimeError("the simulated run of this test is over, its fixtures with it")
        if self._thread is None:
            self._thread = threading.Thread(
                target=self._run, name=f"virtual time on {self._backend}", daemon=True
            )
            self._thread.start()
        try:
            self._jobs.put(job)
            self._wait()
        except BaseException:
            tell_interrupted()
            self._break_off()
            raise
        if self._failure is not None and not self._spoiled:
            self._spoiled = True
            raise self._failure
        return job.unwrap([])

    def _wait(self) -> None:
        # A signal that comes just before the wait for a lock, or to another thread, does not end the
        # wait. So look now and then: test_ctrl_c_ends_a_test_in_virtual_time.
        while True:
            try:
                return self._ready.get(timeout=GLANCE)
            except Empty:
                pass

    def _run(self) -> None:
        try:
            run(named(self._serve, self._test), backend=self._backend)
        except BaseException as exc:
            self._failure = self._failure or exc
        finally:
            self._over = True
            self._ready.put(None)

    async def _serve(self) -> None:
        __tracebackhide__ = True
        task = current_task()
        kernel = task.kernel
        self._failures = Failures(task)
        self._simulation = kernel.simulation
        while (job := self._jobs.get()) is not None:
            await job.run(self._inside, self._failures)
            if kernel.simulation is not None:
                self._failure = kernel.simulation.failure
            self._ready.put(None)

    def _break_off(self) -> None:
        """End the run. Code that never comes back to the loop is left behind."""
        self._spoiled = True
        if self._simulation is not None:
            self._simulation.stop = KeyboardInterrupt()
        try:
            self._ready.get(timeout=PATIENCE)
        except Empty:
            self._over = True
