"""Clients and servers of HTTP, gRPC and WebSockets: each server runs in the same loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any, ClassVar, Self

import aiohttp
import aiohttp.web
import grpc
import grpc.aio
import websockets.asyncio.client
import websockets.asyncio.server
import websockets.exceptions
from cuts import until

from .kinds import Servers

SIZE = 5
PAUSE = 0.003
HOST = "127.0.0.1"


class Network:
    errors: ClassVar[frozenset[str]] = frozenset()
    logs: ClassVar[frozenset[str]] = frozenset()
    more_logs: ClassVar[frozenset[str]] = frozenset()

    async def use(self, number: int) -> None:
        raise NotImplementedError

    async def all_at_once(self) -> None:
        await asyncio.gather(*(self.use(number) for number in range(4 * SIZE)))


class Aiohttp(Network):
    name = package = "aiohttp"

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self.session = session
        self.url = url
        self.inside = 0

    @classmethod
    @asynccontextmanager
    async def opened(cls, servers: Servers) -> AsyncIterator[Self]:
        async def echo(request: aiohttp.web.Request) -> aiohttp.web.StreamResponse:
            self.inside += 1
            response = aiohttp.web.StreamResponse()
            try:
                await response.prepare(request)
                async for chunk in request.content.iter_any():
                    await asyncio.sleep(PAUSE)
                    await response.write(chunk)
                await response.write_eof()
                return response
            except ConnectionError:
                return response  # The client has gone.
            finally:
                self.inside -= 1

        app = aiohttp.web.Application()
        app.router.add_post("/", echo)
        runner = aiohttp.web.AppRunner(app, handler_cancellation=True)
        await runner.setup()
        site = aiohttp.web.TCPSite(runner, HOST, 0)
        await site.start()
        try:
            async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=SIZE)) as session:
                self = cls(session, f"http://{HOST}:{runner.addresses[0][1]}/")
                yield self
        finally:
            await runner.cleanup()

    async def use(self, number: int) -> None:
        async def parts() -> AsyncIterator[bytes]:
            for part in (f"{number}".encode(), b"-", b"end"):
                yield part
                await asyncio.sleep(0.001)

        async with self.session.post(self.url, data=parts()) as response:
            assert response.status == 200
            assert await response.read() == f"{number}-end".encode()

    async def check(self) -> None:
        await self.all_at_once()  # As many as there are places, several times: none was lost.
        await until(lambda: self.inside == 0, "the handlers end")


class Grpc(Network):
    name = "grpc.aio"
    package = "grpcio"

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self.one = channel.unary_unary("/creche/one")
        self.stream = channel.stream_stream("/creche/stream")

    @classmethod
    @asynccontextmanager
    async def opened(cls, servers: Servers) -> AsyncIterator[Self]:
        async def one(request: bytes, context: Any) -> bytes:
            await asyncio.sleep(PAUSE)
            return request

        async def stream(requests: Any, context: Any) -> AsyncIterator[bytes]:
            async for request in requests:
                yield request

        server = grpc.aio.server()
        handlers = {
            "one": grpc.unary_unary_rpc_method_handler(one),
            "stream": grpc.stream_stream_rpc_method_handler(stream),
        }
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("creche", handlers),))
        port = server.add_insecure_port(f"{HOST}:0")
        await server.start()
        try:
            async with grpc.aio.insecure_channel(f"{HOST}:{port}") as channel:
                yield cls(channel)
        finally:
            await server.stop(None)

    async def use(self, number: int) -> None:
        assert await self.one(f"{number}".encode()) == f"{number}".encode()
        call = self.stream()
        for part in range(3):
            await call.write(f"{number}-{part}".encode())
            assert await call.read() == f"{number}-{part}".encode()
        await call.done_writing()
        assert await call.read() == grpc.aio.EOF

    async def check(self) -> None:
        await self.all_at_once()  # What becomes of the handlers at the server is gRPC's alone.


class Websockets(Network):
    name = package = "websockets"

    def __init__(self, server: websockets.asyncio.server.Server) -> None:
        self.server = server
        self.port = next(iter(server.sockets)).getsockname()[1]

    @classmethod
    @asynccontextmanager
    async def opened(cls, servers: Servers) -> AsyncIterator[Self]:
        async def echo(connection: websockets.asyncio.server.ServerConnection) -> None:
            with suppress(websockets.exceptions.ConnectionClosed):  # The client has gone.
                async for message in connection:
                    await asyncio.sleep(PAUSE)
                    await connection.send(message)

        async with websockets.asyncio.server.serve(echo, HOST, 0) as server:
            yield cls(server)

    async def use(self, number: int) -> None:
        async with websockets.asyncio.client.connect(
            f"ws://{HOST}:{self.port}", proxy=None, close_timeout=2
        ) as connection:
            for part in range(2):
                await connection.send(f"{number}-{part}")
                assert await connection.recv() == f"{number}-{part}"

    async def check(self) -> None:
        await until(lambda: not self.server.connections, "the server's connections end")
        await self.use(-2)
