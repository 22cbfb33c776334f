"""`watch_loop`: a thread that notices a step which blocks its loop, while it lasts.

Owns the thread, and the call that it sends into the loop to see whether that still turns.

    resting --a task is in a step--> asked (a call is on its way into the loop)
       ^                               | not answered for `threshold`
       |                               v
       `-------answered---------- blocked: logged once, with the stack

Rules
-----
* The loop is only called while a task of it is in a step: one that sleeps is left alone.
* The time counts that the process had. When this thread slept far longer than it meant to, and the process
  used hardly any processor meanwhile, it was stopped, or the machine slept: then the count begins anew.
"""

from __future__ import annotations

import logging
import threading
import traceback
from contextlib import AbstractContextManager
from time import monotonic, process_time
from types import FrameType, TracebackType
from typing import Self

from .._exceptions import RunFinishedError
from .._kernel import current_kernel
from .._kernel.contract import Kernel
from .._labels import in_library
from . import states
from .waits import can_see_threads, running_frames

log = logging.getLogger("creche.insight")


class Watch(AbstractContextManager["Watch", None]):
    """The watch over one loop. Left as a with-block, or by `stop()`, or when the loop ends."""

    def __init__(self, kernel: Kernel, threshold: float) -> None:
        self._kernel = kernel
        self._threshold = threshold
        self._stopped = threading.Event()
        self._asked: float | None = None
        self._told = ""
        self._thread = threading.Thread(target=self._run, name="creche loop watch", daemon=True)
        self._thread.start()
        kernel.at_exit(self.stop)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """End the watch. From any thread."""
        self._stopped.set()
        if threading.current_thread() is not self._thread:
            self._thread.join()
        states.blocked.pop(id(self._kernel), None)

    def _run(self) -> None:
        pause = self._threshold / 4
        looked, used = monotonic(), process_time()
        while not self._stopped.wait(pause):
            now, now_used = monotonic(), process_time()
            late = now - looked - pause
            if late > self._threshold and now_used - used < late / 2 and self._asked is not None:
                self._asked = now  # The process was stopped: that was nobody's fault.
            looked, used = now, now_used
            try:
                self._look(now)
            except RunFinishedError:
                return

    def _look(self, now: float) -> None:
        asked = self._asked
        if asked is None:
            kernel = self._kernel
            if running_frames(kernel.thread_id) or (
                not can_see_threads() and kernel.running() is not None
            ):
                self._asked = now
                self._kernel.call_soon_threadsafe(self._answered)
        elif now - asked > self._threshold and not self._told:
            self._tell(asked, now)

    def _tell(self, asked: float, now: float) -> None:
        frames = running_frames(self._kernel.thread_id)
        native = self._kernel.running()
        if native is None or (not frames and can_see_threads()):
            return
        self._told = self._kernel.record(native).name
        states.blocked[id(self._kernel)] = asked
        log.warning(
            "task %r has blocked its event loop for %.3g s; it is in\n%s",
            self._told,
            now - asked,
            _stack(frames),
        )

    def _answered(self) -> None:
        """Hear that the loop turns. In the loop."""
        asked, told = self._asked, self._told
        self._told = ""
        self._asked = None
        states.blocked.pop(id(self._kernel), None)
        if told and asked is not None:
            log.warning("task %r blocked its event loop for %.3g s", told, monotonic() - asked)


def _stack(frames: list[FrameType]) -> str:
    """Lay out a stack, without the frames of libraries around the program's own."""
    first = next((place for place, frame in enumerate(frames) if not in_library(frame)), 0)
    summary = traceback.StackSummary.extract((frame, frame.f_lineno) for frame in frames[first:])
    return "".join(summary.format()).rstrip()


def watch_loop(threshold: float = 0.1) -> Watch:
    """Watch the running loop from a thread; log what blocks it, while it does and when it is over.

    A task blocks its loop when one step of it takes long: no other task runs meanwhile. The log is
    `creche.insight`, at level WARNING: the task's name and the stack that it is in, then how long it took.

    :param threshold: seconds that a step may take
    :return: the watch, to be used in a with-statement or ended by `stop()`; the end of the loop ends it
    :raises ValueError: `threshold` is not above 0
    :raises NoEventLoopError: no event loop runs in this thread
    """
    if not threshold > 0:
        raise ValueError(f"threshold must be above 0 seconds, not {threshold!r}")
    return Watch(current_kernel(), threshold)
