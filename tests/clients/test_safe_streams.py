"""A Starlette endpoint that streams from a safe generator, whose clients go away, 1,000 times.

Each server is a process of its own, and fails the test if it prints a traceback.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from urllib.parse import urlsplit

import anyio
import httpx
import pytest
from serving import COMMANDS, Server, serving

CLIENTS = 1000


@pytest.fixture(scope="module", params=list(COMMANDS))
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    with serving(request.param, "rows:app") as server:
        yield server


async def visit(host: str, port: int) -> None:
    """Read some rows, and go away without a word."""
    async with await anyio.connect_tcp(host, port) as stream:
        await stream.send(b"GET /rows/ HTTP/1.1\r\nhost: localhost\r\n\r\n")
        seen = b""
        while b"row 2" not in seen:
            seen += await stream.receive()


async def test_nothing_is_left_when_a_thousand_clients_go_away(server: Server) -> None:
    address = urlsplit(server.url)
    assert address.hostname is not None
    assert address.port is not None
    async with httpx.AsyncClient(base_url=server.url, timeout=30, trust_env=False) as client:
        opened: int = (await client.get("/state")).json()["opened"]  # by other backends
        await visit(address.hostname, address.port)
        before = await settled(client, opened + 1)
        for _ in range(CLIENTS // 20):
            async with anyio.create_task_group() as group:
                for _ in range(20):
                    group.start_soon(visit, address.hostname, address.port)
        await settled(client, before["opened"] + CLIENTS, before["tasks"])


async def settled(
    client: httpx.AsyncClient, opened: int, tasks: float = math.inf
) -> dict[str, int]:
    """Wait until so many streams were opened, all are closed, and no more tasks run than `tasks`.

    The server may need a moment for its own tasks of a connection.
    """
    with anyio.fail_after(30):
        while True:
            state: dict[str, int] = (await client.get("/state")).json()
            if state["opened"] == state["closed"] == opened and state["tasks"] <= tasks:
                return state
            await anyio.sleep(0.02)
