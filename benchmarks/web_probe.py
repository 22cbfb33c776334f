"""A process of its own that answers or sends web requests with one library, as often as asked.

``python -m benchmarks.web_probe MODULE BACKEND KIND [URL]``. MODULE is what stands behind
``import anyio``: "anyio" itself, or "creche" by the drop-in, which is turned on here before anything
else can import AnyIO. Reads one number of requests a line from standard input, and answers each
line with the seconds that they took.

The applications are called as a server calls them, without a socket: what is measured is the
framework on the library. ``receive`` waits for the loop's own event, as servers do.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from time import perf_counter
from typing import Any, TypeAlias

App: TypeAlias = Callable[[Any, Any, Any], Awaitable[None]]
Work: TypeAlias = Callable[[int], Awaitable[None]]

CHUNKS = 20
SCOPE = {
    "type": "http",
    "asgi": {"version": "3.0", "spec_version": "2.3"},
    "http_version": "1.1",
    "method": "GET",
    "scheme": "http",
    "path": "/",
    "raw_path": b"/",
    "query_string": b"",
    "root_path": "",
    "headers": [(b"host", b"127.0.0.1"), (b"accept", b"*/*")],
    "client": ("127.0.0.1", 50000),
    "server": ("127.0.0.1", 80),
}


# ── Applications ──────────────────────────────────────────────────────────────────────────────────


def starlette(endpoint: Callable[..., Any], *, middleware: bool = False) -> App:
    from starlette.applications import Starlette
    from starlette.middleware import Middleware
    from starlette.middleware.base import BaseHTTPMiddleware
    from starlette.routing import Route

    wrapped = [Middleware(BaseHTTPMiddleware, dispatch=pass_on)] if middleware else []
    app: App = Starlette(routes=[Route("/", endpoint)], middleware=wrapped)
    return app


def fastapi(endpoint: Callable[..., Any], *, middleware: bool = False) -> App:
    from fastapi import FastAPI
    from starlette.middleware.base import BaseHTTPMiddleware

    app: Any = FastAPI()
    app.add_api_route("/", endpoint)
    if middleware:
        app.add_middleware(BaseHTTPMiddleware, dispatch=pass_on)
    made: App = app
    return made


async def pass_on(request: Any, call_next: Callable[[Any], Awaitable[Any]]) -> Any:
    return await call_next(request)


async def respond(_request: Any) -> Any:
    from starlette.responses import JSONResponse

    return JSONResponse({"hello": "world"})


def respond_in_thread(_request: Any) -> Any:
    from starlette.responses import JSONResponse

    return JSONResponse({"hello": "world"})


async def respond_in_chunks(_request: Any) -> Any:
    from starlette.responses import StreamingResponse

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(CHUNKS):
            yield b"chunk"

    return StreamingResponse(chunks())


async def give() -> dict[str, str]:
    return {"hello": "world"}


def give_in_thread() -> dict[str, str]:
    return {"hello": "world"}


def application(kind: str) -> App:
    makers: dict[str, Callable[[], App]] = {
        "starlette-middleware": lambda: starlette(respond, middleware=True),
        "starlette-sync": lambda: starlette(respond_in_thread),
        "starlette-stream": lambda: starlette(respond_in_chunks),
        "fastapi-middleware": lambda: fastapi(give, middleware=True),
        "fastapi-sync": lambda: fastapi(give_in_thread),
        "uvicorn": lambda: starlette(respond, middleware=True),
    }
    return makers[kind]()


# ── Requests ──────────────────────────────────────────────────────────────────────────────────────


def calls_of(app: App, event: Callable[[], Any]) -> Work:
    """Call the application ``n`` times, one after another, as a server would."""

    async def call() -> None:
        asked = False
        ended: list[bool] = []

        async def receive() -> dict[str, Any]:
            nonlocal asked
            if asked:
                await event().wait()  # nobody goes away
            asked = True
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.body" and not message.get("more_body", False):
                ended.append(True)

        await app(dict(SCOPE), receive, send)
        assert ended == [True]

    async def work(n: int) -> None:
        for _ in range(n):
            await call()

    return work


async def answer(work: Work) -> None:
    """Do what is asked for, line by line. Nothing else runs here, so reading may block."""
    await work(20)
    print("ready", flush=True)
    for line in sys.stdin:  # see above
        began = perf_counter()
        await work(int(line))
        print(perf_counter() - began, flush=True)


async def serve_calls(kind: str, backend: str) -> None:
    import trio

    await answer(calls_of(application(kind), trio.Event if backend == "trio" else asyncio.Event))


async def send_requests(url: str) -> None:
    import httpx

    async with httpx.AsyncClient(trust_env=False) as client:

        async def work(n: int) -> None:
            for _ in range(n):
                response = await client.get(url)
                assert response.status_code == 200

        await answer(work)


def serve_http(backend: str) -> None:
    """Run uvicorn until standard input ends; print its port."""
    import socket
    import threading

    import uvicorn

    loop: Any = "uvloop" if backend == "uvloop" else "asyncio"
    config = uvicorn.Config(application("uvicorn"), loop=loop, log_level="error", access_log=False)
    server = uvicorn.Server(config)

    def end() -> None:
        sys.stdin.read()
        server.should_exit = True

    threading.Thread(target=end, daemon=True).start()
    # With its protocol named: only then does asyncio send at once what is written on connections.
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as sock:
        sock.bind(("127.0.0.1", 0))
        sock.listen()
        print(sock.getsockname()[1], flush=True)
        server.run(sockets=[sock])


def arguments() -> Iterator[str]:
    yield from sys.argv[1:]
    yield ""  # no URL


def main() -> None:
    module, backend, kind, url, *_ = arguments()
    if module != "anyio":
        import creche.as_anyio  # noqa: F401  # before anything imports AnyIO
    import anyio

    if (anyio is sys.modules.get("creche")) != (module != "anyio"):
        raise RuntimeError(f"{anyio.__file__} is not {module}: is CRECHE_AS_ANYIO set?")
    if kind == "uvicorn":
        serve_http(backend)
        return
    from creche._registry import variants

    loop = next(loop for loop in variants() if loop.name == backend)
    func, args = (send_requests, (url,)) if url else (serve_calls, (kind, backend))
    anyio.run(func, *args, backend=loop.kernel, backend_options=dict(loop.options))


if __name__ == "__main__":
    main()
