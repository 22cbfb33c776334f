"""`record` and `flight_recorder`: what the tasks of this process do, written down while it lasts.

Owns one recording: its tape, and the thread that makes snapshots for it now and then. What happens comes
from `steps.py`.

    recording --stop(), the block is left, or the process ends--> ended
        `--dump(), or something goes wrong (flight recorder)--> recording, and a file is written

A flight recorder looks for what goes wrong each time it makes a snapshot: tasks that wait for each other,
and a loop that is blocked. Errors come to it as they leave its block, or end the program.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import logging
import os
import platform
import sys
import threading
import time
from contextlib import AbstractContextManager
from time import perf_counter_ns as now
from types import TracebackType
from typing import Any, Self

from . import numbers
from .collect import snapshot
from .garbage import no_collection
from .lints import log_lints
from .model import Snapshot
from .steps import SUPPORTED, watch
from .tape import FileTape, RingTape
from .text import circles

log = logging.getLogger("creche.insight")

SIZE = 16 * 1024 * 1024
PAUSE = 1.0
"""Seconds between two snapshots, at least."""
SHARE = 50
"""A snapshot comes no sooner than this many times what the last one has cost."""


def _head() -> dict[str, Any]:
    return {
        "time": time.time(),
        "clock": now(),
        "pid": os.getpid(),
        "argv": list(sys.argv),
        "python": platform.python_version(),
        "steps": SUPPORTED,
    }


class Recorder(AbstractContextManager["Recorder", None]):
    """A recording that goes on. Ended as a with-block, by `stop()`, or with the process."""

    def __init__(self, tape: FileTape | RingTape, target: str | os.PathLike[str] | None) -> None:
        self._tape = tape
        self._target = target
        """Where a flight recorder writes to when something goes wrong."""
        self._told: set[str] = set()
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        if SUPPORTED:
            watch.subscribe(self._take, everything=True)
        self._look()
        self._thread = threading.Thread(target=self._run, name="creche recorder", daemon=True)
        self._thread.start()
        _recorders.add(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None:
        if isinstance(exc_val, Exception | BaseExceptionGroup):
            self._went_wrong(f"{type(exc_val).__name__}: {exc_val}")
        self.stop()

    def mark(self, text: str) -> None:
        """Write a note of the program's own into the recording. From any thread."""
        watch.mark(text)

    def snapshot(self) -> Snapshot:
        """Put a snapshot into the recording now, and return it. From any thread."""
        return self._look()

    def dump(self, path: str | os.PathLike[str]) -> None:
        """Write what a flight recorder has in memory to a file. From any thread; it goes on recording.

        :param path: the file, which is replaced
        :raises TypeError: this is not a flight recorder, but writes to a file anyway
        :raises OSError: the file cannot be written
        """
        self._dump(path, "")

    def stop(self) -> None:
        """End the recording. A second call does nothing."""
        with self._lock:
            if self._stopped.is_set():
                return
            self._stopped.set()
        if self._thread is not threading.current_thread():
            self._thread.join()
        with contextlib.suppress(Exception):
            self._look()
        if SUPPORTED:
            watch.unsubscribe(self._take)
        _recorders.discard(self)
        if isinstance(self._tape, FileTape):
            self._tape.end({"at": now()})

    def _dump(self, path: str | os.PathLike[str], why: str) -> None:
        if not isinstance(self._tape, RingTape):
            raise TypeError(
                "dump() is for flight recorders: this recording writes everything to its file, which "
                "is whole when it is stopped"
            )
        self._look()
        with self._lock:
            self._tape.write(path, {"at": now(), "why": why})

    def _take(self, taken: list[tuple[int, ...]], texts: dict[int, str]) -> None:
        with self._lock:
            if texts:
                self._tape.texts(texts)
            if taken:
                self._tape.records(taken)

    # Snapshots, and what is wrong in them

    def _run(self) -> None:
        pause = PAUSE
        while not self._stopped.wait(pause):
            began = time.thread_time()
            try:
                with no_collection():
                    taken = self._look()
                    log_lints(taken)
                    self._check(taken)
                    del taken
            except Exception:
                log.exception("a snapshot for the recording failed")
            pause = max(PAUSE, (time.thread_time() - began) * SHARE)

    def _look(self) -> Snapshot:
        """Make a snapshot, after what has happened before it."""
        at = now()
        taken = snapshot()
        if SUPPORTED:
            watch.hand_on()
        keys = numbers.tasks.keys()
        known = {task.id: keys[task.id] for task in taken.tasks if task.id in keys}
        head = json.dumps({"at": at, "keys": known})
        payload = f'{head[:-1]}, "snapshot": {taken.to_json()}}}'.encode("utf-8", "replace")
        with self._lock:
            self._tape.snapshot(payload)
        return taken

    def _check(self, taken: Snapshot) -> None:
        if self._target is None:
            return
        for loop in taken.loops:
            for circle in circles(loop):
                names = ", ".join(sorted(task.name for task in circle))
                self._went_wrong(f"deadlock of {names}")
            if loop.state == "blocked":
                self._went_wrong(f"the loop in {loop.thread} is blocked")

    def _went_wrong(self, why: str) -> None:
        """Write the file of a flight recorder, once for each thing that is wrong."""
        if self._target is None or why in self._told:
            return
        self._told.add(why)
        try:
            self._dump(self._target, why)
        except OSError as exc:
            log.warning("%s: the flight recorder cannot write: %s", why, exc)
        else:
            log.warning("%s: the flight recorder has written %r", why, str(self._target))

    def forget(self) -> None:
        """In the child of a fork: the recording is the parent's."""
        self._stopped.set()
        self._lock = threading.Lock()
        if isinstance(self._tape, FileTape):
            self._tape.forget()


