"""What type checkers make of clusters and executors."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor
from typing import assert_type

from creche import to_executor
from creche.cluster import Cluster, Placement, RemoteCall, WorkerInfo, open_cluster
from creche.flow import Outcome


def length(text: str) -> int:
    return len(text)


async def length_async(text: str) -> int:
    return len(text)


async def calls() -> None:
    async with open_cluster(slots=2) as cluster:
        assert_type(cluster, Cluster)
        assert_type(await cluster.run_sync(length, "text"), int)
        assert_type(await cluster.run_sync(length, "text", grace=(0, 1), retries=2), int)
        assert_type(await cluster.run(length_async, "text", placement=Placement(["w"])), int)
        assert_type(cluster.workers, Sequence[WorkerInfo])
        assert_type(cluster.calls(), Sequence[RemoteCall])
        async with cluster.map(length, ["a", "b"], at_most=3) as results:
            assert_type([each async for each in results], list[int])
            assert_type(results.total, int | None)
        async with cluster.map(length, ["a"], errors="return", per_second=5) as outcomes:
            assert_type([each async for each in outcomes], list[tuple[str, Outcome[int]]])
        await cluster.run_sync(length, 3)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


async def executors(executor: Executor) -> None:
    assert_type(await to_executor.run_sync(executor, length, "text"), int)
    await to_executor.run_sync(executor, length, 3)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
