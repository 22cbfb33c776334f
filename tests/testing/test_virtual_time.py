"""Virtual time: the clock jumps, foreign code follows it, and nothing spins."""

from __future__ import annotations

import asyncio
import gc
import math
import time
from collections.abc import Coroutine
from typing import Any

import pytest
import trio

import creche
from _harness import on_each_simulated_loop
from creche import testing

YEAR = 365 * 86400.0
both = on_each_simulated_loop


@both
def test_a_sleep_of_a_year_with_a_timeout_in_it_takes_no_time(loop: str) -> None:
    async def main() -> list[float]:
        with creche.move_on_after(5) as scope:
            await creche.sleep(YEAR)
        assert scope.cancelled_caught
        times = [creche.current_time()]
        await creche.sleep(YEAR)
        return [*times, creche.current_time()]

    testing.run(main, backend=loop)  # what is made once for the process
    begun = time.process_time()
    for _ in range(10):
        assert testing.run(main, backend=loop) == [5.0, 5.0 + YEAR]
    assert (time.process_time() - begun) / 10 < 0.05


@both
def test_a_clock_far_ahead_does_not_spin_on_what_a_float_rounds_away(loop: str) -> None:
    async def main() -> int:
        await creche.sleep(1e9 * YEAR)
        deadline = math.nextafter(creche.current_time(), math.inf)
        rounds = 0
        while creche.current_time() < deadline:
            await creche.sleep_until(deadline)
            rounds += 1
        with pytest.raises(TimeoutError), creche.fail_after(60):
            await creche.sleep_forever()
        return rounds

    assert testing.run(main, backend=loop) == 1


@pytest.mark.parametrize("date", [YEAR, 1e9 * YEAR])
@both
def test_the_shortest_sleep_takes_time_at_any_date(loop: str, date: float) -> None:
    async def main() -> int:
        await creche.sleep(date)
        end = max(date + 5e-6, math.nextafter(date, math.inf))
        rounds = 0
        while creche.current_time() < end:
            await creche.sleep(1e-12)
            rounds += 1
        return rounds

    assert 1 <= testing.run(main, backend=loop) <= 6  # a microsecond each, or all at once


def test_foreign_sleeps_take_time_at_any_date() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        await asyncio.sleep(YEAR)
        begun = loop.time()
        await asyncio.sleep(1e-12)
        assert loop.time() > begun

    testing.run(main)


@pytest.mark.filterwarnings("error")
def test_foreign_tasks_that_are_left_behind_are_cancelled() -> None:
    ended: list[str] = []

    async def left() -> None:
        try:
            await asyncio.sleep(YEAR)
        finally:
            await asyncio.sleep(3)
            ended.append("left")

    async def main() -> int:
        ended.append(asyncio.create_task(left()).get_name())
        await creche.sleep(1)
        return 7

    assert testing.run(main) == 7
    assert ended[1:] == ["left"]


def test_a_foreign_task_that_will_not_end_is_an_error_and_no_endless_run() -> None:
    async def stubborn() -> None:
        while True:
            try:
                await asyncio.sleep(1)
            except asyncio.CancelledError:
                pass

    async def main() -> None:
        tasks.add(asyncio.create_task(stubborn()))
        await creche.sleep(3)

    tasks: set[asyncio.Task[None]] = set()
    with pytest.raises(RuntimeError, match="did not end when it was cancelled"):
        testing.run(main)


def test_a_task_of_trios_own_that_will_not_end_is_an_error_and_no_endless_run() -> None:
    async def stubborn() -> None:
        with trio.CancelScope(shield=True):
            await trio.sleep_forever()

    async def main() -> None:
        trio.lowlevel.spawn_system_task(stubborn)
        await trio.sleep(3)

    with pytest.raises(BaseException) as caught:
        testing.run(main, backend="trio")
    assert "did not end when it was cancelled" in str(caught.value)
    gc.collect()


def test_foreign_code_on_asyncio_follows() -> None:
    async def main() -> tuple[float, list[str]]:
        loop = asyncio.get_running_loop()
        got: list[str] = []
        loop.call_later(3, got.append, f"later than {creche.current_time()}")
        loop.call_at(loop.time() + 2, got.append, "at")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(5):
                await asyncio.sleep(YEAR)
        await asyncio.wait_for(asyncio.sleep(3600), YEAR)
        return loop.time(), got

    assert testing.run(main) == (3605.0, ["at", "later than 0.0"])


def test_equal_deadlines_of_foreign_timers_fire_in_the_order_they_were_set() -> None:
    async def main() -> list[int]:
        loop = asyncio.get_running_loop()
        got: list[int] = []
        for number in range(50):
            loop.call_at(10.0 if number % 2 else 5.0, got.append, number)
        await creche.sleep(11)
        return got

    assert testing.run(main) == [*range(0, 50, 2), *range(1, 50, 2)]


