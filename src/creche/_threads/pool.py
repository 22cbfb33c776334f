"""`Pool`: the worker threads of one event loop.

Owns the threads, the calls that no thread has taken yet, and the outcomes on their way back. Knows
a call by `run()`, `finish()` and `fail()`, and the event loop by one thread-safe call. Limiters decide
how many calls there may be at a time, before a call reaches the pool.

A worker:

    searching --took a call--> running --done--> running (the next call) | idle
        |  ^                                              | ^
        |  `-- woken, the newest first <------------------' |
        `--nothing left to take-----------------------------'
    idle --nothing to do for IDLE seconds, or the loop ends--> gone

Rules
-----
* While calls are pending, a worker is searching. One that takes a call and leaves others first wakes
  the next worker: the newest idle one, else a new one. So every call has a thread soon, as
  many as run at a time; and short calls that come in a bunch are done by few threads, which take
  one after the other without sleeping in between (`to-thread-100` in benchmarks).
* A worker is idle before the loop hears of the call it has done: the next call finds it.
* Outcomes go back in batches: one wake-up of the loop serves all that are done when the loop runs.
* `_lock` is held only to move data. Each worker sleeps on a lock of its own.
* All that two threads write is written under it, so nothing here counts on a global lock of the
  interpreter. One deque is not: workers put outcomes into `_done` under the lock, and the loop alone
  takes them out. The flag `_woken` must not be missed. A worker adds its outcome and reads the
  flag under one lock; the loop clears the flag before it takes outcomes. So either the loop sees the
  outcome, or the worker sees that it has to wake the loop.
* At the end of the interpreter (`shutdown.py`) a worker is waited for if it has a call, unless that was
  abandoned.
"""

from __future__ import annotations

import threading
from collections import deque
from time import monotonic
from typing import TYPE_CHECKING, Protocol

from .._exceptions import RunFinishedError
from . import shutdown

if TYPE_CHECKING:
    from .._kernel.contract import Kernel

IDLE = 10.0
"""Seconds that a worker waits for something to do before it ends."""

NAME = "creche worker"


class Job(Protocol):
    """What a pool does with a call."""

    abandoned: bool
    """Whether nobody waits for its outcome, not even the end of the interpreter."""
    kept: object
    """What has to outlive a call that the end of the interpreter leaves in the middle."""

    def run(self) -> None:
        """Make the call, and keep its outcome. In a worker; never raises."""
        ...

    def finish(self) -> None:
        """Hand over the outcome. In the loop; never raises."""
        ...

    def fail(self, exc: BaseException) -> None:
        """Keep `exc` as the outcome of a call that could not be made. In a worker."""
        ...


