"""A server that streams from a safe generator to clients that go away in the middle, 1,000 times."""

from __future__ import annotations

from collections.abc import AsyncGenerator

from creche import (
    BrokenResourceError,
    connect_tcp,
    create_task_group,
    create_tcp_listener,
    get_running_tasks,
    sleep_forever,
)
from creche.abc import SocketAttribute, SocketStream
from creche.flow import as_safe_stream, for_each, race
from creche.lowlevel import checkpoint

CLIENTS = 1000


class Endpoint:
    """Answers each request with rows without end, for as long as the client listens."""

    def __init__(self) -> None:
        self.opened = self.closed = 0

    @as_safe_stream()
    async def rows(self) -> AsyncGenerator[bytes]:
        self.opened += 1
        try:
            async with create_task_group() as group:
                group.start_soon(sleep_forever)  # such as one that keeps a cursor alive
                number = 0
                while True:
                    yield b"row %d\n" % number
                    number += 1
                    await checkpoint()
        finally:
            self.closed += 1

    async def serve(self, client: SocketStream) -> None:
        async with client:
            await client.receive()
            await race(lambda: self.stream(client), lambda: self.left(client))

    async def stream(self, client: SocketStream) -> None:
        await client.send(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n")
        async with self.rows() as rows:
            async for row in rows:
                await client.send(row)

    async def left(self, client: SocketStream) -> None:
        """Return when the client has gone."""
        try:
            async for _ in client:
                pass
        except BrokenResourceError:
            pass


async def test_a_thousand_clients_go_away_and_nothing_is_left_or_logged() -> None:
    endpoint = Endpoint()

    async def visit(number: int) -> None:
        async with await connect_tcp("127.0.0.1", port) as stream:
            await stream.send(b"GET / HTTP/1.1\r\n\r\n")
            seen = b""
            while b"row 2" not in seen:
                seen += await stream.receive()

    before = len(get_running_tasks())
    async with await create_tcp_listener(local_host="127.0.0.1") as listener:
        port = listener.extra(SocketAttribute.local_port)
        async with create_task_group() as group:
            group.start_soon(listener.serve, endpoint.serve)
            await for_each(visit, range(CLIENTS), at_most=50)
            while endpoint.closed < CLIENTS:
                await checkpoint()
            group.cancel()
    assert (endpoint.opened, endpoint.closed) == (CLIENTS, CLIENTS)
    assert len(get_running_tasks()) == before
