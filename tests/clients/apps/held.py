"""A FastAPI service with a client for the whole application and one for each request."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import Depends, FastAPI, Request

import creche
from creche.services import ResourceGroup, create_resource_group

log: list[str] = []


@asynccontextmanager
async def session(name: str) -> AsyncIterator[str]:
    """A client as libraries write them: with a task group inside."""
    async with creche.create_task_group() as tg:
        tg.start_soon(creche.sleep_forever)
        log.append(f"{name} opened")
        yield name
        log.append(f"{name} closed")
        tg.cancel()


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with create_resource_group() as resources:
        app.state.resources = resources
        app.state.shared = await resources.enter(session("shared"))
        yield


app = FastAPI(lifespan=lifespan)


def resources(request: Request) -> ResourceGroup:
    held: ResourceGroup = request.app.state.resources
    return held


def shared(request: Request) -> str:
    held: str = request.app.state.shared
    return held


async def own(resources: Annotated[ResourceGroup, Depends(resources)]) -> AsyncIterator[str]:
    client = await resources.enter(session("own"))
    try:
        yield client
    finally:
        await resources.leave(client)


@app.get("/shared")
async def uses_shared(client: Annotated[str, Depends(shared)]) -> str:
    return client


@app.get("/own")
async def uses_own(client: Annotated[str, Depends(own)]) -> str:
    return client


@app.get("/broken")
async def breaks(client: Annotated[str, Depends(own)]) -> str:
    raise ValueError("broken")
