"""sse-starlette: events in order, pings from a task of their own, and a client that goes."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from serving import Server, serving


@pytest.fixture(scope="module", params=["uvicorn-asyncio", "uvicorn-uvloop", "hypercorn-trio"])
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    with serving(request.param, "events:app") as server:
        yield server


def client_of(server: Server) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=server.url, timeout=30, trust_env=False)


async def test_events_arrive_in_order_and_the_stream_ends(server: Server) -> None:
    async with client_of(server) as client:
        response = await client.get("/events/20")
    blocks = response.text.replace("\r\n", "\n").strip().split("\n\n")
    assert blocks == [f"id: {number}\nevent: number\ndata: {number}" for number in range(20)]
    assert response.headers["content-type"].startswith("text/event-stream")


async def test_pings_come_until_the_client_goes(server: Server, backend: str) -> None:
    async with client_of(server) as client:
        async with client.stream("GET", f"/pings/{backend}") as response:
            lines = response.aiter_lines()
            seen = [await anext(lines) for _ in range(4)]
        assert [line[:6] for line in seen] == [": ping", "", ": ping", ""]
        ended = await client.get(f"/pings/{backend}/ended")
    assert ended.json() == {"ended": True}
