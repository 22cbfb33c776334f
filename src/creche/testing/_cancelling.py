"""`cancel_at_each_checkpoint`: run an operation once for every point where it can be cancelled.

Owns the rounds, and the counting of points. What is left behind is looked at in `_leftovers.py`; how
a task gives way is the kernel's business.

    a whole run, to warm up    then rounds 1, 2, 3...: cancelled at the first point where it was not
                               cancelled before, until a round finds none

A point is where a task of the operation suspends: its own, and those of the groups in it. It is
known by what is on the task's stack, and by how often that was there in the round; so the order in
which tasks run may change from round to round, and no point is lost by that. A checkpoint that has
nothing to wait for usually does not suspend; here each one does, for a task has its budget taken
away before each of its steps. Only the operation's tasks are slowed down in that way: they are
known by a context variable, which a group's tasks inherit.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Generator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, NamedTuple

from .._introspection.frames import frames_of, place_of
from .._kernel import current_kernel, current_task
from .._loop.time import sleep
from .._sync import Event
from .._tasks.scope import CancelScope
from ._leftovers import Belongings

if TYPE_CHECKING:
    from .._kernel.contract import ChildLabel, Kernel, Nursery, Starting

MOST = 1000
"""Points that an operation may have before it counts as one that never ends."""


class CancellationReport(NamedTuple):
    """What `cancel_at_each_checkpoint` has seen."""

    places: tuple[str, ...]
    """Where the operation was in each round: file and line of the program's own code."""

    @property
    def points(self) -> int:
        """How many points there were."""
        return len(self.places)


async def cancel_at_each_checkpoint(
    fn: Callable[[], Coroutine[Any, Any, object]],
    /,
    *,
    check: Callable[[], object] | None = None,
    settle: Callable[[], Awaitable[object]] | None = None,
) -> CancellationReport:
    """Run `fn()` once for every point where it can be cancelled, and cancel it there.

    After each round there must be the same tasks, descriptors and threads in the process as before,
    and `check` has to say the same; so nothing else may open or start anything meanwhile.

    To choose the backend: `creche.run(cancel_at_each_checkpoint, fn, backend="trio")`, or
    `creche.testing.run` for virtual time. A checkpoint.

    :param fn: an async function that gives back what it got, in whatever way it ends. It is first
        run whole once, so that what is made at the first use does not count as left behind
    :param check: called before and after each round; what it returns has to be equal, such as
        `lambda: lock.locked()`
    :param settle: awaited after each round, for others to clear away what the round has left them
    :return: how many points there were, and where
    :raises AssertionError: something is left behind; names the point and what it is. Or there are
        more than 1000 points
    """
    check = check or _nothing
    settle = settle or _a_checkpoint
    await fn()
    await _loop_is_equipped()
    await settle()
    places: list[str] = []
    struck: set[object] = set()
    with _every_task_counted():
        while len(places) < MOST:
            before = Belongings.now(check)
            place = await _round(fn, len(places) + 1, struck)
            await settle()
            left = await before.left_in_the_end(check)
            if left:
                raise AssertionError(_accusation(fn, len(places) + 1, place, left))
            if place is None:
                return CancellationReport(tuple(places))
            places.append(place)
    raise AssertionError(
        f"{_name(fn)} has more than {MOST} points, the last at {places[-1]}: test less at a time"
    )


async def _round(
    fn: Callable[[], Coroutine[Any, Any, object]], number: int, struck: set[object]
) -> str | None:
    """Run `fn` once, cancelled at a new point; return where that was, None if there is none."""
    scope = CancelScope()
    points = _Points(struck, scope.cancel)
    with scope:
        token = _counting.set(points)
        try:
            await _Stepped(fn(), points)
        except Exception as exc:
            if points.place is not None:
                exc.add_note(f"raised by {_name(fn)}, cancelled at {_point(number, points.place)}")
            raise
        finally:
            _counting.reset(token)
    return points.place


def _nothing() -> None:
    """What is checked if nothing is."""


