"""What is called at each point (`points.py`), for one lane: a thread that runs a loop.

Owns the records that are written there (`layout.py`), and the step that the lane is in. These functions
run in the program's own threads, at each step of each task: each does the least. What they write are tuples of
whole records, which others take apart later, or never. That a task is there is written with what it does first: most
tasks end in their first step, and are one tuple.

    between steps --begin, or a task goes on--> in a step --it waits, or ends--> between steps

A step that begins with a cancellation on asyncio is not seen to begin: `sys.monitoring` does not tell of
exceptions that are thrown into a coroutine. If the task waits again in that step, only the functions inside
are seen to do so. Such a step begins, as far as is known, with the first thing that was done in it.
"""

# The points are what is inside.
# pyright: reportPrivateUsage=false

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable
from sys import _getframe
from time import perf_counter_ns as now
from types import CodeType, FrameType
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from . import layout, points
from .layout import LANE, TEXT

if TYPE_CHECKING:
    from .._kernel.contract import Kernel
    from .words import Words

log = logging.getLogger("creche.insight")
_told: set[str] = set()
_RUN, _MAIN = points.RUN, points.START


class Brother(NamedTuple):
    """A task, as far as the next one has it too: most tasks have brothers that begin just after."""

    group: Any
    origin: Any
    tag: int
    key: int
    """Words 0 and 3 of its record."""


STRANGER = Brother(object(), None, 0, 0)


