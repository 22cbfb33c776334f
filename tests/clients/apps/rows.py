"""An application that streams rows without end, from a safe generator, for as long as a client listens."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

import anyio
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Mount, Route
from starlette.types import Receive, Scope, Send

from creche.flow import as_safe_stream, race

counts = {"opened": 0, "closed": 0}


@as_safe_stream()
async def rows() -> AsyncGenerator[bytes, None]:
    counts["opened"] += 1
    try:
        async with anyio.create_task_group() as group:
            group.start_soon(anyio.sleep_forever)  # such as one that keeps a cursor alive
            with anyio.fail_after(60):
                number = 0
                while True:
                    yield b"row %d\n" % number
                    number += 1
                    await anyio.sleep(0)
    finally:
        counts["closed"] += 1


async def endless(scope: Scope, receive: Receive, send: Send) -> None:
    async def stream() -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        async with rows() as items:
            async for row in items:
                await send({"type": "http.response.body", "body": row, "more_body": True})

    async def gone() -> None:
        message: Any = {}
        while message.get("type") != "http.disconnect":
            message = await receive()

    await race(stream, gone)


async def state(request: Request) -> JSONResponse:
    return JSONResponse({**counts, "tasks": len(anyio.get_running_tasks())})


app = Starlette(routes=[Route("/state", state), Mount("/rows", app=endless)])