async def _a_checkpoint() -> None:
    """How others get a turn if nothing else is asked for."""
    await sleep(0)


async def _loop_is_equipped() -> None:
    """Let the loop open what it keeps open once another thread has called."""
    kernel = current_kernel()
    if kernel.simulation is None:  # In there are no other threads.
        heard = Event()
        kernel.call_soon_threadsafe(heard.set)
        await heard.wait()
        await sleep(0)


def _accusation(fn: object, number: int, place: str | None, left: list[str]) -> str:
    how = "left to itself" if place is None else f"cancelled at {_point(number, place)}"
    return f"{_name(fn)}, {how}, leaves something behind:" + "".join(f"\n  {line}" for line in left)


def _point(number: int, place: str) -> str:
    return f"point {number}{', ' * bool(place)}{place}"


def _name(fn: object) -> str:
    return f"{getattr(fn, '__qualname__', repr(fn))}()"


# Counting


class _Points:
    """Sees where the tasks of an operation suspend, and acts at the first point that is new."""

    def __init__(self, struck: set[object], act: Callable[[], object]) -> None:
        self._struck = struck
        self._act = act
        self._seen: Counter[object] = Counter()
        self.place: str | None = None

    def suspended(self, coro: Any) -> None:
        if self.place is not None:
            return
        frames = frames_of(coro)
        stack = tuple((frame.f_code, frame.f_lasti) for frame in frames)
        self._seen[stack] += 1
        point = stack, self._seen[stack]
        if point not in self._struck:
            self._struck.add(point)
            self.place = place_of(frames)
            self._act()


_counting: ContextVar[_Points] = ContextVar("creche.testing._cancelling")


class _Stepped:
    """Awaits a coroutine, and counts where it suspends."""

    def __init__(self, coro: Coroutine[Any, Any, Any], points: _Points) -> None:
        self._coro = coro
        self._points = points

    def __await__(self) -> Generator[Any, Any, Any]:
        resume: Callable[[Any], Any] = self._coro.send
        value: Any = None
        while True:
            task = current_task()
            task.kernel.test_probe.use_up(task)
            try:
                wanted = resume(value)
            except StopIteration as stop:
                return stop.value
            self._points.suspended(self._coro)
            try:
                value = yield wanted
                resume = self._coro.send
            except BaseException as exc:
                value = exc
                resume = self._coro.throw


async def _stepped(coro: Coroutine[Any, Any, None], points: _Points) -> None:
    await _Stepped(coro, points)


class _CountingNursery:
    """A nursery whose tasks are counted where they suspend."""

    def __init__(self, nursery: Nursery, points: _Points) -> None:
        self._nursery = nursery
        self._points = points
        self.retire = nursery.retire
        self.cancel_child = nursery.cancel_child
        self.children = nursery.children
        self.close = nursery.close
        self.abandon = nursery.abandon
        self.cancelled = nursery.cancelled

    def spawn(self, coro: Coroutine[Any, Any, None], label: ChildLabel, context: Any) -> None:
        self._nursery.spawn(_stepped(coro, self._points), label, context)

    def start(
        self, coro: Coroutine[Any, Any, None], label: ChildLabel, move: Starting
    ) -> Awaitable[None]:
        return self._nursery.start(_stepped(coro, self._points), label, move)


@contextmanager
def _every_task_counted() -> Generator[None]:
    """Have the groups of an operation count where their tasks suspend, in this loop."""
    kernel: Kernel = current_kernel()
    open_nursery = kernel.open_nursery

    def open_counting_nursery(scope: Any, task: Any) -> Any:
        nursery = open_nursery(scope, task)
        points = _counting.get(None)
        return nursery if points is None else _CountingNursery(nursery, points)

    kept = vars(kernel).get("open_nursery")
    vars(kernel)["open_nursery"] = open_counting_nursery
    try:
        yield
    finally:
        if kept is None:
            del vars(kernel)["open_nursery"]
        else:
            vars(kernel)["open_nursery"] = kept
