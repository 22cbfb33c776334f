"""`RateLimiter`: exact times in virtual time, fairness, cancellation, and loops with other clocks."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import creche
from creche import (
    CancelScope,
    WouldBlock,
    create_task_group,
    current_time,
    move_on_after,
    sleep,
    wait_all_tasks_blocked,
)
from creche.flow import RateLimiter
from creche.flow import RateLimiterStatistics as Statistics
from creche.testing import assert_checkpoints, assert_no_checkpoints, virtual_time


async def passages(limiter: RateLimiter, number: int) -> list[float]:
    """Pass so many times, one after the other; return when."""
    times: list[float] = []
    for _ in range(number):
        async with limiter:
            times.append(current_time())
    return times


@virtual_time
async def test_tokens_come_at_exact_times_and_nothing_adds_up() -> None:
    begin = current_time()
    assert await passages(RateLimiter(10), 200) == [begin + n / 10 for n in range(200)]


@virtual_time
async def test_a_burst_passes_at_once_and_then_the_rate_holds() -> None:
    begin = current_time()
    times = await passages(RateLimiter(4, burst=3), 6)
    assert times == [begin, begin, begin, begin + 0.25, begin + 0.5, begin + 0.75]


@virtual_time
async def test_a_pause_saves_up_a_burst_and_no_more() -> None:
    limiter = RateLimiter(2, burst=2)
    await passages(limiter, 3)
    await sleep(100)
    begin = current_time()
    assert await passages(limiter, 4) == [begin, begin, begin + 0.5, begin + 1]


@virtual_time
async def test_half_a_pause_saves_up_half() -> None:
    limiter = RateLimiter(1, burst=4)
    await passages(limiter, 4)
    await sleep(2.5)
    begin = current_time()
    assert await passages(limiter, 4) == [begin, begin, begin + 0.5, begin + 1.5]


@virtual_time
async def test_first_come_first_served_and_the_cancelled_take_nothing() -> None:
    limiter = RateLimiter(1)
    passed: list[tuple[int, float]] = []
    scopes = [CancelScope() for _ in range(5)]

    async def visit(number: int) -> None:
        with scopes[number]:
            async with limiter:
                passed.append((number, current_time() - begin))

    begin = current_time()
    async with create_task_group() as group:
        for number in range(5):
            group.start_soon(visit, number)
        await sleep(0.5)
        assert limiter.statistics() == Statistics(0, 1, 4)
        scopes[1].cancel()  # sleeps until its token is due
        scopes[3].cancel()  # waits in line
    assert passed == [(0, 0), (2, 1), (4, 2)]


@virtual_time
async def test_a_timeout_leaves_the_token_for_the_next() -> None:
    limiter = RateLimiter(1)
    begin = current_time()
    await limiter.acquire()
    for _ in range(3):
        with move_on_after(0.25) as scope:
            await limiter.acquire()
        assert scope.cancelled_caught
    await limiter.acquire()
    assert current_time() == begin + 1


@virtual_time
async def test_nobody_steps_in_front_of_those_who_wait() -> None:
    limiter = RateLimiter(1, burst=1)
    await limiter.acquire()
    async with create_task_group() as group:
        group.start_soon(limiter.acquire)
        await wait_all_tasks_blocked()
        with pytest.raises(WouldBlock):
            limiter.acquire_nowait()
        await sleep(2)
        limiter.acquire_nowait()
        with pytest.raises(WouldBlock):
            limiter.acquire_nowait()


@virtual_time
async def test_the_statistics_count_what_is_there() -> None:
    limiter = RateLimiter(10, burst=3)
    assert limiter.statistics() == Statistics(3, 3, 0)
    limiter.acquire_nowait()
    limiter.acquire_nowait()
    assert limiter.statistics() == Statistics(1, 3, 0)
    await sleep(0.15)
    assert limiter.statistics() == Statistics(2, 3, 0)
    await sleep(100)
    assert limiter.statistics() == Statistics(3, 3, 0)
    assert (limiter.per_second, limiter.burst) == (10, 3)


async def test_acquire_is_a_checkpoint_and_the_rest_is_none() -> None:
    limiter = RateLimiter(1000, burst=10)
    with assert_checkpoints():
        await limiter.acquire()
    with assert_no_checkpoints():
        limiter.acquire_nowait()
        limiter.statistics()
        await limiter.__aexit__(None, None, None)


async def test_a_cancelled_acquire_takes_no_token() -> None:
    limiter = RateLimiter(0.001)
    with CancelScope() as scope:
        scope.cancel()
        await limiter.acquire()
    assert scope.cancelled_caught
    limiter.acquire_nowait()


def test_a_limiter_serves_one_loop_after_another_whatever_their_clocks_say() -> None:
    limiter = RateLimiter(1, burst=2)

    async def visit() -> None:
        with creche.fail_after(5):
            await limiter.acquire()

    for backend in ("trio", "asyncio", "trio"):
        creche.run(visit, backend=backend)
    creche.testing.run(visit)  # whose clock begins at 0
    creche.testing.run(visit, backend="trio")


@virtual_time
async def test_a_late_loop_keeps_the_rate_and_a_very_late_one_saves_nothing_up() -> None:
    from creche._flow.rates import Bucket

    bucket = Bucket(10, 1)
    bucket.take(0.0)
    assert bucket.due(0.01) == 0.1
    bucket.take(0.1)  # though it is 0.15 by now
    assert bucket.due(0.15) == 0.2
    bucket.take(5.0)
    assert bucket.due(5.0) == 5.1


@given(
    st.floats(0.1, 1000),
    st.integers(1, 5),
    st.lists(st.floats(0, 3), min_size=1, max_size=50),
)
def test_no_window_has_more_than_its_share(rate: float, burst: int, pauses: list[float]) -> None:
    from creche._flow.rates import Bucket

    bucket, now, times = Bucket(rate, burst), 0.0, list[float]()
    for pause in pauses:
        now = max(now + pause / rate, bucket.due(now + pause / rate))
        bucket.take(now)
        times.append(now)
    for first in range(len(times)):
        for last in range(first, len(times)):
            window = times[last] - times[first]
            assert last - first + 1 <= burst + window * rate + 1e-6


def test_bad_arguments_are_refused() -> None:
    wrong: Any = "1"
    with pytest.raises(TypeError, match="per_second must be a number, not '1'"):
        RateLimiter(wrong)
    for rate in (0, -1, float("inf"), float("nan")):
        with pytest.raises(ValueError, match="per_second must be a finite number above 0"):
            RateLimiter(rate)
    with pytest.raises(TypeError, match="burst must be an int, not '1'"):
        RateLimiter(1, wrong)
    with pytest.raises(ValueError, match="burst must be 1 or more, not 0"):
        RateLimiter(1, 0)


def test_the_repr_tells_the_rate() -> None:
    assert repr(RateLimiter(2.5, 3)) == "<RateLimiter 2.5 per second, burst 3>"
    assert repr(RateLimiter(1, name="api")) == "<RateLimiter 'api' 1 per second, burst 1>"
