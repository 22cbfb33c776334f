"""An MCP client and server: in one process, over stdio, and over streamable HTTP.

Over stdio the server is a process that the client starts and ends; over HTTP it runs under uvicorn.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest
from mcp import Client, StdioServerParameters
from serving import APPS, serving

TRANSPORTS = ("memory", "stdio", "http")


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with serving("uvicorn-asyncio", "tools:app") as server:
        yield f"{server.url}/mcp"


@asynccontextmanager
async def connected(transport: str, url: str) -> AsyncIterator[Client]:
    import tools

    stdio = StdioServerParameters(
        command=sys.executable, args=[str(APPS / "tools.py")], env=dict(os.environ)
    )
    target: Any = {"memory": tools.mcp, "stdio": stdio, "http": url}[transport]
    async with Client(target) as client:
        yield client


def text_of(result: Any) -> str:
    return str(result.content[0].text)


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_the_server_runs_on_the_same_library(transport: str, url: str, library: str) -> None:
    async with connected(transport, url) as client:
        found = json.loads(text_of(await client.call_tool("where", {})))
    assert found["library"] == library


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_tools_and_resources_are_listed_called_and_read(transport: str, url: str) -> None:
    async with connected(transport, url) as client:
        names = {tool.name for tool in (await client.list_tools()).tools}
        total = await client.call_tool("add", {"a": 2, "b": 3})
        read = await client.read_resource("greeting://world")
    assert names == {"add", "where", "count", "rest"}
    assert total.structured_content == {"result": 5}
    assert [getattr(part, "text", None) for part in read.contents] == ["Hello, world!"]


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_many_calls_at_once_get_each_its_answer(transport: str, url: str) -> None:
    answers: dict[int, Any] = {}

    async def call(client: Client, number: int) -> None:
        result = await client.call_tool("add", {"a": number, "b": number})
        answers[number] = result.structured_content

    async with connected(transport, url) as client:
        async with anyio.create_task_group() as group:
            for number in range(20):
                group.start_soon(call, client, number)
    assert answers == {number: {"result": 2 * number} for number in range(20)}


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_progress_arrives_before_the_result(transport: str, url: str) -> None:
    seen: list[float] = []

    async def progress(progress: float, total: float | None, message: str | None) -> None:
        seen.append(progress)

    async with connected(transport, url) as client:
        result = await client.call_tool("count", {"upto": 5}, progress_callback=progress)
    assert text_of(result) == "counted to 5"
    assert sorted(seen) == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_call_that_is_given_up_leaves_a_session_that_works(
    transport: str, url: str
) -> None:
    async with connected(transport, url) as client:
        with anyio.move_on_after(0.2) as scope:
            await client.call_tool("rest", {})
        assert scope.cancelled_caught
        total = await client.call_tool("add", {"a": 20, "b": 22})
    assert total.structured_content == {"result": 42}
