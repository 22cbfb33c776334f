"""An application that sends events: some, or pings for as long as the client listens."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator
from typing import Any

import anyio
from sse_starlette import EventSourceResponse
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

ended: defaultdict[str, Any] = defaultdict(anyio.Event)


async def events(request: Request) -> EventSourceResponse:
    async def some() -> AsyncIterator[dict[str, str]]:
        for number in range(int(request.path_params["count"])):
            yield {"event": "number", "id": str(number), "data": str(number)}

    return EventSourceResponse(some())


async def pings(request: Request) -> EventSourceResponse:
    async def left(_message: Any) -> None:
        ended[request.path_params["name"]].set()

    async def none() -> AsyncIterator[dict[str, str]]:
        await anyio.sleep_forever()
        yield {}

    return EventSourceResponse(none(), ping=0.05, client_close_handler_callable=left)


async def pings_ended(request: Request) -> JSONResponse:
    with anyio.move_on_after(20) as scope:
        await ended[request.path_params["name"]].wait()
    return JSONResponse({"ended": not scope.cancelled_caught})


app = Starlette(
    routes=[
        Route("/events/{count:int}", events),
        Route("/pings/{name}", pings),
        Route("/pings/{name}/ended", pings_ended),
    ]
)
