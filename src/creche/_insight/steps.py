"""Steps of tasks and what happens in them, seen through `sys.monitoring`: on while somebody wants to know.

Owns the tool that is registered with the interpreter, the lanes, the buffer that they write into, and the
thread that hands it on. Nothing is in the way of a program that nobody watches, and watching can begin and
end at any time. Needs CPython 3.12: before that, `SUPPORTED` is False and steps are not seen.

    off --the first subscriber--> on --the last one leaves--> off

Rules
-----
* The lanes only append to the buffer, tuples of whole records; one thread takes out.
* One loop is called without a detour. With the second one, each call first finds its thread's lane.
* Native tasks, which the loop or another library has made, run no code of Creche's: their steps are not seen.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from time import monotonic, perf_counter_ns
from types import CodeType
from typing import TYPE_CHECKING, Any

from .._kernel import current_task, finder_of, running_kernel
from .._kernel.inspection import loops
from .._platform import IN_PAGE
from . import layout, points
from .lanes import Lane
from .words import MANY, Words

if TYPE_CHECKING:
    from .._kernel.contract import Kernel

SUPPORTED = hasattr(sys, "monitoring")
PERIOD = 0.02
"""Seconds after which what was written is handed on."""
_LOOKING = 1.0
"""Seconds between two looks for loops that have ended."""
NAME = "creche insight"
TOOLS = (4, 3, 5, 1)
"""The tool numbers that are tried, of those that are not meant for debuggers and profilers first."""

Sink = Callable[[list[tuple[int, ...]], dict[int, str]], None]
"""Takes records, one or some in each tuple, and the texts that are new in them."""


class NoToolError(RuntimeError):
    """Other tools have taken all places that the interpreter has for such."""


class Watch:
    """The watch over all loops of the process."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._sinks: dict[Sink, bool] = {}
        """Who is told; whether of everything, or of steps only."""
        self._monitoring: Any = getattr(sys, "monitoring", None)
        self._tool: int | None = None
        self._thread: threading.Thread | None = None
        self._over = threading.Event()
        self._reset()

    def _reset(self) -> None:
        self._buffer: list[tuple[int, ...]] = []
        self._words = Words(self._add_return_point)
        self._lanes: dict[int, Lane] = {}
        self._looked = 0.0
        self._set: dict[CodeType, int] = {}
        self._kind: type[Lane] = Lane
        self._stranger = self._new_lane(0, None, _nobody)
        """For threads that run no loop."""
        self._next_lane = 1

    # Who wants to know

    def subscribe(self, sink: Sink, *, everything: bool) -> None:
        """Tell `sink` of what happens from now on. In a thread of its own.

        :raises NoToolError: the interpreter has no place for one more tool
        """
        with self._lock:
            if self._tool is None:
                self._open()
            self._sinks[sink] = everything
            if everything and self._words.texts:
                sink([], dict(self._words.texts))
            self._set_points()

    def unsubscribe(self, sink: Sink) -> None:
        """Tell `sink` what has happened so far, and no more."""
        with self._lock:
            if sink not in self._sinks:
                return
            self.hand_on()
            del self._sinks[sink]
            if self._sinks:
                self._set_points()
                return
            self._close()
            thread, self._thread = self._thread, None
        if thread is not None and thread is not threading.current_thread():
            thread.join()

    def _open(self) -> None:
        monitoring = self._monitoring
        for tool in TOOLS:
            if monitoring.get_tool(tool) is None:
                monitoring.use_tool_id(tool, NAME)
                self._tool = tool
                break
        else:
            raise NoToolError(
                "steps cannot be watched: debuggers, profilers or coverage have taken all places "
                "that sys.monitoring has for tools"
            )
        self._reset()
        for kernel in loops():
            if not kernel.ended():
                self._add_lane(kernel)
        self._over = threading.Event()
        if IN_PAGE:
            return  # There are no threads: what was written is handed on when the last one leaves.
        self._thread = threading.Thread(
            target=self._run, args=(self._over,), name=f"{NAME} steps", daemon=True
        )
        self._thread.start()

    def _close(self) -> None:
        self._over.set()
        monitoring, tool = self._monitoring, self._tool
        self._tool = None
        for code in self._set:
            monitoring.set_local_events(tool, code, 0)
        for event in self._events():
            monitoring.register_callback(tool, event, None)
        monitoring.free_tool_id(tool)
        self._reset()

    def forget(self) -> None:
        """In the child of a fork: nobody here has asked."""
        self._lock = threading.RLock()
        self._sinks.clear()
        self._thread = None
        if self._tool is not None:
            self._close()

    def _run(self, over: threading.Event) -> None:
        while not over.wait(PERIOD):
            with self._lock:
                if not over.is_set():
                    self._drop_ended()
                    self.hand_on()
                    if len(self._words.texts) > MANY:
                        self._words.clear()
                        self._renew_lanes()

    def hand_on(self) -> None:
        """Give what was written to those who want it."""
        with self._lock:
            for lane in (*self._lanes.values(), self._stranger):
                lane.let_go()
            buffer = self._buffer
            size = len(buffer)
            taken = buffer[:size]
            del buffer[:size]
            new = self._words.new
            fresh = {number: new.pop(number) for number in list(new)}
            for sink in list(self._sinks):
                sink(taken, fresh)

    def mark(self, text: str) -> None:
        """Write a note."""
        if self._tool is not None:
            number = self._words.of(text)
            lane = self._lanes.get(threading.get_ident())
            where = 0 if lane is None else lane.number
            tag = layout.MARK + (where << layout.LANE) + (number << layout.TEXT)
            self._buffer.append((tag, 0, perf_counter_ns(), 0))

    # Points

    def _events(self) -> tuple[int, ...]:
        events = self._monitoring.events
        return events.PY_START, events.PY_RESUME, events.PY_YIELD, events.PY_RETURN

    def _set_points(self) -> None:
        """Have the interpreter call at the points that somebody wants to know of."""
        start, resume, yielded, returned = self._events()
        wanted: dict[CodeType, int] = {
            points.NEW_LOOP: start,
            points.RUN: start | resume | yielded | returned,
        }
        wanted[points.START] = wanted[points.RUN]
        waits = points.waits() if any(self._sinks.values()) else {}
        numbers = {id(code): self._words.of(text) for code, text in waits.items()}
        self._words.wait_points.update(numbers)
        for key in self._words.wait_points.keys() - numbers.keys():
            del self._words.wait_points[key]
        if waits:
            for code in waits:
                wanted[code] = wanted.get(code, 0) | yielded
            for lane in self._lanes.values():
                for kind, codes in (
                    (start, lane.starts),
                    (yielded, lane.yields),
                    (returned, lane.returns),
                ):
                    for code in codes:
                        wanted[code] = wanted.get(code, 0) | kind
        for code in self._set.keys() - wanted.keys():
            self._monitoring.set_local_events(self._tool, code, 0)
        for code, events in wanted.items():
            if self._set.get(code) != events:
                self._monitoring.set_local_events(self._tool, code, events)
        self._set = wanted
        self._register()

    def _add_return_point(self, code: CodeType) -> None:
        returned = self._events()[3]
        self._set[code] = self._set.get(code, 0) | returned
        self._monitoring.set_local_events(self._tool, code, self._set[code])

    def _register(self) -> None:
        """Have the calls go to the lane, or find theirs where there is more than one."""
        lanes = self._lanes
        stranger = self._stranger
        single = len(lanes) == 1
        for lane in (*lanes.values(), stranger):
            lane.depth = lane.FRAMES + (not single)
        calls: tuple[Any, ...]
        if single:
            calls = (
                (lane := next(iter(lanes.values()))).start,
                lane.resume,
                lane.yielded,
                lane.returned,
            )
        else:
            names = ("start", "resume", "yielded", "returned")
            calls = tuple(_finding(lanes, stranger, name) for name in names)
        for event, call in zip(self._events(), calls, strict=True):
            self._monitoring.register_callback(self._tool, event, call)

    # Lanes

    def _notice(self, kernel: Kernel) -> None:
        """A loop has begun."""
        with self._lock:
            if self._tool is not None:
                self._add_lane(kernel)
                self._set_points()

    def _add_lane(self, kernel: Kernel) -> None:
        thread = kernel.thread_id
        current: Any = finder_of(kernel).native_here
        before = self._lanes.get(thread)
        if before is not None and before.kernel is not None and not before.kernel.ended():
            current = _native_of_any  # Trio as a guest in an asyncio loop, as an example.
        number, self._next_lane = self._next_lane, self._next_lane + 1
        self._lanes[thread] = self._new_lane(number, kernel, current)

    def make_lanes(self, kind: type[Lane]) -> None:
        """Have the lanes be of another kind, which does more."""
        with self._lock:
            if kind is not self._kind:
                self._kind = kind
                self._renew_lanes()

    def _renew_lanes(self) -> None:
        for thread, lane in list(self._lanes.items()):
            new = self._new_lane(lane.number, lane.kernel, lane.current)
            new.go_on_from(lane)
            self._lanes[thread] = new
        self._stranger = self._new_lane(0, None, _nobody)
        self._set_points()

    def _drop_ended(self) -> None:
        """Forget the loops that have ended, now and then: nothing of them is to live on here."""
        if monotonic() - self._looked < _LOOKING:
            return
        self._looked = monotonic()
        lanes = self._lanes.items()
        ended = [
            thread for thread, lane in lanes if lane.kernel is not None and lane.kernel.ended()
        ]
        for thread in ended:
            del self._lanes[thread]
        if ended:
            self._set_points()

    def _new_lane(self, number: int, kernel: Kernel | None, current: Callable[[], Any]) -> Lane:
        append = self._buffer.append
        return self._kind(
            number, kernel, current, self._words, append, self._notice, self._lane_here
        )

    def _lane_here(self) -> Lane:
        """Return the lane of the loop that runs in this thread; a loop may not have used Creche so far."""
        kernel, thread = running_kernel(), threading.get_ident()
        lane = self._lanes.get(thread)
        if kernel is not None and (lane is None or lane.kernel is not kernel):
            self._notice(kernel)
            lane = self._lanes[thread]
        return self._stranger if lane is None else lane


def _finding(lanes: dict[int, Lane], stranger: Lane, name: str) -> Any:
    calls = {thread: getattr(lane, name) for thread, lane in lanes.items()}
    other, ident = getattr(stranger, name), threading.get_ident

    def call(*args: Any) -> None:
        calls.get(ident(), other)(*args)

    return call


def _nobody() -> None:
    return None


def _native_of_any() -> Any:
    try:
        return current_task().info().native
    except RuntimeError:
        return None


watch = Watch()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=watch.forget)
