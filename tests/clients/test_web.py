"""httpx against a Starlette application, under uvicorn and under hypercorn, on every loop.

The client runs on each backend in this process; the servers are processes of their own, started
once for all tests.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import anyio
import httpx
import pytest
from serving import COMMANDS, Server, serving

APP = Path(__file__).parent / "apps" / "web.py"


@pytest.fixture(scope="module", params=list(COMMANDS))
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    with serving(request.param, "web:app") as server:
        yield server


def client_of(server: Server) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=server.url, timeout=30, trust_env=False)


async def test_the_server_process_runs_on_the_same_library(server: Server, library: str) -> None:
    async with client_of(server) as client:
        response = await client.get("/about")
    assert response.json() == {"library": library, "loop": server.loop, "main_thread": True}
    assert response.headers["x-label"] == "labelled"


async def test_a_sync_endpoint_runs_in_a_thread_that_reaches_the_loop(server: Server) -> None:
    async with client_of(server) as client:
        response = await client.get("/thread")
    assert response.json() == {"main_thread": False, "loop": server.loop}


async def test_many_requests_at_once_share_a_small_pool(server: Server) -> None:
    answers: dict[int, str] = {}

    async def fetch(client: httpx.AsyncClient, number: int) -> None:
        path = "/thread" if number % 2 else "/spawn"
        response = await client.get(path)
        answers[number] = "thread" if "main_thread" in response.json() else "spawn"

    limits = httpx.Limits(max_connections=4)
    async with httpx.AsyncClient(
        base_url=server.url, timeout=30, trust_env=False, limits=limits
    ) as client:
        async with anyio.create_task_group() as group:
            for number in range(40):
                group.start_soon(fetch, client, number)
    assert answers == {number: "thread" if number % 2 else "spawn" for number in range(40)}


async def test_a_streaming_response_arrives_whole_and_in_order(server: Server) -> None:
    async with client_of(server) as client:
        async with client.stream("GET", "/stream/300") as response:
            lines = [line async for line in response.aiter_lines()]
    assert lines == [str(number) for number in range(300)]


async def test_the_server_ends_a_stream_when_its_client_goes(server: Server, backend: str) -> None:
    async with client_of(server) as client:
        async with client.stream("GET", f"/endless/{backend}") as response:
            assert await anext(response.aiter_bytes())
        ended = await client.get(f"/endless/{backend}/ended")
    assert ended.json() == {"ended": True}


async def test_an_upload_is_streamed_both_ways(server: Server) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(100):
            yield b"u" * 10_000
            await anyio.lowlevel.checkpoint()

    async with client_of(server) as client:
        response = await client.post("/upload", content=chunks())
    assert response.json() == {"bytes": 1_000_000}


async def test_background_tasks_run_after_the_response(server: Server) -> None:
    async with client_of(server) as client:
        before = (await client.get("/background")).json()["notes"]
        after = (await client.get("/background/done")).json()["notes"]
    assert after[len(before) :][:2] == ["thread", "loop"] or after[:2] == ["thread", "loop"]


async def test_a_file_is_sent_from_worker_threads(server: Server) -> None:
    async with client_of(server) as client:
        response = await client.get("/file")
    assert response.content == APP.read_bytes()


async def test_a_request_that_is_cancelled_leaves_a_client_that_works(server: Server) -> None:
    async with client_of(server) as client:
        with anyio.move_on_after(0.05) as scope:
            async with client.stream("GET", "/endless/cancelled") as response:
                async for chunk in response.aiter_bytes():
                    assert chunk
        assert scope.cancelled_caught
        response = await client.get("/spawn")
    assert response.json() == {"answer": "from the group of the lifespan"}
