"""Two hundred scopes and a hundred groups, each inside the one before."""

from __future__ import annotations

from contextlib import AsyncExitStack, ExitStack

import pytest

from creche import (
    CancelScope,
    Event,
    create_task_group,
    current_effective_deadline,
    current_time,
    get_running_tasks,
    move_on_after,
    sleep,
    sleep_forever,
    wait_all_tasks_blocked,
)
from creche.abc import TaskGroup
from creche.lowlevel import checkpoint

SCOPES = 200
GROUPS = 100


# ── Scopes ───────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("chosen", [0, 1, SCOPES // 2, SCOPES - 1])
async def test_only_the_cancelled_one_of_200_scopes_catches(chosen: int) -> None:
    scopes = [CancelScope() for _ in range(SCOPES)]
    passed = False
    with ExitStack() as outer:
        for scope in scopes[:chosen]:
            outer.enter_context(scope)
        with ExitStack() as inner:
            for scope in scopes[chosen:]:
                inner.enter_context(scope)
            scopes[chosen].cancel()
            await sleep_forever()
        await checkpoint()  # nothing is cancelled out here
        passed = True
    assert passed
    assert [scope.cancelled_caught for scope in scopes].index(True) == chosen
    assert sum(scope.cancelled_caught for scope in scopes) == 1


async def test_200_scopes_cancelled_from_the_inside_out_leave_the_outermost_to_catch() -> None:
    scopes = [CancelScope() for _ in range(SCOPES)]
    with ExitStack() as stack:
        for scope in scopes:
            stack.enter_context(scope)
        for scope in reversed(scopes):
            scope.cancel()
        await sleep_forever()
    assert [scope.cancelled_caught for scope in scopes] == [True] + [False] * (SCOPES - 1)
    await checkpoint()


async def test_a_shield_below_200_cancelled_scopes_holds() -> None:
    scopes = [CancelScope() for _ in range(SCOPES)]
    order: list[str] = []
    with ExitStack() as stack:
        for scope in scopes:
            stack.enter_context(scope)
            scope.cancel()
        with CancelScope(shield=True):
            await checkpoint()
            order.append("inside the shield")
        await checkpoint()
        order.append("never here")
    assert order == ["inside the shield"]
    assert scopes[0].cancelled_caught


async def test_the_earliest_of_200_deadlines_counts_wherever_it_is() -> None:
    now = current_time()
    delays = [1000.0 + abs(place - 77) for place in range(SCOPES)]
    with ExitStack() as stack:
        for delay in delays:
            stack.enter_context(CancelScope(deadline=now + delay))
        assert current_effective_deadline() == now + 1000


async def test_200_nested_timeouts_that_do_not_fire_leave_the_outermost_in_force() -> None:
    with move_on_after(0.01) as outermost:
        for _ in range(5):
            with ExitStack() as stack:
                for _ in range(SCOPES):
                    stack.enter_context(move_on_after(1000))
                await checkpoint()
        await sleep_forever()
    assert outermost.cancelled_caught


# ── Groups ───────────────────────────────────────────────────────────────────────────────────────


async def test_cancelling_the_outermost_of_100_groups_ends_the_children_of_all() -> None:
    cleaned = 0

    async def child() -> None:
        nonlocal cleaned
        try:
            await sleep_forever()
        finally:
            cleaned += 1

    groups: list[TaskGroup] = []
    async with AsyncExitStack() as stack:
        for _ in range(GROUPS):
            groups.append(await stack.enter_async_context(create_task_group()))
            groups[-1].start_soon(child)
        await wait_all_tasks_blocked()
        groups[0].cancel()
    assert cleaned == GROUPS
    assert [tg.cancel_scope.cancelled_caught for tg in groups[1:]] == [False] * (GROUPS - 1)


async def test_a_failure_in_the_innermost_of_100_groups_is_wrapped_once_by_each() -> None:
    with pytest.raises(ExceptionGroup) as caught:
        async with AsyncExitStack() as stack:
            for _ in range(GROUPS):
                tg = await stack.enter_async_context(create_task_group())
                tg.start_soon(sleep_forever)
            raise ValueError("at the bottom")
    exc: BaseException = caught.value
    depth = 0
    while isinstance(exc, BaseExceptionGroup):
        assert len(exc.exceptions) == 1
        exc = exc.exceptions[0]
        depth += 1
    assert depth == GROUPS
    assert repr(exc) == "ValueError('at the bottom')"


async def test_a_cancel_reaches_down_a_family_of_100_generations() -> None:
    ended: list[int] = []
    bottom = Event()

    async def generation(number: int) -> None:
        try:
            async with create_task_group() as tg:
                if number < GROUPS:
                    tg.start_soon(generation, number + 1)
                else:
                    bottom.set()
                await sleep_forever()
        finally:
            ended.append(number)

    before = len(get_running_tasks())
    async with create_task_group() as tg:
        tg.start_soon(generation, 1)
        await bottom.wait()
        assert len(get_running_tasks()) == before + GROUPS
        tg.cancel()
    assert ended == list(range(GROUPS, 0, -1))
    assert len(get_running_tasks()) == before


async def test_a_family_of_100_generations_ends_from_the_youngest_up() -> None:
    ended: list[int] = []

    async def generation(number: int) -> None:
        async with create_task_group() as tg:
            if number < GROUPS:
                tg.start_soon(generation, number + 1)
            else:
                await sleep(0)
        ended.append(number)

    await generation(1)
    assert ended == list(range(GROUPS, 0, -1))
