"""FastAPI through its test client, on every backend; and through httpx inside one loop.

The test client runs the application in a portal: a loop in a thread of its own.
"""

from __future__ import annotations

from collections.abc import Iterator

import anyio
import httpx
import pytest
from fastapi.testclient import TestClient

import api


@pytest.fixture
def client(backend: str) -> Iterator[TestClient]:
    api.log.clear()
    api.gone.clear()
    name, options = ("asyncio", {"use_uvloop": True}) if backend == "uvloop" else (backend, {})
    with TestClient(api.app, backend=name, backend_options=options) as client:  # type: ignore[arg-type]  # a literal
        yield client
    assert api.log[0] == "up" and api.log[-1] == "down"


def test_an_async_endpoint_runs_on_the_asked_backend(
    client: TestClient, backend: str, library: str
) -> None:
    found = client.get("/async").json()
    assert found["library"] == library
    assert (found["loop"], found["resource"]) == (backend, "resource")
    assert api.log[1:] == ["async resource opened", "async resource closed"]


def test_a_sync_endpoint_runs_in_a_thread_and_calls_back_into_the_loop(
    client: TestClient, backend: str
) -> None:
    found = client.get("/sync").json()
    assert found == {"main_thread": False, "loop": backend, "answer": 42}
    assert api.log[1:] == ["sync resource opened", "sync resource closed"]


def test_resources_are_closed_when_an_endpoint_refuses_or_breaks(client: TestClient) -> None:
    assert client.get("/refused").json() == {"detail": "no coffee"}
    assert api.log[1:] == ["sync resource opened", "sync resource closed"]
    with pytest.raises(ValueError, match="broken"):
        client.get("/broken")
    assert api.log[3:] == ["async resource opened", "async resource closed"]


def test_background_tasks_run_in_order_after_the_endpoint(client: TestClient) -> None:
    assert client.get("/background").json() == {"said": "later"}
    assert api.log[1:] == ["endpoint", "sync task", "async task"]


def test_a_sync_generator_is_streamed_from_worker_threads(client: TestClient) -> None:
    assert client.get("/stream?count=50").text.split() == [str(number) for number in range(50)]


def test_a_web_socket_talks_through_a_task_group(client: TestClient) -> None:
    with client.websocket_connect("/echo") as socket:
        for word in ("one", "two", "three"):
            socket.send_text(word)
        assert [socket.receive_text() for _ in range(3)] == ["ONE", "TWO", "THREE"]
    assert api.gone.wait(20)


async def test_many_requests_in_one_loop_come_back_each_to_its_caller(backend: str) -> None:
    transport = httpx.ASGITransport(app=api.app)
    answers: list[tuple[str, object]] = []

    async def fetch(client: httpx.AsyncClient, path: str) -> None:
        answers.append((path, (await client.get(path)).json()["loop"]))

    async with httpx.AsyncClient(transport=transport, base_url="http://app") as client:
        async with anyio.create_task_group() as group:
            for path in ["/sync", "/async"] * 15:
                group.start_soon(fetch, client, path)
    assert sorted(answers) == [("/async", backend)] * 15 + [("/sync", backend)] * 15
