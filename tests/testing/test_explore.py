"""Exploring schedules: which are tried, what may change places, and what is shown of a failure."""

from __future__ import annotations

import pytest
from _bugs import kept_update, race

import creche
from _harness import on_each_simulated_loop
from creche import testing
from creche.testing._run import simulate
from creche.testing._schedules import make, strategy

both = on_each_simulated_loop


def test_both_backends_come_to_the_same_choices() -> None:
    for number in range(20):
        one = simulate(race, (), "asyncio", make("random", number, 0))
        other = simulate(race, (), "trio", make("random", number, 0))
        assert (one.result, one.choices, one.check) == (other.result, other.choices, other.check)


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
