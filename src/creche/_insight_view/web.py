"""The page's server: Starlette and uvicorn, on Creche by the drop-in. Runs in the viewer's process.

Owns the routes and the socket, on 127.0.0.1 alone. Who may ask is `door.py`'s matter.

    GET  /                      the page, which holds no data
    GET  /NAME                  its styles and scripts
    POST /key                   changes the token for a key
    GET  /changes        (key)  the messages, a line of JSON each, for as long as the page listens
    GET  /stack?task=N   (key)  the stack of one task
"""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Protocol

import uvicorn
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import (  # fmt: skip
    FileResponse,
    JSONResponse,
    PlainTextResponse,
    Response,
    StreamingResponse,
)
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .._insight.ask import TargetError
from .._tasks.group import create_task_group
from .door import HEADERS, LONGEST_TOKEN, Door, RefusedError
from .history import History

STATIC = Path(__file__).with_name("static")
KINDS = {
    ".html": "text/html",
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
}


class Source(Protocol):
    """Where a page's messages come from."""

    pages: int

    async def run(self) -> None:
        """Fill the history."""
        ...

    async def stack(self, task: int) -> object:
        """Return the stack of a task."""
        ...


class Guard:
    """Lets nothing past that the door refuses, and puts the headers on every answer."""

    def __init__(self, app: ASGIApp, door: Door) -> None:
        self._app = app
        self._door = door

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""

        async def closed(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = [(name.lower().encode(), text.encode()) for name, text in HEADERS.items()]
                message["headers"] = [*message.get("headers", ()), *headers]
            await send(message)

        app = self._app
        if scope["type"] == "http":
            try:
                self._door.check(Headers(scope=scope))
            except RefusedError as exc:
                app = PlainTextResponse(str(exc), exc.status)
        await app(scope, receive, closed)


class Page:
    """The routes."""

    def __init__(self, door: Door, history: History, source: Source, tell: Callable[[str], object]):
        self._door = door
        self._history = history
        self._source = source
        self._tell = tell

    def app(self) -> ASGIApp:
        """Return it all as an application."""
        files = [
            Route(f"/{path.name}", _file(path))
            for path in sorted(STATIC.iterdir())
            if path.suffix in KINDS and path.name != "index.html"
        ]
        routes = [
            Route("/", _file(STATIC / "index.html")),
            Route("/key", self._key, methods=["POST"]),
            Route("/changes", self._changes),
            Route("/stack", self._stack),
            *files,
        ]
        return Guard(
            Starlette(routes=routes, exception_handlers={RefusedError: _refuse}), self._door
        )

    async def _key(self, request: Request) -> Response:
        body = b""
        async for part in request.stream():
            body += part
            if len(body) > LONGEST_TOKEN:
                raise HTTPException(413)
        key = self._door.redeem(body.decode("utf-8", "replace"), request.headers)
        self._tell(f"A page is open. For one more: {self._door.address}")
        return JSONResponse({"key": key})

    async def _changes(self, request: Request) -> Response:
        self._door.check_key(request.headers)
        return StreamingResponse(self._lines(), media_type="application/x-ndjson")

    async def _lines(self) -> AsyncIterator[bytes]:
        self._source.pages += 1
        try:
            async for line in self._history.follow():
                yield line
        finally:
            self._source.pages -= 1

    async def _stack(self, request: Request) -> Response:
        self._door.check_key(request.headers)
        number = request.query_params.get("task", "")
        if not number.isdecimal() or len(number) > 18:
            raise HTTPException(400, "task is not a number")
        try:
            return JSONResponse(await self._source.stack(int(number)))
        except TargetError as exc:
            raise HTTPException(503, str(exc)) from None


def _file(path: Path) -> Callable[[Request], Awaitable[Response]]:
    kind = f"{KINDS[path.suffix]}; charset=utf-8"

    async def send(request: Request) -> Response:
        return FileResponse(path, headers={"Content-Type": kind})

    return send


async def _refuse(request: Request, exc: Exception) -> Response:
    assert isinstance(exc, RefusedError)
    return PlainTextResponse(str(exc), exc.status)


class _Server(uvicorn.Server):
    """Ends what the pages listen to before it waits for the connections to end."""

    def __init__(self, config: uvicorn.Config, history: History) -> None:
        super().__init__(config)
        self._history = history

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._history.close()
        await super().shutdown(sockets)


def listen() -> socket.socket:
    """Open a socket at a free port of 127.0.0.1."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        sock.bind(("127.0.0.1", 0))
        sock.listen(64)
    except BaseException:
        sock.close()
        raise
    return sock


async def serve_page(
    history: History,
    source: Source,
    *,
    announce: Callable[[str], object],
    tell: Callable[[str], object],
) -> None:
    """Serve until the process is asked to end.

    :param announce: is given the first address, once it can be opened
    :param tell: is given what happens later, as a line for the terminal
    """
    with listen() as sock:
        door = Door(sock.getsockname()[1])
        app = Page(door, history, source, tell).app()
        config = uvicorn.Config(
            app, lifespan="off", log_level="warning", access_log=False, server_header=False,
            timeout_graceful_shutdown=1,
        )  # fmt: skip
        server = _Server(config, history)
        async with create_task_group() as group:
            group.start_soon(source.run)
            announce(door.address)
            await server.serve(sockets=[sock])
            group.cancel_scope.cancel("the page's server has ended")