class Pool:
    """The worker threads of one loop. Made in the loop, which ends it."""

    __slots__ = ("__weakref__", "_closed", "_done", "_ended", "_idle", "_kernel", "_woken", "_lock",
                 "_pending", "_searching", "workers")  # fmt: skip

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._lock = threading.Lock()
        self._pending: deque[Job] = deque()
        self._idle: list[_Worker] = []
        self.workers: set[_Worker] = set()
        self._searching = 0
        self._closed = False
        self._done: deque[Job] = deque()
        self._woken = False
        self._ended: threading.Condition | None = None
        kernel.at_exit(self.close)
        shutdown.register_pool(self)

    def submit(self, job: Job) -> None:
        """Have a worker run `job`. In the loop.

        :raises RuntimeError: the system gives no more threads
        """
        with self._lock:
            self._pending.append(job)
            worker = self._summon()
        if worker is not None:
            try:
                worker.wake()
            except BaseException:
                self._bury(worker)
                if self.withdraw(job):
                    raise

    def withdraw(self, job: Job) -> bool:
        """Take a job back, if no worker has taken it."""
        with self._lock:
            try:
                self._pending.remove(job)
            except ValueError:
                return False
            return True

    def abandon(self, job: Job) -> bool:
        """Take a job back if no worker has taken it; otherwise let it go on alone."""
        if self.withdraw(job):
            return True
        with self._lock:
            job.abandoned = True
            self._tell_the_end()
        return False

    def close(self) -> None:
        """End the workers, and wait for those that were idle. The others end after their calls."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
            self._searching += len(idle)
        for worker in idle:
            worker.wake()
        for worker in idle:
            worker.join()

    def end(self) -> None:
        """Close, and wait for the calls that were not abandoned. As the interpreter ends."""
        self.close()
        with self._lock:
            ended = self._ended = threading.Condition(self._lock)
            while self._pending or any(worker.has_to_finish() for worker in self.workers):
                ended.wait()
            for worker in self.workers:
                worker.leave()

    def _tell_the_end(self) -> None:
        """Have `end` look again, if it waits. Under the lock."""
        if self._ended is not None:
            self._ended.notify_all()

    def _summon(self) -> _Worker | None:
        """Return the worker to wake for the pending calls, None if one is already searching."""
        if self._searching:
            return None
        self._searching = 1
        if self._idle:
            return self._idle.pop()
        worker = _Worker(self)
        self.workers.add(worker)
        return worker

    def _bury(self, worker: _Worker) -> None:
        """Forget a worker whose thread could not be started."""
        with self._lock:
            self._searching -= 1
            self.workers.discard(worker)
            self._tell_the_end()

    # In the workers

    def next(self, worker: _Worker, searching: int) -> Job | None:
        """Return the next call; None puts the worker among the idle, or ends it (`stays`)."""
        summoned = None
        with self._lock:
            self._searching -= searching
            if self._pending:
                job = worker.job = self._pending.popleft()
                if self._pending:
                    summoned = self._summon()
            else:
                if self._closed:
                    self.workers.discard(worker)
                    worker.stays = False
                    self._tell_the_end()
                else:
                    self._idle.append(worker)
                worker.job = None
                return None
        if summoned is not None:
            self._wake_from_worker(summoned)
        return job

    def _wake_from_worker(self, summoned: _Worker) -> None:
        try:
            summoned.wake()
        except BaseException as exc:  # No more threads: say so to the call that came last.
            self._bury(summoned)
            with self._lock:
                job = self._pending.pop() if self._pending else None
            if job is not None:
                job.fail(exc)
                self.report(job)

    def report(self, job: Job) -> None:
        """Have the loop finish a call that was made."""
        with self._lock:
            self._done.append(job)
            woken, self._woken = self._woken, True
        if not woken:
            try:
                self._kernel.call_soon_threadsafe(self._finish)
            except RunFinishedError:
                with self._lock:
                    self._done.clear()  # Nobody is there to hear of it.
                    self._woken = False

    def _finish(self) -> None:
        with self._lock:
            self._woken = False  # First: later outcomes wake the loop again.
        done = self._done
        while done:
            done.popleft().finish()

    def dismiss(self, worker: _Worker) -> bool:
        """Let a worker end that found nothing to do. False if it was just woken."""
        with self._lock:
            try:
                self._idle.remove(worker)
            except ValueError:
                return False
            self.workers.discard(worker)
            self._tell_the_end()
            return True


class _Worker:
    """One thread."""

    __slots__ = ("_awake", "_pool", "_thread", "job", "since", "stays")

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._awake = threading.Lock()
        self._awake.acquire()
        self._thread: threading.Thread | None = None
        self.stays = True
        self.job: Job | None = None
        """The call that it makes now; `since` is when it began, by the monotonic clock."""
        self.since = 0.0

    def has_to_finish(self) -> bool:
        """Tell whether the end of the interpreter has to wait for this one. Under the pool's lock."""
        return self.job is not None and not self.job.abandoned

    def leave(self) -> None:
        """Let the end of the interpreter find this one in the middle of a call."""
        if self.job is not None:
            self.job.kept = shutdown.standard_streams()

    def wake(self) -> None:
        """Have it look for calls; its thread is started when it is woken first."""
        if self._thread is None:
            # Before it starts: it may be idle, and woken by others, before `start` returns.
            self._thread = threading.Thread(target=self._work, name=NAME, daemon=shutdown.DAEMON)
            self._thread.start()
        else:
            self._awake.release()

    @property
    def name(self) -> str:
        return NAME if self._thread is None else self._thread.name

    def join(self) -> None:
        if self._thread is not None:
            self._thread.join()

    def _work(self) -> None:
        pool = self._pool
        while True:
            job = pool.next(self, 1)
            while job is not None:
                self.since = monotonic()
                job.run()
                done, job = job, pool.next(self, 0)
                pool.report(done)
                del done  # Before the next call, which may be long.
            if not self.stays:
                return
            if not self._awake.acquire(timeout=IDLE):
                if pool.dismiss(self):
                    return
                self._awake.acquire()


def running_calls() -> list[tuple[str, Job, float]]:
    """Return the calls that workers of any loop make now: thread, call, and since when.

    From any thread.
    """
    workers = [
        worker
        for pool in shutdown.pools()
        if isinstance(pool, Pool)
        for worker in list(pool.workers)
    ]
    return [
        (worker.name, job, worker.since) for worker in workers if (job := worker.job) is not None
    ]
