"""`TestProbe` and `Probe`: what only tests ask of a kernel, on every one of them."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from functools import partial
from math import inf
from typing import Any

import pytest
from _kernel_parts import Group, cancel, entered, let_run, times_given_way

from _harness import on_every_backend
from creche._kernel import current_task
from creche._kernel.contract import BUDGET, Task
from creche._kernel.probing import CheckpointsSeen

pytestmark = on_every_backend

NOTHING = CheckpointsSeen(any_part=False, whole=False)
PART = CheckpointsSeen(any_part=True, whole=False)
WHOLE = CheckpointsSeen(any_part=True, whole=True)


async def nothing(task: Task) -> None:
    pass


async def a_wait(task: Task) -> None:
    waiter = task.make_waiter()
    task.kernel.call_soon_threadsafe(waiter.set_result, None)
    await task.wait(waiter)


async def a_firm_wait(task: Task) -> None:
    waiter = task.make_firm_waiter()
    task.kernel.call_soon_threadsafe(waiter.set_result, None)
    await waiter.wait()


async def a_spent_budget(task: Task) -> None:
    task.spend(BUDGET)
    await task.ready_checkpoint()


async def a_cancelled_checkpoint(task: Task) -> None:
    with entered() as scope:
        cancel(scope)
        await task.checkpoint()


SEEN: list[tuple[Callable[[Task], Awaitable[object]], CheckpointsSeen]] = [
    (nothing, NOTHING),
    (lambda task: task.checkpoint(), WHOLE),
    (lambda task: task.ready_checkpoint(), WHOLE),
    (lambda task: task.ready_checkpoint(0), WHOLE),
    (a_spent_budget, WHOLE),
    (lambda task: task.checkpoint_if_cancelled(), PART),
    (lambda task: task.cancel_shielded_checkpoint(), PART),
    (lambda task: task.kernel.sleep_until(-inf), WHOLE),
    (a_wait, WHOLE),
    (a_cancelled_checkpoint, WHOLE),
]
NAMES = [
    "nothing",
    "checkpoint",
    "ready",
    "free",
    "spent",
    "if-cancelled",
    "shielded",
    "sleep",
    "wait",
    "cancelled",
]


async def seen(act: Callable[[Task], Awaitable[object]]) -> CheckpointsSeen:
    task = current_task()
    probe = task.kernel.test_probe.watch(task)
    try:
        await act(task)
    finally:
        found = probe.end()
    return found


@pytest.mark.parametrize(("act", "expected"), SEEN, ids=NAMES)
async def test_a_probe_sees_what_a_task_has_come_to(
    act: Callable[[Task], Awaitable[object]], expected: CheckpointsSeen
) -> None:
    assert await seen(act) == expected


async def test_a_probe_sees_a_firm_wait() -> None:
    assert (await seen(a_firm_wait)).any_part  # On Trio it counts as a whole one.


async def test_a_probe_sees_only_what_comes_before_its_end() -> None:
    task = current_task()
    await task.checkpoint()
    probe = task.kernel.test_probe.watch(task)
    found = probe.end()
    await task.checkpoint()
    assert found == NOTHING


async def test_probes_end_in_the_reverse_of_their_order_and_each_has_its_part() -> None:
    task = current_task()
    probes = task.kernel.test_probe
    outer = probes.watch(task)
    await task.checkpoint_if_cancelled()
    inner = probes.watch(task)
    assert inner.end() == NOTHING
    inner = probes.watch(task)
    await task.ready_checkpoint()
    assert inner.end() == WHOLE
    assert outer.end() == WHOLE


async def test_a_probe_watches_one_task_alone() -> None:
    task = current_task()
    others: list[CheckpointsSeen] = []

    async def other() -> None:
        others.append(await seen(nothing))
        await current_task().checkpoint()

    group = Group()
    group.spawn(other)
    probe = task.kernel.test_probe.watch(task)
    await let_run()
    assert probe.end() == PART
    await group.close()
    assert others == [NOTHING]


async def test_the_budget_is_what_it_was_but_for_what_was_spent() -> None:
    async def spend(left: int) -> None:
        await ready_checkpoints(BUDGET // 2)
        await seen(lambda task: task.ready_checkpoint(BUDGET // 4))
        await ready_checkpoints(left)

    assert await times_given_way(partial(spend, BUDGET // 4)) == 0
    assert await times_given_way(partial(spend, BUDGET // 4 + 1)) == 1


async def ready_checkpoints(number: int) -> None:
    for _ in range(number):
        await current_task().ready_checkpoint()


async def test_a_budget_that_was_used_up_lets_others_run_at_the_next_checkpoint() -> None:
    async def act() -> None:
        task = current_task()
        task.kernel.test_probe.use_up(task)
        await ready_checkpoints(1)

    assert await times_given_way(partial(ready_checkpoints, 1)) == 0
    assert await times_given_way(act) == 1


async def test_a_kernel_knows_the_descriptors_that_it_has_opened_for_itself() -> None:
    kernel = current_task().kernel
    waiter = current_task().make_waiter()
    kernel.call_soon_threadsafe(waiter.set_result, None)  # What it may open for that is open now.
    await current_task().wait(waiter)
    own: Any = kernel.test_probe.own_descriptors()
    for fd in own:
        os.fstat(fd)
