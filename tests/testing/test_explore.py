"""Exploring schedules: planted bugs are found, correct code passes, failures are shrunk."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

import pytest

import creche
from creche import testing
from creche.testing.run import simulate
from creche.testing.schedules import make, strategy

both = pytest.mark.parametrize("loop", ["asyncio", "trio"])
Main = Callable[[], Coroutine[Any, Any, Any]]


async def race() -> int:
    count = 0

    async def add() -> None:
        nonlocal count
        seen = count
        await creche.lowlevel.checkpoint()
        count = seen + 1

    async with creche.create_task_group() as group:
        for _ in range(3):
            group.start_soon(add)
    return count


async def lost_update() -> None:
    assert await race() == 3


async def kept_update() -> None:
    lock, count = creche.Lock(), 0

    async def add() -> None:
        nonlocal count
        async with lock:
            seen = count
            await creche.lowlevel.checkpoint()
            count = seen + 1

    async with creche.create_task_group() as group:
        for _ in range(3):
            group.start_soon(add)
    assert count == 3


async def inversion() -> None:
    db, cache = creche.Lock(), creche.Lock()

    async def worker(first: creche.Lock, second: creche.Lock) -> None:
        async with first:
            await creche.lowlevel.checkpoint()
            async with second:
                pass

    async with creche.create_task_group() as group:
        group.start_soon(worker, db, cache)
        await creche.lowlevel.checkpoint()
        await creche.lowlevel.checkpoint()
        group.start_soon(worker, cache, db)


async def missed_notify() -> None:
    condition, items = creche.Condition(), list[int]()

    async def consume() -> None:
        if not items:  # Looks before it has the lock: the notify may come in between.
            await creche.lowlevel.checkpoint()
            async with condition:
                await condition.wait()
        items.pop()

    async def produce() -> None:
        async with condition:
            items.append(1)
            condition.notify()

    async with creche.create_task_group() as group:
        group.start_soon(consume)
        group.start_soon(produce)


async def check_then_act() -> None:
    limiter = creche.CapacityLimiter(1)

    async def use() -> None:
        if limiter.available_tokens:
            await creche.lowlevel.checkpoint()
            limiter.acquire_nowait()
            await creche.lowlevel.checkpoint()
            limiter.release()

    async with creche.create_task_group() as group:
        group.start_soon(use)
        group.start_soon(use)


def depth_three(steps: int = 16) -> Main:
    """One task has to stop early, another to run for long, then the first again, for long."""

    async def main() -> None:
        one_did = other_did = 0
        met = False

        async def one() -> None:
            nonlocal one_did
            for _ in range(steps):
                await creche.lowlevel.checkpoint()
                one_did += 1
            assert not (met and other_did < steps + 5)

        async def other() -> None:
            nonlocal other_did, met
            for _ in range(2 * steps):
                await creche.lowlevel.checkpoint()
                other_did += 1
                if other_did == steps:
                    met = 1 <= one_did < 5

        async with creche.create_task_group() as group:
            group.start_soon(one)
            group.start_soon(other)

    return main


@both
def test_three_hundred_random_schedules_show_all_outcomes_of_a_race(loop: str) -> None:
    seen = {simulate(race, (), loop, make("random", number, 0)).result for number in range(300)}
    assert seen == {1, 2, 3}


def test_both_backends_come_to_the_same_choices() -> None:
    for number in range(20):
        one = simulate(race, (), "asyncio", make("random", number, 0))
        other = simulate(race, (), "trio", make("random", number, 0))
        assert (one.result, one.choices, one.check) == (other.result, other.choices, other.check)


@both
@pytest.mark.parametrize(
    ("bug", "error"),
    [
        (lost_update, AssertionError),
        (inversion, testing.DeadlockError),
        (missed_notify, testing.DeadlockError),
        (check_then_act, ExceptionGroup),
    ],
    ids=lambda value: value.__name__,
)
def test_a_planted_bug_is_found_shrunk_and_shown(
    bug: Main, error: type[Exception], loop: str
) -> None:
    with pytest.raises(error) as caught:
        testing.explore(backends=[loop])(bug)()
    found, interleaving = caught.value.__notes__
    token = found.rpartition("'")[0].rpartition("'")[2]
    assert len(token) < 40
    assert "test_explore.py:" in interleaving
    with pytest.raises(error):
        testing.replay(bug, token)


@both
@pytest.mark.parametrize("kind", ["auto", "pct:3", "dfs:2"])
def test_correct_code_passes(loop: str, kind: str) -> None:
    testing.explore(runs=100, strategy=kind, backends=[loop])(kept_update)()


@pytest.mark.soak
@pytest.mark.time_limit(600)
@both
def test_correct_code_passes_thousands_of_schedules(loop: str) -> None:
    testing.explore(runs=5000, backends=[loop])(kept_update)()


def test_pct_finds_what_plain_random_rarely_does() -> None:
    def found(kind: str) -> int:
        plan, main, count = strategy(kind, 1), depth_three(), 0
        for number in range(1000):
            schedule = plan.schedule(number)
            assert schedule is not None
            outcome = simulate(main, (), "asyncio", schedule)
            plan.learn(outcome.choices)
            count += outcome.error is not None
        return count

    assert found("pct:3") > 3 * found("random") + 1


def test_depth_first_search_tries_every_schedule_once_and_ends() -> None:
    plan, results, tried = strategy("dfs", 0), list[int](), set[tuple[int, ...]]()
    while (schedule := plan.schedule(len(results))) is not None:
        outcome = simulate(race, (), "asyncio", schedule)
        results.append(outcome.result)
        tried.add(tuple(outcome.choices))
    assert len(results) == len(tried) == 90  # 6 steps, two of each of three tasks
    assert [results.count(value) for value in (1, 2, 3)] == [48, 36, 6]


def test_bounded_depth_first_search_leaves_the_order_of_the_loop_so_often() -> None:
    plan, number = strategy("dfs:1", 0), 0
    while (schedule := plan.schedule(number)) is not None:
        outcome = simulate(race, (), "asyncio", schedule)
        assert sum(map(bool, outcome.choices)) <= 1
        number += 1
    assert 5 < number < 20


def test_fifo_is_the_order_of_the_loop() -> None:
    outcome = simulate(race, (), "asyncio", make("fifo", 0, 0))
    assert set(outcome.choices) == {0}


@both
def test_a_task_that_waits_in_a_loop_does_not_starve_the_others_under_pct(loop: str) -> None:
    async def main() -> None:
        ready = False

        async def spin() -> None:
            while not ready:
                await creche.sleep(0)

        async def help_out() -> None:
            nonlocal ready
            await creche.lowlevel.checkpoint()
            ready = True

        async with creche.create_task_group() as group:
            group.start_soon(spin)
            group.start_soon(help_out)

    testing.explore(runs=30, strategy="pct:3", backends=[loop])(main)()


def test_callbacks_of_the_loop_keep_their_order() -> None:
    import asyncio

    async def main() -> None:
        loop, got = asyncio.get_running_loop(), list[int]()

        async def step(number: int) -> None:
            loop.call_soon(got.append, number)
            loop.call_soon(got.append, -number)
            await creche.lowlevel.checkpoint()
            assert number in got

        async with creche.create_task_group() as group:
            for number in range(1, 5):
                group.start_soon(step, number)
        await creche.sleep(1)
        assert got[1::2] == [-number for number in got[::2]]

    testing.explore(backends=["asyncio"])(main)()


def test_wrong_arguments_are_refused_at_once() -> None:
    with pytest.raises(ValueError, match="unknown strategy 'pct'"):
        testing.explore(strategy="pct")
    with pytest.raises(ValueError, match="runs must be 1 or more"):
        testing.explore(runs=0)
    with pytest.raises(TypeError, match="goes on an async function"):
        testing.explore()(lambda: race())


@testing.explore(runs=20)
async def test_an_explored_test_is_a_plain_test_with_fixtures(tmp_path: object) -> None:
    assert tmp_path is not None
    await kept_update()
