"""A Starlette application that uses every part of Starlette that stands on AnyIO.

The thread pool (sync endpoints, background tasks, files), `BaseHTTPMiddleware` (a task group and
streams between the endpoint and the server), streaming in both directions, and what happens when
the client goes away. Its lifespan keeps a task group for as long as the server runs.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
from about import about
from starlette.applications import Starlette
from starlette.background import BackgroundTasks
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

PATIENCE = 20.0  # seconds; what is waited for happens in a fraction of one


class State:
    """What the application remembers between requests."""

    def __init__(self, group: Any) -> None:
        self.group = group
        self.streams_ended: defaultdict[str, Any] = defaultdict(anyio.Event)
        self.background_done = anyio.Event()
        self.notes: list[str] = []


@asynccontextmanager
async def lifespan(_app: Starlette) -> AsyncIterator[dict[str, Any]]:
    async with anyio.create_task_group() as group:
        yield {"shared": State(group)}
        group.cancel_scope.cancel()


class Labels(BaseHTTPMiddleware):
    async def dispatch(
        self, request: Request, call_next: Callable[[Request], Awaitable[Response]]
    ) -> Response:
        response = await call_next(request)
        response.headers["x-label"] = "labelled"
        return response


async def show(_request: Request) -> JSONResponse:
    return JSONResponse(about())


def show_from_thread(_request: Request) -> JSONResponse:
    found = {
        "main_thread": threading.current_thread() is threading.main_thread(),
        "loop": anyio.from_thread.run_sync(lambda: about()["loop"]),
    }
    return JSONResponse(found)


async def stream(request: Request) -> StreamingResponse:
    async def chunks() -> AsyncIterator[bytes]:
        for number in range(int(request.path_params["count"])):
            yield b"%d\n" % number
            await anyio.lowlevel.checkpoint()

    return StreamingResponse(chunks())


class Endless(StreamingResponse):
    """A response that only its client's going ends; it tells then."""

    def __init__(self, ended: Any) -> None:
        super().__init__(self.chunks())
        self.ended = ended

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        # Not in the generator: one that is abandoned at its `yield` ends when it is collected.
        try:
            await super().__call__(scope, receive, send)
        finally:
            self.ended.set()

    async def chunks(self) -> AsyncIterator[bytes]:
        while True:
            yield b"x" * 1024
            await anyio.sleep(0.001)


async def endless(request: Request) -> Endless:
    return Endless(request.state.shared.streams_ended[request.path_params["name"]])


async def endless_ended(request: Request) -> JSONResponse:
    with anyio.move_on_after(PATIENCE) as scope:
        await request.state.shared.streams_ended[request.path_params["name"]].wait()
    return JSONResponse({"ended": not scope.cancelled_caught})


async def upload(request: Request) -> JSONResponse:
    sizes = [len(chunk) async for chunk in request.stream()]
    return JSONResponse({"bytes": sum(sizes)})


async def background(request: Request) -> JSONResponse:
    shared: State = request.state.shared

    def in_thread() -> None:
        shared.notes.append("thread" if threading.current_thread().name != "MainThread" else "?")

    async def in_loop() -> None:
        shared.notes.append("loop")
        shared.background_done.set()

    tasks = BackgroundTasks()
    tasks.add_task(in_thread)
    tasks.add_task(in_loop)
    return JSONResponse({"notes": list(shared.notes)}, background=tasks)


async def background_done(request: Request) -> JSONResponse:
    shared: State = request.state.shared
    with anyio.fail_after(PATIENCE):
        await shared.background_done.wait()
    return JSONResponse({"notes": shared.notes})


async def spawn(request: Request) -> JSONResponse:
    """Start a task in the lifespan's group, from another task, and wait for its answer."""
    send, receive = anyio.create_memory_object_stream[str](1)

    async def child() -> None:
        async with send:
            await send.send("from the group of the lifespan")

    request.state.shared.group.start_soon(child)
    async with receive:
        return JSONResponse({"answer": await receive.receive()})


async def file(_request: Request) -> FileResponse:
    return FileResponse(Path(__file__))


app = Starlette(
    routes=[
        Route("/about", show),
        Route("/thread", show_from_thread),
        Route("/stream/{count:int}", stream),
        Route("/endless/{name}", endless),
        Route("/endless/{name}/ended", endless_ended),
        Route("/upload", upload, methods=["POST"]),
        Route("/background", background),
        Route("/background/done", background_done),
        Route("/spawn", spawn),
        Route("/file", file),
    ],
    middleware=[Middleware(Labels)],
    lifespan=lifespan,
)