@both
def test_equal_deadlines_fire_in_the_order_of_the_tasks(loop: str) -> None:
    async def main() -> list[int]:
        got: list[int] = []

        async def sleeper(number: int) -> None:
            with creche.move_on_after(7):
                await creche.sleep_forever()
            got.append(number)

        async with creche.create_task_group() as group:
            for number in range(50):
                group.start_soon(sleeper, number)
        return got

    assert testing.run(main, backend=loop) == list(range(50))


@both
def test_settle_returns_when_all_others_are_blocked(loop: str) -> None:
    async def main() -> list[str]:
        got: list[str] = []

        async def worker() -> None:
            for _ in range(300):
                await creche.lowlevel.checkpoint()
            got.append("worked")
            await creche.sleep(1)
            got.append("slept")

        async with creche.create_task_group() as group:
            group.start_soon(worker)
            await testing.settle()
            got.append(f"settled at {creche.current_time()}")
            await creche.wait_all_tasks_blocked()
            got.append("blocked")
        return got

    expected = ["worked", "settled at 0.0", "blocked", "slept"]
    assert testing.run(main, backend=loop) == expected
    assert testing.run(main, backend=loop, seed=1) == expected


@both
def test_two_tasks_that_settle_count_each_other_as_blocked(loop: str) -> None:
    async def main() -> list[int]:
        got: list[int] = []

        async def settler(number: int) -> None:
            await testing.settle()
            got.append(number)
            await creche.lowlevel.checkpoint()
            got.append(number)

        async with creche.create_task_group() as group:
            group.start_soon(settler, 0)
            group.start_soon(settler, 1)
        return got

    assert testing.run(main, backend=loop) == [0, 0, 1, 1]


@both
def test_a_task_that_is_cancelled_in_settle_leaves_nothing_behind(loop: str) -> None:
    async def main() -> None:
        async with creche.create_task_group() as group:
            task = group.start_soon(testing.settle)
            await creche.lowlevel.checkpoint()
            task.cancel()
            await testing.settle()
        with creche.CancelScope() as scope:
            scope.cancel()
            await testing.settle()
        assert scope.cancelled_caught

    testing.run(main, backend=loop)


async def test_settle_says_that_it_needs_a_simulated_run() -> None:
    with pytest.raises(RuntimeError, match="needs a simulated run"):
        await testing.settle()


async def test_a_simulated_run_inside_a_loop_is_refused() -> None:
    with pytest.raises(RuntimeError, match="Already running"):
        testing.run(creche.sleep, 0)


@both
def test_a_run_returns_and_raises_what_the_function_does(loop: str) -> None:
    async def main(value: int) -> int:
        if value < 0:
            raise KeyError(value)
        return value

    assert testing.run(main, 3, backend=loop) == 3
    with pytest.raises(KeyError):
        testing.run(main, -1, backend=loop)
    with pytest.raises(TypeError, match="to return an awaitable"):
        testing.run(lambda: 3, backend=loop)  # type: ignore[arg-type, return-value]


def test_uvloop_is_refused() -> None:
    with pytest.raises(ValueError, match="uvloop cannot be simulated"):
        testing.run(creche.sleep, 1, backend="uvloop")
    with pytest.raises(ValueError, match="uvloop cannot be simulated"):
        testing.virtual_time(backends=["uvloop"])
    with pytest.raises(ValueError, match="uvloop cannot be simulated"):
        testing.explore(backends=["asyncio", "uvloop"])
    with pytest.raises(LookupError, match="No such backend: curio"):
        testing.run(creche.sleep, 1, backend="curio")


def test_virtual_time_makes_a_plain_test_of_an_async_one() -> None:
    ran: list[type[BaseException]] = []

    @testing.virtual_time
    async def test(seconds: float) -> None:
        await creche.sleep(seconds)
        ran.append(creche.get_cancelled_exc_class())

    test(YEAR)
    assert len(set(ran)) == 2

    @testing.virtual_time(backends=["trio"])
    async def failing() -> None:
        await creche.sleep(1)
        assert creche.current_time() == 2

    with pytest.raises(AssertionError):
        failing()

    def wrong() -> Coroutine[Any, Any, None]:
        return creche.sleep(1)

    with pytest.raises(TypeError, match="goes on an async function"):
        testing.virtual_time(wrong)


@both
def test_a_run_that_never_ends_is_stopped(loop: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from creche.testing._run import simulate

    monkeypatch.setattr(simulate, "__kwdefaults__", {"traces": False, "limit": 500})

    async def main() -> None:
        while True:
            await creche.lowlevel.checkpoint()

    with pytest.raises(testing.SpinningError, match="500 steps while time stood still"):
        testing.run(main, backend=loop)
