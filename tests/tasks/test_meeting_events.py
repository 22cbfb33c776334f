"""Two and three events meet one wait in the same instant, in every order, for every primitive.

A grant that comes first wins, and the operation has succeeded; one that comes after any cancel finds
nobody, and what was granted is still there. Whatever the order, each cancel is heard of: a native
one ends the task, with `cancelling()` saying so; otherwise the outermost cancelled scope catches.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from itertools import permutations
from typing import Any

import pytest

import creche
import creche.testing
from creche import CancelScope, create_task_group, current_time, flow, wait_all_tasks_blocked
from creche.lowlevel import checkpoint


@dataclass
class Meeting:
    """A wait, what grants it, and what there is to see afterwards."""

    wait: Callable[[], Awaitable[object]]
    grant: Callable[[], object]
    untouched: Callable[[bool], bool]
    """Whether all is as it should be, given whether the operation has succeeded."""
    put_away: Callable[[], object] = lambda: None


def event() -> Meeting:
    it = creche.Event()
    return Meeting(it.wait, it.set, lambda came: it.statistics().tasks_waiting == 0)


def semaphore() -> Meeting:
    it = creche.Semaphore(0)
    return Meeting(it.acquire, it.release, lambda came: it.value == (0 if came else 1))


def limiter() -> Meeting:
    it = creche.CapacityLimiter(1)
    other, mine = object(), object()
    it.acquire_on_behalf_of_nowait(other)
    return Meeting(
        lambda: it.acquire_on_behalf_of(mine),
        lambda: it.release_on_behalf_of(other),
        lambda came: it.borrowed_tokens == (1 if came else 0),
    )


def receiving() -> Meeting:
    send, receive = creche.create_memory_object_stream[int](1)

    def put_away() -> None:
        send.close()
        receive.close()

    return Meeting(
        receive.receive,
        lambda: send.send_nowait(1),
        lambda came: send.statistics().current_buffer_used == (0 if came else 1),
        put_away,
    )


def sending() -> Meeting:
    send, receive = creche.create_memory_object_stream[int](0)
    got: list[int] = []

    def take() -> None:
        with suppress(creche.WouldBlock):
            got.append(receive.receive_nowait())

    def put_away() -> None:
        send.close()
        receive.close()

    return Meeting(lambda: send.send(1), take, lambda came: got == ([1] if came else []), put_away)


def lock() -> Meeting:
    it = creche.Lock()
    it.acquire_nowait()

    async def wait() -> None:
        async with it:
            pass

    return Meeting(wait, it.release, lambda came: not it.locked())


def condition() -> Meeting:
    it = creche.Condition()

    async def wait() -> None:
        async with it:
            await it.wait()

    def notify() -> None:
        it.acquire_nowait()
        it.notify()
        it.release()

    def untouched(came: bool) -> bool:
        return not it.locked() and it.statistics().tasks_waiting == 0

    return Meeting(wait, notify, untouched)


def future() -> Meeting:
    it = creche.Future[int]()

    async def wait() -> None:
        assert await it == 1

    def finish() -> None:
        it.return_value = 1

    return Meeting(wait, finish, lambda came: it.return_value == 1)


def handle() -> Meeting:
    """Of a task that ends at this very moment."""

    async def returns() -> int:
        return 1

    coro = returns()
    it = creche.TaskHandle(coro, "a task")

    def end() -> None:
        coro.close()
        it._end(it.Status.FINISHED, 1)  # pyright: ignore[reportPrivateUsage]  # as its group does

    async def wait() -> None:
        await it.wait()

    return Meeting(wait, end, lambda came: it.return_value == 1, coro.close)


def end_of_stream() -> Meeting:
    send, receive = creche.create_memory_object_stream[int](1)

    async def wait() -> None:
        with pytest.raises(creche.EndOfStream):
            await receive.receive()

    def put_away() -> None:
        send.close()
        receive.close()

    return Meeting(wait, send.close, lambda came: True, put_away)


def broken_stream() -> Meeting:
    send, receive = creche.create_memory_object_stream[int](0)

    async def wait() -> None:
        with pytest.raises(creche.BrokenResourceError):
            await send.send(1)

    def put_away() -> None:
        send.close()
        receive.close()

    return Meeting(wait, receive.close, lambda came: True, put_away)


def watched() -> Meeting:
    it = flow.Watched(0)
    return Meeting(
        lambda: it.wait_for(lambda value: value == 1), lambda: it.set(1), lambda came: it.get() == 1
    )


def select() -> Meeting:
    send, receive = creche.create_memory_object_stream[int](1)

    def put_away() -> None:
        send.close()
        receive.close()

    return Meeting(
        lambda: flow.select(receive.receiving(), flow.deadline_after(60)),
        lambda: send.send_nowait(1),
        lambda came: send.statistics().current_buffer_used == (0 if came else 1),
        put_away,
    )


def broadcast() -> Meeting:
    send = flow.create_broadcast[int](1)
    receive = send.subscribe()

    def put_away() -> None:
        send.close()
        receive.close()

    return Meeting(
        receive.receive,
        lambda: send.send_nowait(1),
        lambda came: receive.statistics().current_buffer_used == (0 if came else 1),
        put_away,
    )


PRIMITIVES = [
    event, semaphore, limiter, receiving, sending, lock, condition, future, handle, end_of_stream,
    broken_stream, watched, select, broadcast,
]  # fmt: skip
OURS = ("grant", "scope", "deadline", "outer")


class Waiting:
    """One task in its wait, in two scopes, and what came of it."""

    def __init__(self, meeting: Meeting) -> None:
        self.meeting = meeting
        self.log: list[str] = []
        self.outer, self.scope = CancelScope(), CancelScope()
        self.native: Any = None
        self.ended = creche.Event()

    async def run(self) -> None:
        with suppress(Exception):
            self.native = asyncio.current_task()
        try:
            with self.outer:
                with self.scope:
                    await self.meeting.wait()
                    self.log.append("came")
                    await checkpoint()
                    self.log.append("went on")
                await checkpoint()
            await checkpoint()
            self.log.append("after")
        except asyncio.CancelledError:
            self.log.append(f"cancelled {self.native.cancelling()}")
        finally:
            self.ended.set()

    def happen(self, what: str) -> None:
        if what == "grant":
            self.meeting.grant()
        elif what == "scope":
            self.scope.cancel()
        elif what == "deadline":
            self.scope.deadline = current_time() - 1
        elif what == "outer":
            self.outer.cancel()
        else:
            self.native.cancel(what)


def expected(order: tuple[str, ...]) -> tuple[list[str], bool, bool]:
    natives = sum(what.startswith("native") for what in order)
    came = order[0] == "grant"
    by_scope = "scope" in order or "deadline" in order
    log = ["came"] if came else []
    if came and not natives and not by_scope and "outer" not in order:
        log.append("went on")
    log.append(f"cancelled {natives}" if natives else "after")
    outer = "outer" in order and not natives
    return log, by_scope and not natives and not outer, outer


async def meet(
    primitive: Callable[[], Meeting], order: tuple[str, ...], *, foreign: bool
) -> tuple[list[str], bool, bool]:
    meeting = primitive()
    waiting = Waiting(meeting)
    async with create_task_group() as tg:
        kept = asyncio.create_task(waiting.run()) if foreign else tg.start_soon(waiting.run)
        await wait_all_tasks_blocked()
        for what in order:
            waiting.happen(what)
        await waiting.ended.wait()
    del kept
    if "grant" in order:
        assert meeting.untouched("came" in waiting.log), f"{order}: {waiting.log}"
    meeting.put_away()
    return waiting.log, waiting.scope.cancelled_caught, waiting.outer.cancelled_caught


def orders(*events: str) -> list[tuple[str, ...]]:
    """Every order of two and of three of them."""
    return [order for size in (2, 3) for order in permutations(events, size)]


@pytest.mark.parametrize("primitive", PRIMITIVES, ids=lambda primitive: primitive.__name__)
async def test_grants_and_cancels_of_scopes_that_meet(primitive: Callable[[], Meeting]) -> None:
    for order in orders(*OURS):
        assert await meet(primitive, order, foreign=False) == expected(order), order


@pytest.mark.backends("asyncio", "asyncio+eager", "uvloop")
@pytest.mark.parametrize("foreign", [False, True], ids=["child", "foreign"])
@pytest.mark.parametrize("primitive", PRIMITIVES, ids=lambda primitive: primitive.__name__)
async def test_grants_and_cancels_of_both_kinds_that_meet(
    primitive: Callable[[], Meeting], foreign: bool
) -> None:
    for order in orders(*OURS, "native", "native again"):
        assert await meet(primitive, order, foreign=foreign) == expected(order), order


# A sleep is granted by time, so that others come in the instant of its end, before it has stepped


def at_the_end_of_a_sleep(
    kernel: str, order: tuple[str, ...], *, first: bool, deadline: bool
) -> tuple[list[str], bool, bool]:
    """Have it all happen at 1 s.

    :param first: whether the one who sleeps comes before the one who makes the rest happen
    :param deadline: whether the scope has its own deadline then as well
    """
    meeting = Meeting(lambda: creche.sleep_until(1), lambda: None, lambda came: True)
    waiting = Waiting(meeting)
    if deadline:
        waiting.scope.deadline = 1

    async def others() -> None:
        await creche.sleep_until(1)
        for what in order:
            waiting.happen(what)

    async def main() -> None:
        async with create_task_group() as tg:
            for func in (waiting.run, others) if first else (others, waiting.run):
                tg.start_soon(func)
            await waiting.ended.wait()

    creche.testing.run(main, backend=kernel)
    return waiting.log, waiting.scope.cancelled_caught, waiting.outer.cancelled_caught


# One who comes first and whose deadline is then has stepped, and met nobody, when the others come.
@pytest.mark.parametrize(
    ("first", "deadline"),
    [(True, False), (False, False), (False, True)],
    ids=["first", "last", "last-and-a-deadline"],
)
@pytest.mark.parametrize("kernel", ["asyncio", "trio"])
def test_cancels_that_meet_the_end_of_a_sleep(kernel: str, first: bool, deadline: bool) -> None:
    """As with grants: on asyncio the sleep has ended, unless a deadline comes first. Trio asks once more."""
    others = OURS[1:] if kernel == "trio" else (*OURS[1:], "native", "native again")
    for order in [*((other,) for other in others), *orders(*others)]:
        happened = ("grant", *order, "deadline") if deadline else ("grant", *order)
        log, scope, outer = expected(happened)
        seen = at_the_end_of_a_sleep(kernel, order, first=first, deadline=deadline)
        came = not deadline if kernel == "asyncio" else "came" in seen[0]
        assert seen == (log if came else log[1:], scope, outer), order