class Lane:
    """The callbacks of one lane, and what they know of it."""

    __slots__ = ("_begin", "_brother", "_end_text", "_entered", "_fresh", "_last", "_outer", "_returns", "_starts", "_step", "_task", "_told_end", "_unknown", "_wait_words", "_waits_tag", "_yields", "append", "current", "depth", "here", "kernel", "label_of", "number", "returns", "starts", "waits", "words", "yields")  # fmt: skip

    FRAMES = 1
    """How many frames a point is below a callback that nothing stands between."""

    def __init__(
        self,
        number: int,
        kernel: Kernel | None,
        current: Callable[[], Any],
        words: Words,
        append: Callable[[tuple[int, ...]], None],
        notice: Callable[[Any], object],
        here: Callable[[], Lane],
    ) -> None:
        self.number = number
        self.kernel = kernel
        self.words = words
        self.append = append
        self.current = current
        self.here = here
        self.label_of: Callable[[Any], Any] = _no_label if kernel is None else kernel.label_of
        self.depth = 1
        """How many frames the point is below a callback."""
        self.waits: tuple[int, int, int, int, int] | None = None
        """What the step ends in, as far as it is known: resource, waiter, text, task, time."""
        self._task: Any = None
        self._begin = 0
        self._outer: list[tuple[Any, int]] = []
        self._fresh: Brother | None = None
        """Of a task that has begun in this step, if that is not written: its brother."""
        self._brother = STRANGER
        self._end_text = 0
        self._told_end = 0
        """For instruments: the `id` of the task whose end was told before it returns."""
        self._entered = 0
        """The scope that was entered last."""
        self._wait_words = words.wait_points
        self._step, self._last = self.tag(layout.STEP), self.tag(layout.LAST)
        self._unknown = self.tag(layout.STEP, words.of("an event of its loop"))
        self._waits_tag = self.tag(layout.WAITS)
        self._set_points(notice)

    def _set_points(self, notice: Callable[[Any], object]) -> None:
        self.starts: dict[CodeType, Callable[[Any], object]] = {
            points.CANCEL: self._cancel,
            points.CANCEL_TASK: self._cancel_task,
            points.CALL: self._call,
            points.NEW_LOOP: lambda frame: notice(frame.f_locals["kernel"]),
        }
        self.yields: dict[CodeType, Callable[[Any, Any], None]] = {
            points.QUEUE_WAIT: self._queue_wait,
            points.EACH: self._wakes,
        }
        self.returns: dict[CodeType, Callable[[Any, Any], None]] = {
            points.ENDED_BADLY: self._ended_badly,
            points.POP: self._wakes,
            points.CALL: self._called,
        }
        if self.kernel is not None:
            verbs = points.Verbs(self.kernel)
            self.starts[verbs.enter] = self._enter
            self.returns[verbs.leave] = self._leave
            self.returns[verbs.open_nursery] = self._open_nursery
        # By their identity: the hash of code looks at all that is in it.
        self._starts = {id(code): call for code, call in self.starts.items()}
        self._yields = {id(code): call for code, call in self.yields.items()}
        self._returns = {id(code): call for code, call in self.returns.items()}

    def tag(self, kind: int, text: int = 0) -> int:
        """Return word 0 of a record of this lane."""
        return kind + (self.number << LANE) + (text << TEXT)

    def extend(self, words: tuple[int, ...]) -> None:
        """Write records, after the one that says that the task is there which writes them."""
        if self._fresh is not None:
            self._tell_fresh()
        self.append(words)

    def _tell_fresh(self) -> None:
        fresh, self._fresh = self._fresh, None
        if fresh is not None:
            self.append((fresh.tag, id(self._task), self._begin, fresh.key))

    def let_go(self) -> None:
        """Forget the last task's group: it may end any time. From any thread."""
        self._brother = STRANGER

    def go_on_from(self, before: Lane) -> None:
        """Take over the step that another lane is in, in whose place this one is."""
        self._task, self._begin, self._fresh = before._task, before._begin, before._fresh
        self._outer = before._outer

    # What the interpreter calls

    def start(self, code: CodeType, offset: int) -> None:
        try:
            if code is _RUN:
                if self._task is not None or self.waits is not None:
                    self._end_other_step()
                self._begin = now()
                self._task = task = self.current()
                label, brother = self.label_of(task), self._brother
                if (
                    label is not None
                    and label._group is brother.group
                    and label._origin is brother.origin
                ):
                    self._fresh = brother
                else:
                    self._tell_begin(task)
            elif code is _MAIN:
                lane = self.here()
                if lane is not self:
                    lane.start(code, offset)  # Of a loop that has not used Creche so far.
                    return
                self._end_other_step()
                self._begin = now()
                self._task = task = self.current()
                self._tell_begin(task)
            elif (call := self._starts.get(id(code))) is not None:
                call(self._frame_of(code, 1))
        except Exception:
            _tell_failure()

    def _frame_of(self, code: CodeType, above: int) -> FrameType:
        """Return the frame of `code`, which has called the lane; `above`: how many frames of the lane there are."""
        frame = _getframe(self.depth + above)
        if frame.f_code is not code:  # Another loop has begun meanwhile, and calls go another way.
            frame = _getframe(above)
            while frame.f_code is not code:
                assert frame.f_back is not None, "what has called the lane is below it"
                frame = frame.f_back
        return frame

    def _end_other_step(self) -> None:
        if self._task is not None:
            self._tell_fresh()
            self._outer.append((self._task, self._begin))  # This one is inside the step of another.
        elif self.waits is not None:
            self._tell_unseen()

    def _tell_begin(self, task: Any) -> None:
        tag, key, time, group = self.words.task_record(self, task, self._begin)
        self.append((tag, key, time, group))
        label = self.label_of(task)
        if group:
            self._brother = Brother(label._group, label._origin, tag, group)

    def resume(self, _code: CodeType, _offset: int) -> None:
        try:
            if self.waits is not None:
                self._tell_unseen()
            self._begin = now()
            self._task = self.current()
        except Exception:
            _tell_failure()

    def yielded(self, code: CodeType, _offset: int, value: Any) -> None:
        try:
            if code is _RUN or code is _MAIN:
                time = now()
                task = self._task
                if task is None:
                    task, self._begin = self.current(), time
                if self._fresh is not None:
                    self._tell_fresh()
                if self.waits is not None:
                    thing, waiter, text, _, _ = self.waits
                    self.waits = None
                    self.append((self._waits_tag + (text << TEXT), thing, waiter, 0,
                                 self._step, id(task), self._begin, time))  # fmt: skip
                elif value is None or type(value) is type:  # It gives way.
                    self.append((self._step, id(task), self._begin, time))
                else:
                    self.append((self._unknown, id(task), self._begin, time))
                self._task = None
                if self._outer:
                    self._task, self._begin = self._outer.pop()
            elif (said := self._wait_words.get(id(code))) is not None:
                if value is not None and type(value) is not type:
                    self._wait(said, code)
            elif (call := self._yields.get(id(code))) is not None:
                call(self._frame_of(code, 1), value)
        except Exception:
            _tell_failure()

    def returned(self, code: CodeType, _offset: int, value: Any) -> None:
        try:
            if code is _RUN or code is _MAIN:
                fresh, task = self._fresh, self._task
                if fresh is not None:
                    key, begin, self._fresh = id(task), self._begin, None
                    self.append((fresh.tag, key, begin, fresh.key,
                                 self._last + self._end_text, key, begin, now()))  # fmt: skip
                else:
                    time = now()
                    if task is None:
                        task, self._begin = self.current(), time
                    self.append((self._last + self._end_text, id(task), self._begin, time))
                self._end_text = 0
                self._task = None
                if self._outer:
                    self._task, self._begin = self._outer.pop()
            elif (call := self._returns.get(id(code))) is not None:
                call(self._frame_of(code, 1), value)
        except Exception:
            _tell_failure()

    def _ended_badly(self, frame: Any, cancelled: Any) -> None:
        self._end_text = self.words.of(_how(frame.f_locals)) << TEXT
        if cancelled is not None:  # It may leave by an exception, and not return.
            time = now()
            if self._task is None:
                self._task, self._begin = self.current(), time
            self.extend((self._last + self._end_text, id(self._task), self._begin, time))

    # Waits and wakes

    def _wait(self, said: int, code: CodeType) -> None:
        waits = self.waits
        if said:
            self.waits = (0, waits[1], said, *waits[3:]) if waits else (0, 0, said, *self._now())
            return
        names = self._frame_of(code, 2).f_locals
        key, text = self.words.wait(names.get("self"))
        if waits is not None:
            self.waits = key, waits[1], text, *waits[3:]
        else:
            waiter = names.get("waiter")
            self.waits = key, 0 if waiter is None else id(waiter), text, *self._now()

    def _queue_wait(self, frame: Any, value: Any) -> None:
        if value is not None:
            self.waits = 0, id(frame.f_locals["waiter"]), 0, *self._now()

    def _now(self) -> tuple[int, int]:
        """Return which task it is and the time, if this step was not seen to begin."""
        return (0, 0) if self._task is not None else (id(self.current()), now())

    def _tell_unseen(self) -> None:
        """Record a step that has begun with an exception and gone on: its end was not told either."""
        assert self.waits is not None, "that is how it is known"
        thing, waiter, text, task, time = self.waits
        self.waits = None
        waits, step = self.tag(layout.WAITS, text), self.tag(layout.STEP)
        self.extend((waits, thing, waiter, 0, step, task, time, time))

    def _wakes(self, _frame: Any, value: Any) -> None:
        if value is not None:
            self.extend((self.tag(layout.WAKES), id(value[0]), now(), 0))

    # Scopes and groups

    def _cancel(self, frame: Any) -> None:
        scope, reason = frame.f_locals["self"], frame.f_locals["reason"]
        if not scope._cancelled:
            text = self.words.of("" if reason is None else str(reason))
            self.extend((self.tag(layout.CANCEL, text), id(scope), now(), 0))

    def _cancel_task(self, frame: Any) -> None:
        handle, kernel = frame.f_locals["self"], self.kernel
        for record in () if kernel is None else list(kernel.tasks()):
            if record.label is handle:
                self.extend((self.tag(layout.CANCEL_TASK), id(record.native), now(), 0))

    def _enter(self, frame: Any) -> None:
        scope = frame.f_locals["scope"]
        text = self.words.entered(scope)
        self._entered = id(scope)
        self.extend((self.tag(layout.ENTER, text), id(scope), now(), int(scope._shield)))

    def _leave(self, frame: Any, _value: Any) -> None:
        scope, kernel = frame.f_locals["scope"], self.kernel
        if kernel is not None and scope._entered == "caught":
            late = kernel.now() - scope._deadline
            if late >= 0:
                passed = now() - int(late * 1e9)
                text = self.words.of(scope._reason or scope._expiry())
                self.extend((self.tag(layout.DEADLINE, text), id(scope), passed, 0))
        self.extend((self.tag(layout.LEAVE), id(scope), now(), 0))

    def _open_nursery(self, frame: Any, nursery: Any) -> None:
        scope = nursery.scope
        if self._entered != id(scope):  # Where opening it does not go through `enter_scope`.
            text = self.words.entered(scope)
            self.extend((self.tag(layout.ENTER, text), id(scope), now(), int(scope._shield)))
        self._entered = 0
        self.words.note_group(self, nursery)
        code = points.code_of(cast("Any", type(nursery)).close)
        if code not in self.returns:
            self.returns[code] = self._returns[id(code)] = self._close_nursery
            self.words.add_return_point(code)

    def _close_nursery(self, frame: Any, _value: Any) -> None:
        self.extend((self.tag(layout.LEAVE), id(frame.f_locals["self"].scope), now(), 0))

    # Calls in workers

    def _call(self, frame: Any) -> None:
        call = frame.f_locals["self"]
        text = self.words.of(call.name)
        task = id(call.task.info().native)
        self.extend((self.tag(layout.CALL, text), id(call), now(), task))

    def _called(self, frame: Any, _value: Any) -> None:
        self.extend((self.tag(layout.RETURN), id(frame.f_locals["self"]), now(), 0))


def _tell_failure() -> None:
    """Log what went wrong in here: it is none of the program's business."""
    text = traceback.format_exc()
    if text not in _told:
        _told.add(text)
        log.error("an event was not recorded:\n%s", text)


def _no_label(_native: Any) -> None:
    """In no loop there are no tasks."""


def _how(names: Any) -> str:
    """Say how a task has ended, by the variables of the function that notes it."""
    from .._tasks.handle import FAILED

    exc = names["exc"]
    if names["handle"]._state is FAILED:
        text = str(exc).partition("\n")[0][:200]
        return f"failed {type(exc).__name__}: {text}" if text else f"failed {type(exc).__name__}"
    return "cancelled"
