"""Maps over a cluster: how much is pulled, order, errors, leaving early."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Iterator

import _called
import pytest
from _machines import Machines, opened

from creche import current_time, move_on_after
from creche.cluster import Placement, open_cluster
from creche.flow import RateLimiter

pytestmark = pytest.mark.soak  # starts processes of Dask: minutes on a small machine

THREADS = Placement(threads=True)


async def test_results_come_in_order_if_asked_for_and_from_endless_sources(
    machines: Machines,
) -> None:
    pulled: list[int] = []

    def endless() -> Iterator[int]:
        for number in itertools.count():
            pulled.append(number)
            yield -number

    taken = 0
    async with opened(machines, 2) as cluster:
        async with cluster.map(abs, endless(), at_most=8, ordered=True) as results:
            async for result in results:
                assert result == taken
                taken += 1
                assert len(pulled) <= taken + 8
                if taken == 100:
                    break
        assert results.running == 0 and results.total is None
        assert cluster.calls() == []


async def test_an_async_source_is_closed_when_the_block_is_left(machines: Machines) -> None:
    closed: list[bool] = []

    class Source:
        async def __aiter__(self) -> AsyncIterator[int]:
            try:
                for number in itertools.count():
                    yield number
            finally:
                closed.append(True)

    async with opened(machines, 2) as cluster:
        async with cluster.map(abs, Source(), placement=THREADS) as results:
            async for result in results:
                if result > 3:
                    break
    assert closed == [True]


async def test_progress_can_be_read(machines: Machines) -> None:
    async with opened(machines, 2) as cluster:
        async with cluster.map(abs, [-1, -2, -3], at_most=2) as results:
            assert results.total == 3
            assert {result async for result in results} == {1, 2, 3}
        assert (results.done, results.failed, results.running) == (3, 0, 0)


async def test_an_error_comes_out_of_the_iteration_when_the_others_have_ended(
    machines: Machines,
) -> None:
    async with opened(machines, 2) as cluster:
        async with cluster.map(_called.fail_or_nap, ["nap", "fail"], grace=(0, 0)) as results:
            with pytest.raises(KeyError, match="fail"):
                async for _ in results:
                    pytest.fail("there is no result")
            assert cluster.calls() == []


async def test_an_error_that_nobody_has_read_comes_out_of_the_block(machines: Machines) -> None:
    async with opened(machines, 2) as cluster:
        with pytest.raises(KeyError):
            async with cluster.map(_called.fail_or_nap, ["fail"]) as results:
                while not results.failed:
                    await cluster.run_sync(abs, 1)


async def test_a_cancelled_map_leaves_nothing(machines: Machines) -> None:
    async with opened(machines, 2) as cluster:
        with move_on_after(0.3) as scope:
            async with cluster.map(_called.nap, [60.0, 60.0, 60.0], grace=(0, 0)) as results:
                async for _ in results:
                    pytest.fail("there is no result")
        assert scope.cancelled_caught
        assert cluster.calls() == []


async def test_errors_can_be_returned_with_their_items(machines: Machines) -> None:
    async with opened(machines, 2) as cluster:
        async with cluster.map(int, ["1", "x", "3"], ordered=True, errors="return") as results:
            pairs = [pair async for pair in results]
        assert [item for item, _ in pairs] == ["1", "x", "3"]
        assert [outcome.error is None for _, outcome in pairs] == [True, False, True]
        assert (results.done, results.failed) == (3, 1)
        with pytest.raises(ValueError, match="'x'"):
            _ = pairs[1][1].value


async def test_calls_start_at_a_rate(machines: Machines) -> None:
    async with opened(machines, 2) as cluster:
        begin = current_time()
        async with cluster.map(abs, range(-13, 0), per_second=RateLimiter(20, burst=1)) as results:
            assert {result async for result in results} == set(range(1, 14))
        assert current_time() - begin > 12 / 20 - 0.05


async def test_bad_arguments_of_a_map_are_refused_at_once(machines: Machines) -> None:
    async with opened(machines, 2) as cluster:
        with pytest.raises(ValueError, match="at_most must be"):
            cluster.map(abs, [], at_most=0)
        with pytest.raises(TypeError, match="at_most must be an int"):
            cluster.map(abs, [], at_most="4")  # type: ignore[call-overload]
        with pytest.raises(ValueError, match="errors must be"):
            cluster.map(abs, [], errors="ignore")  # type: ignore[call-overload]
        with pytest.raises(TypeError, match="items must be"):
            cluster.map(abs, 3)  # type: ignore[call-overload]
        with pytest.raises(TypeError, match="func must be"):
            cluster.map(3, [])  # type: ignore[call-overload]
        with pytest.raises(RuntimeError, match=r"with cluster\.map\(abs\) as results"):
            await anext(cluster.map(abs, [-1]))


@pytest.mark.soak
@pytest.mark.time_limit(600)
async def test_twenty_thousand_items_in_flat_memory() -> None:
    import resource

    pulled = taken = high = 0

    def items() -> Iterator[int]:
        nonlocal pulled
        for number in range(20_000):
            pulled += 1
            yield -number

    async with open_cluster(slots=4) as cluster:
        async with cluster.map(abs, items(), at_most=32, placement=THREADS) as results:
            async for _ in results:
                taken += 1
                assert pulled <= taken + 33
                if taken == 4_000:
                    high = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        assert taken == 20_000
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - high < 40_000, "in kilobytes"
