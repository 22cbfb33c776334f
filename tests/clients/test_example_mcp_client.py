"""`examples/mcp_client`: one MCP session for all the requests of a web application."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import httpx

FOLDER = Path(__file__).parents[2] / "examples" / "mcp_client"


def load() -> Any:
    spec = importlib.util.spec_from_file_location("mcp_client_app", FOLDER / "app.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


async def test_requests_share_one_session() -> None:
    app = load().app
    transport = httpx.ASGITransport(app=app)
    async with app.router.lifespan_context(app):
        async with httpx.AsyncClient(transport=transport, base_url="http://app") as http:
            for number in range(3):
                answer = await http.get(f"/add/{number}/1")
                assert answer.json() == {"result": number + 1}
            first = app.state.clients.client
            assert (await http.get("/add/2/3")).json() == {"result": 5}
            assert app.state.clients.client is first
