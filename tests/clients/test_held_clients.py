"""A resource group in FastAPI: as the lifespan's, as a dependency, and as a fixture that tests share."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import anyio
import held
import httpx
import pytest
from fastapi.testclient import TestClient


@pytest.fixture
def client(backend: str) -> Iterator[TestClient]:
    held.log.clear()
    name: Any = "trio" if backend == "trio" else "asyncio"
    options = {"use_uvloop": True} if backend == "uvloop" else {}
    with TestClient(held.app, backend=name, backend_options=options) as client:
        yield client
    assert held.log[0] == "shared opened" and held.log[-1] == "shared closed"
    assert held.log.count("own opened") == held.log.count("own closed")


def test_requests_share_the_client_of_the_application(client: TestClient) -> None:
    for _ in range(3):
        assert client.get("/shared").json() == "shared"
    assert held.log == ["shared opened"]


def test_a_request_may_have_a_client_of_its_own(client: TestClient) -> None:
    for _ in range(3):
        assert client.get("/own").json() == "own"
    assert held.log[1:] == ["own opened", "own closed"] * 3


def test_it_is_closed_when_the_endpoint_breaks(client: TestClient) -> None:
    with pytest.raises(ValueError, match="broken"):
        client.get("/broken")
    assert held.log[1:] == ["own opened", "own closed"]


async def test_many_requests_at_once_each_close_what_they_have_opened() -> None:
    held.log.clear()
    transport = httpx.ASGITransport(app=held.app)
    async with held.app.router.lifespan_context(held.app):
        async with httpx.AsyncClient(transport=transport, base_url="http://app") as http:
            async with anyio.create_task_group() as tg:
                for _ in range(20):
                    tg.start_soon(http.get, "/own")
                with anyio.move_on_after(0):  # a request that is given up
                    await http.get("/own")
    assert held.log.count("own opened") == held.log.count("own closed") >= 20
    assert held.log[-1] == "shared closed"
