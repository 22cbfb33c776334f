"""A web application that holds an MCP client for all its requests.

Run it with `uvicorn app:app`, with CRECHE_AS_ANYIO=1 in the environment, and ask for /add/2/3.
"""

import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from mcp import Client, StdioServerParameters
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from creche import Lock
from creche.services import ResourceGroup, create_resource_group

SERVER = StdioServerParameters(
    command=sys.executable,
    args=[str(Path(__file__).with_name("server.py"))],
    env=dict(os.environ),
)


class Clients:
    """The one client of the application, opened by the first request that needs it."""

    def __init__(self, resources: ResourceGroup) -> None:
        self.resources = resources
        self.lock = Lock()
        self.client: Client | None = None

    async def get(self) -> Client:
        async with self.lock:
            if self.client is None:
                self.client = await self.resources.enter(Client(SERVER))
            return self.client

    def forget(self) -> None:
        self.client = None


@asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[None]:
    async with create_resource_group(on_failure=lambda *_: clients.forget()) as resources:
        clients = app.state.clients = Clients(resources)
        yield


async def add(request: Request) -> JSONResponse:
    client = await request.app.state.clients.get()
    result = await client.call_tool("add", request.path_params)
    return JSONResponse(result.structured_content)


app = Starlette(routes=[Route("/add/{a:int}/{b:int}", add)], lifespan=lifespan)
