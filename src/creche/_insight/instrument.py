"""`Instrument`: hooks of your own for what tasks do, on every loop; and how they are called.

Owns the class, and the lanes that call instruments. Instruments are called where it happens: in the thread of the
loop, for `task_started` in the context of the task itself.
"""

# Scopes keep to themselves what they know.
# pyright: reportPrivateUsage=false

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from functools import partial
from types import CodeType
from typing import Any

from .._tasks.info import TaskInfo, info_of
from .._tasks.scope import CancelScope
from . import points
from .lanes import Lane, log
from .layout import TEXT
from .steps import SUPPORTED, watch


class Instrument:
    """What is called as tasks start, run, wait and end. Make a subclass, and write the methods that you need.

    The methods are called in the middle of what the loop does: they must be quick, and must not wait. What one
    raises is logged, and the instrument is not called any more. Methods that a subclass does not have cost little.
    """

    def task_started(self, task: TaskInfo) -> None:
        """A child of a group takes its first step: in its own context, whose variables may be set here."""

    def task_ended(self, task: TaskInfo, outcome: str) -> None:
        """It has ended: `"returned"`, `"cancelled"` or `"failed ..."`, with the error."""

    def before_step(self, task: TaskInfo) -> None:
        """A task is about to run, until it waits again."""

    def after_step(self, task: TaskInfo, waits_for: str) -> None:
        """It has run, and waits for something; it has only let others run if the text is empty."""

    def group_opened(self, scope: CancelScope, host: TaskInfo) -> None:
        """A task group was entered, by the task `host`; `scope` is the group's."""

    def group_closed(self, scope: CancelScope) -> None:
        """It has been left, and all its tasks have ended."""

    def scope_cancelled(self, scope: CancelScope, reason: str) -> None:
        """A scope is being cancelled, with a reason or an empty text."""

    def call_started(self, function: str, task: TaskInfo) -> None:
        """A worker thread begins to run a function for a task. In that thread."""

    def call_ended(self, function: str, task: TaskInfo) -> None:
        """It has run it. In that thread."""


@contextmanager
def instrument(instrument: Instrument) -> Generator[None]:
    """Have an instrument called for what tasks do, on all loops of the process, in a block.

    :param instrument: the instrument
    :raises NotImplementedError: this is Python 3.11, which has no `sys.monitoring`
    :raises RuntimeError: other tools have taken all places that `sys.monitoring` has
    """
    if not SUPPORTED:
        raise NotImplementedError(
            "instruments need sys.monitoring, which Python has since 3.12: use a newer Python"
        )
    watch.subscribe(nothing := partial(_nothing), everything=True)
    _installed.append(instrument)
    watch.make_lanes(InstrumentedLane)
    try:
        yield
    finally:
        if instrument in _installed:
            _installed.remove(instrument)
        watch.make_lanes(InstrumentedLane if _installed else Lane)
        watch.unsubscribe(nothing)


def _nothing(_taken: list[tuple[int, ...]], _texts: dict[int, str]) -> None:
    """What is written is not wanted: the calls are."""


_installed: list[Instrument] = []


def _call(name: str, *args: Any) -> None:
    for each in tuple(_installed):
        if getattr(type(each), name) is not getattr(Instrument, name):
            try:
                getattr(each, name)(*args)
            except Exception:
                _installed.remove(each)
                log.warning(
                    "%s of %r has failed, and is not called any more", name, each, exc_info=True
                )


class InstrumentedLane(Lane):
    """A lane that calls instruments besides."""

    __slots__ = ()
    FRAMES = 2

    def _info(self, native: Any) -> TaskInfo | None:
        kernel = self.kernel
        if kernel is None or native is None:
            return None
        return info_of(kernel.record(native), kernel)

    def _tell(self, name: str, native: Any, *args: Any) -> None:
        info = self._info(native)
        if info is not None:
            _call(name, info, *args)

    def start(self, code: CodeType, offset: int) -> None:
        super().start(code, offset)
        if code is points.RUN:
            self._tell("task_started", self._task)
            self._tell("before_step", self._task)

    def resume(self, code: CodeType, offset: int) -> None:
        super().resume(code, offset)
        self._tell("before_step", self._task)

    def yielded(self, code: CodeType, offset: int, value: Any) -> None:
        task, waits = self._task, self.waits
        super().yielded(code, offset, value)
        if code is points.RUN or code is points.START:
            gave_way = value is None or type(value) is type
            text = "" if gave_way else "an event of its loop"
            if waits is not None and not gave_way:
                text = self.words.texts.get(waits[2], text)
            self._tell("after_step", self.current() if task is None else task, text)

    def returned(self, code: CodeType, offset: int, value: Any) -> None:
        if code is points.RUN:
            task = self.current() if self._task is None else self._task
            if self._told_end != id(task):
                self._tell_end(task)
            self._told_end = 0
        super().returned(code, offset, value)

    def _ended_badly(self, frame: Any, cancelled: Any) -> None:
        super()._ended_badly(frame, cancelled)
        task = self.current() if self._task is None else self._task
        self._tell_end(task)
        self._told_end = id(task)

    def _tell_end(self, task: Any) -> None:
        outcome = self.words.texts.get(self._end_text >> TEXT, "returned")
        self._tell("task_ended", task, outcome)

    def _cancel(self, frame: Any) -> None:
        super()._cancel(frame)
        scope, reason = frame.f_locals["self"], frame.f_locals["reason"]
        if not scope._cancelled:
            _call("scope_cancelled", scope, "" if reason is None else str(reason))

    def _open_nursery(self, frame: Any, nursery: Any) -> None:
        super()._open_nursery(frame, nursery)
        host = self._info(nursery.host.info().native)
        if host is not None:
            _call("group_opened", nursery.scope, host)

    def _close_nursery(self, frame: Any, value: Any) -> None:
        super()._close_nursery(frame, value)
        _call("group_closed", frame.f_locals["self"].scope)

    def _call(self, frame: Any) -> None:
        super()._call(frame)
        self._tell_call("call_started", frame.f_locals["self"])

    def _called(self, frame: Any, value: Any) -> None:
        super()._called(frame, value)
        self._tell_call("call_ended", frame.f_locals["self"])

    def _tell_call(self, name: str, call: Any) -> None:
        kernel = call.task.kernel
        _call(name, call.name, info_of(call.task.info(), kernel))
