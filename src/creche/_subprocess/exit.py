"""`Exit`: how one hears that a process has ended. No pipe, and no SIGCHLD, has a part in it.

Owns what it needs to wait: a pidfd for the length of each wait, or one thread for the whole process.
Knows the `Popen` object, which reaps, and of the event loop its readiness and its way in from threads.

    running --the system says so--> ended, not reaped --poll()--> reaped

Rules
-----
* Only `Popen.poll()` reaps, and only a task calls it. So until then the number of the process is its
  own, and a signal never goes to a stranger.
* On Linux each wait opens a pidfd of its own: it costs two system calls, any number of tasks can wait,
  and a process that nobody waits for has no descriptor.
* Elsewhere, and where a pidfd is refused (an old Linux, a sandbox, a process that is out of
  descriptors), a thread waits: one for each process, however many tasks wait, how often ever. It is
  a daemon: a process that outlives the program must not keep it.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from subprocess import Popen
from threading import Lock, Thread
from typing import TYPE_CHECKING, Any

from .._exceptions import RunFinishedError

if TYPE_CHECKING:
    from .._kernel.contract import Kernel, Task, Waiter

pidfd_open: Callable[[int], int] | None = getattr(os, "pidfd_open", None)
"""The system's call; None where there is none, and in the tests of the other way."""


class Exit:
    """Waits for one process, and says what became of it."""

    __slots__ = ("_popen", "_thread")

    def __init__(self, popen: Popen[bytes]) -> None:
        self._popen = popen
        self._thread: _WaitingThread | None = None

    async def wait(self, task: Task) -> int:
        """Return the code of the process when it has ended. Called by `task`, the running one."""
        while (code := self._popen.poll()) is None:
            fd = open_pidfd(self._popen.pid) if self._thread is None else None
            if fd is None:
                await self._wait_for_thread(task)
                continue
            try:
                await task.kernel.wait_readable(fd)
            finally:
                os.close(fd)
        return code

    async def _wait_for_thread(self, task: Task) -> None:
        if self._thread is None:
            self._thread = _WaitingThread(self._popen)
        await self._thread.wait(task)


def open_pidfd(pid: int) -> int | None:
    """Return a descriptor that is readable when the process has ended, None if there is no such."""
    if pidfd_open is None:
        return None
    try:
        return pidfd_open(pid)
    except OSError:
        return None


class _WaitingThread:
    """A thread that waits for one process, and wakes the tasks that wait for its end."""

    __slots__ = ("_ended", "_lock", "_popen", "_waiting")

    def __init__(self, popen: Popen[bytes]) -> None:
        self._popen = popen
        self._lock = Lock()
        self._ended = False
        self._waiting: dict[Waiter, Kernel] = {}
        Thread(target=self._work, name=f"creche waits for process {popen.pid}", daemon=True).start()

    async def wait(self, task: Task) -> None:
        """Return when the process has ended; cancelled, leave the thread to wait alone."""
        waiter = task.make_waiter()
        with self._lock:
            if self._ended:
                return
            self._waiting[waiter] = task.kernel
        try:
            await task.wait(waiter)
        except BaseException:
            with self._lock:
                self._waiting.pop(waiter, None)
            raise

    def _work(self) -> None:
        _wait_without_reaping(self._popen)
        with self._lock:
            self._ended = True
            waiting, self._waiting = self._waiting, {}
        for waiter, kernel in waiting.items():
            try:
                kernel.call_soon_threadsafe(_wake, waiter)
            except RunFinishedError:
                pass


def _wake(waiter: Waiter) -> None:
    if not waiter.done():
        waiter.set_result(None)


def _wait_without_reaping(popen: Popen[bytes]) -> None:
    """Block until the process has ended. Where it cannot be said otherwise, this reaps it."""
    waitid: Any = getattr(os, "waitid", None)
    if waitid is None:
        popen.wait()
        return
    try:
        waitid(os.P_PID, popen.pid, os.WEXITED | os.WNOWAIT)
    except ChildProcessError:
        pass  # reaped by somebody else, or by the system: `poll` knows what to make of it
