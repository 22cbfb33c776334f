"""Cancel scopes under many schedules: what is cancelled stays so, and nothing else is."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from _planted import assert_found, cancel_one_by_one

from creche import (
    CancelScope,
    CapacityLimiter,
    Event,
    Future,
    Semaphore,
    create_memory_object_stream,
    create_task_group,
    current_time,
    fail_after,
    get_cancelled_exc_class,
    move_on_after,
    sleep,
    sleep_forever,
)
from creche.lowlevel import checkpoint
from creche.testing import explore


async def kept_to_the_scope(scope: CancelScope) -> None:
    """A scope is cancelled at some moment: its block ends there, or went well; nothing is after."""
    steps: list[str] = []

    async def work() -> None:
        with scope:
            await checkpoint()
            steps.append("began")
            await checkpoint()
            with CancelScope(shield=True):
                await checkpoint()
                await checkpoint()
                steps.append("shielded")
            await checkpoint()
            steps.append("ended")
        assert scope.cancelled_caught == (steps[-1:] != ["ended"]), "it caught what was not there"
        assert steps in ([], ["began"], ["began", "shielded"], ["began", "shielded", "ended"])
        await checkpoint()
        steps.append("outside")

    async with create_task_group() as group:
        group.start_soon(work)
        group.start_soon(cancel_one_by_one, CancelScope(), scope)
    assert steps[-1] == "outside"
    assert not group.cancel_scope.cancel_called


@explore()
async def test_a_cancelled_scope_ends_its_block_and_nothing_else() -> None:
    await kept_to_the_scope(CancelScope())


class Careless(CancelScope):
    """A cancel before it is entered is forgotten."""

    def cancel(self, reason: str | None = None) -> None:
        if self._host is not None:
            super().cancel(reason)

    @property
    def cancelled_caught(self) -> bool:
        return True


def test_a_scope_that_is_wrong_about_what_it_caught_is_found_out() -> None:
    assert_found(lambda: kept_to_the_scope(Careless()))


async def struck_again(wait: Callable[[], Awaitable[object]]) -> None:
    """A task that swallows its cancellation meets it at each wait, until it is out of the scope."""
    struck, scope = 0, CancelScope()

    async def refuse() -> None:
        nonlocal struck
        with scope:
            for _ in range(4):
                try:
                    await wait()
                except get_cancelled_exc_class():
                    struck += 1
        await checkpoint()

    async with create_task_group() as group:
        group.start_soon(refuse)
        group.start_soon(cancel_one_by_one, scope)
    assert struck == 4, "a wait went well in a cancelled scope"


async def nothing_to_receive() -> None:
    send, receive = create_memory_object_stream[int]()
    with send, receive:
        await receive.receive()


async def nobody_to_receive() -> None:
    send, receive = create_memory_object_stream[int]()
    with send, receive:
        await send.send(1)


WAITS: dict[str, Callable[[], Awaitable[object]]] = {
    "event": lambda: Event().wait(),
    "sleep": sleep_forever,
    "semaphore": lambda: Semaphore(0).acquire(),
    "limiter": lambda: CapacityLimiter(0).acquire(),
    "receive": nothing_to_receive,
    "send": nobody_to_receive,
    "future": lambda: Future[int]().wait(),
}


@pytest.mark.parametrize("kind", WAITS)
@explore(runs=30)
async def test_a_task_that_swallows_a_cancellation_meets_it_again_in_every_wait(kind: str) -> None:
    await struck_again(WAITS[kind])


def test_a_wait_that_is_cancelled_only_once_is_found_out() -> None:
    async def program() -> None:
        interrupted = False

        async def wait() -> None:
            nonlocal interrupted
            with CancelScope(shield=interrupted):
                try:
                    await (checkpoint() if interrupted else sleep_forever())
                finally:
                    interrupted = True

        await struck_again(wait)

    assert_found(program)


# Nested scopes


async def by_the_right_scope(shield: bool) -> None:
    """An inner and an outer scope are cancelled in some order: each catches its own."""
    outer, inner = CancelScope(), CancelScope(shield=shield)
    log: list[str] = []

    async def work() -> None:
        with outer:
            with inner:
                await checkpoint()
                await checkpoint()
                await checkpoint()
                log.append("inside")
            log.append("between")
            await checkpoint()
            log.append("at the end")
        log.append("outside")
        await checkpoint()

    async with create_task_group() as group:
        group.start_soon(work)
        group.start_soon(cancel_one_by_one, CancelScope(), inner)
        group.start_soon(cancel_one_by_one, CancelScope(), outer)
    assert inner.cancel_called and outer.cancel_called
    if inner.cancelled_caught:
        assert log[0] == "between"
    if "between" in log:
        assert inner.cancelled_caught or log[0] == "inside"
    assert outer.cancelled_caught == ("at the end" not in log)
    assert log[-1] == "outside"
    if shield:
        assert inner.cancelled_caught == ("inside" not in log), "the shield did not hold"


@pytest.mark.parametrize("shield", [False, True])
@explore()
async def test_of_two_scopes_each_catches_its_own_cancellation(shield: bool) -> None:
    await by_the_right_scope(shield)


# Deadlines


async def at_its_time(after: Any) -> None:
    """Work that takes 2 s, with deadlines that are sooner, later and changed meanwhile."""
    ended: dict[str, float] = {}

    async def work(name: str, seconds: float, changed: float | None) -> None:
        with after(seconds) as scope:
            await sleep(1)
            if changed is not None:
                scope.deadline = current_time() + changed
            await sleep(1)
        ended[name] = current_time()
        assert scope.cancelled_caught == (ended[name] < 2), "late, or early"

    async with create_task_group() as group:
        group.start_soon(work, "sooner", 0.5, None)
        group.start_soon(work, "later", 3, None)
        group.start_soon(work, "put off", 1.5, 2)
        group.start_soon(work, "put forward", 3, 0.25)
    assert ended == {"sooner": 0.5, "later": 2, "put off": 2, "put forward": 1.25}


@explore()
async def test_a_deadline_comes_at_its_time_in_any_order_of_steps() -> None:
    await at_its_time(move_on_after)


def test_a_deadline_that_comes_at_another_time_is_found_out() -> None:
    assert_found(lambda: at_its_time(lambda seconds: move_on_after(max(seconds, 1))))


@explore()
async def test_a_timeout_that_meets_the_end_of_the_work_is_one_or_the_other() -> None:
    outcomes: list[str] = []

    async def work() -> None:
        scopes: list[CancelScope] = []
        try:
            with fail_after(1) as scope:
                scopes.append(scope)
                await sleep(1)
                outcomes.append("done")
        except TimeoutError:
            assert scopes[0].cancelled_caught
            outcomes.append("too late")
        else:
            assert not scopes[0].cancelled_caught

    async with create_task_group() as group:
        for _ in range(3):
            group.start_soon(work)
    assert len(outcomes) == 3
    await checkpoint()