_recorders: set[Recorder] = set()


def record(path: str | os.PathLike[str]) -> Recorder:
    """Write down what the tasks of this process do, in a file, until the block is left.

    Starts, steps, waits, wakes, cancels, deadlines, scopes and calls into threads, with their times, of all
    loops of the process, and a snapshot now and then. `creche web` shows the file, and `creche export`
    converts it. On Python 3.11 steps and what happens in them are left out: there are only the snapshots.

    :param path: the file, which is replaced
    :return: the recorder, for a with-statement; `stop()` ends it as well
    :raises OSError: the file cannot be written
    :raises RuntimeError: other tools have taken all places that `sys.monitoring` has
    """
    tape = FileTape(path, _head())
    try:
        return Recorder(tape, None)
    except BaseException:
        tape.forget()
        raise


def flight_recorder(path: str | os.PathLike[str] | None = None, *, size: int = SIZE) -> Recorder:
    """Keep what the tasks of this process have done last in memory, and write it when something goes wrong.

    That is when tasks wait for each other, a loop is blocked (`watch_loop` says so), or an error leaves the
    block or ends the program. `dump()` writes it at any time.

    :param path: the file to write when something goes wrong; None to write only with `dump()`
    :param size: bytes that the ring in memory may have
    :return: the recorder, for a with-statement; `stop()` ends it as well
    :raises ValueError: `size` is less than 64 kB
    :raises RuntimeError: other tools have taken all places that `sys.monitoring` has
    """
    if size < 65536:
        raise ValueError(f"size must be at least 65536 bytes, not {size!r}")
    return Recorder(RingTape(size, _head()), path)


def as_environment_says(text: str) -> None:
    """Do what `CRECHE_INSIGHT=record:FILE` or `flight:FILE` asks for; tell if that cannot be."""
    how, _, path = text.partition(":")
    try:
        if how == "record":
            record(path)
        else:
            _dump_at_end(flight_recorder(path))
    except (OSError, RuntimeError) as exc:
        sys.stderr.write(f"creche: CRECHE_INSIGHT={text} has no effect: {exc}\n")


def _dump_at_end(recorder: Recorder) -> None:
    before = sys.excepthook

    def hook(kind: type[BaseException], exc: BaseException, trace: TracebackType | None) -> None:
        if issubclass(kind, Exception | BaseExceptionGroup):
            recorder._went_wrong(f"{kind.__name__}: {exc}")  # pyright: ignore[reportPrivateUsage]  # this module's
        before(kind, exc, trace)

    sys.excepthook = hook


def _stop_all() -> None:
    for recorder in list(_recorders):
        recorder.stop()


def _after_fork() -> None:
    recorders = list(_recorders)
    _recorders.clear()
    for recorder in recorders:
        recorder.forget()


atexit.register(_stop_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
