"""Clients held in a resource group: opened in one task, closed in another, in any order, under cancels.

The MCP SDK's clients over stdio and HTTP, httpx, and a context manager with a task group in it, a
thousand times each on each loop (a hundred times, unless soaked): no error, and no task, process or
descriptor is left.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from random import Random
from typing import Any

import anyio
import httpx
import pytest
from mcp import Client, StdioServerParameters
from serving import APPS, serving

import creche
from creche.services import ResourceGroup, create_resource_group

KINDS = ("group", "httpx", "mcp-http", "mcp-stdio")
ROUNDS = (100, pytest.param(1_000, marks=pytest.mark.soak))
AT_ONCE = 10
SERVER = APPS / "small_tools.py"


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with serving("uvicorn-asyncio", "tools:app") as server:
        yield f"{server.url}/mcp"


@asynccontextmanager
async def holding_a_group() -> AsyncIterator[int]:
    async with anyio.create_task_group() as tg:
        tg.start_soon(anyio.sleep_forever)
        await anyio.lowlevel.checkpoint()
        yield 1
        tg.cancel_scope.cancel()


Make = Callable[[], AbstractAsyncContextManager[Any]]


def maker(kind: str, url: str) -> Make:
    stdio = StdioServerParameters(
        command=sys.executable, args=["-I", "-S", str(SERVER)], env=dict(os.environ)
    )
    return {
        "group": holding_a_group,
        "httpx": lambda: httpx.AsyncClient(base_url=url),
        "mcp-http": lambda: Client(url),
        "mcp-stdio": lambda: Client(stdio),
    }[kind]


async def use(kind: str, value: Any) -> None:
    if kind.startswith("mcp"):
        assert (await value.call_tool("add", {"a": 2, "b": 3})).structured_content == {"result": 5}
    elif kind == "httpx":
        await value.get("/none")


async def one_batch(kind: str, make: Make, random: Random, resources: ResourceGroup) -> None:
    """Open some in a task each, cancel some as they open, use and leave the others in any order."""
    managers = [make() for _ in range(AT_ONCE)]
    open_ones: list[tuple[Any, Any]] = []

    async def enter(manager: Any, seconds: float) -> None:
        with anyio.move_on_after(seconds) as scope:
            value = await resources.enter(manager)
            open_ones.append((manager, value))
        assert scope.cancelled_caught or any(manager is one for one, _ in open_ones)

    async def leave(manager: Any, value: Any, cancelled: bool) -> None:
        with anyio.CancelScope() as scope:
            if cancelled:
                scope.cancel()
            await resources.leave(manager)

    async with anyio.create_task_group() as tg:
        for manager in managers:
            tg.start_soon(enter, manager, random.choice([0, 0.001, 0.05, 60]))
    random.shuffle(open_ones)
    if open_ones:
        await use(kind, open_ones[0][1])
    left_to_the_group = len(open_ones) // 4
    async with anyio.create_task_group() as tg:
        for manager, value in open_ones[left_to_the_group:]:
            tg.start_soon(leave, manager, value, random.random() < 0.3)


def children_left() -> str:
    return subprocess.run(
        ["pgrep", "-P", str(os.getpid()), "-f", SERVER.name],
        capture_output=True,
        text=True,
        check=False,
    ).stdout


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


@pytest.mark.parametrize("rounds", ROUNDS)
@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_left(kind: str, rounds: int, url: str, backend: str) -> None:
    random = Random(kind)
    make = maker(kind, url)
    tasks_left: list[str] = []

    async def main(batches: int) -> None:
        before = len(creche.get_running_tasks())
        for number in range(batches):
            if number % 2:
                async with create_resource_group() as resources:
                    await one_batch(kind, make, random, resources)
            else:
                resources = await ResourceGroup.open()
                await one_batch(kind, make, random, resources)
                async with anyio.create_task_group() as tg:
                    tg.start_soon(resources.aclose)
        for _ in range(1_000):  # ten seconds, on a machine that is very busy
            await anyio.sleep(0.01)
            if len(creche.get_running_tasks()) <= before:
                break
        else:
            tasks_left.extend(str(task.name) for task in creche.get_running_tasks())

    options: dict[str, Any] = {"backend": "trio" if backend == "trio" else "asyncio"}
    if backend == "uvloop":
        options["backend_options"] = {"use_uvloop": True}
    anyio.run(main, 1, **options)  # what is loaded and opened once for the process
    before, servers = descriptors(), children_left()
    anyio.run(main, rounds // AT_ONCE, **options)
    assert tasks_left == []
    assert descriptors() <= before
    assert children_left() == servers
