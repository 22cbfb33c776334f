"""SIGTERM on a service with 1,000 open streams of events and 50 requests in flight.

No request is dropped, the streams end cleanly, and the server exits within its grace.

Nothing here depends on how fast the machine is: the clients come in as fast as the server greets them, it
says when all are there, and its grace is far longer than it needs.
"""

from __future__ import annotations

import resource
import signal
import sys
from contextlib import AbstractContextManager
from typing import Any

import anyio
import pytest
from serving import COMMANDS, started, started_command

STREAMS, REQUESTS = 1_000, 50
LAST_CHUNK = b"\r\n0\r\n\r\n"
AT_ONCE = 50  # as many connect at a time: hypercorn's backlog is 100
GRACE = 300
"""Seconds that the server has, as `graceful.py` says; a test that hangs ends in the same time."""
ALONE = {"hypercorn": ("--workers=0", f"--graceful-timeout={GRACE}")}
"""Hypercorn's workers ignore signals: without any, the server is one process, which hears them."""


@pytest.fixture(autouse=True)
def many_descriptors() -> Any:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 4_096)), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def ask(port: int, path: str) -> anyio.abc.SocketStream:
    """Send a request, and return the connection."""
    stream = await anyio.connect_tcp("127.0.0.1", port)
    await stream.send(
        f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode()
    )
    return stream


async def rest_of(stream: anyio.abc.SocketStream) -> bytes:
    """Return all that comes until the server ends the connection."""
    async with stream:
        return b"".join([part async for part in stream])


async def follow(port: int, room: anyio.CapacityLimiter) -> bytes:
    """Follow the events to their end, and return them. There is room for others once the first has come.

    The client closes, as browsers do: on Trio hypercorn does not, where a request that listens for the end
    of its connection is cancelled by that end.
    """
    async with room:
        stream = await ask(port, "/events")
        data = await read_on(stream, b"", b"data: hello\n\n")
    async with stream:
        return await read_on(stream, data, LAST_CHUNK)


async def read_on(stream: anyio.abc.SocketStream, data: bytes, mark: bytes) -> bytes:
    while mark not in data:
        data += await stream.receive()
    return data


def server(kind: str) -> AbstractContextManager[tuple[Any, Any]]:
    if kind == "hypercorn-trio":
        return started_command([sys.executable, "graceful_serve.py"])
    return started(kind, "graceful:app", *ALONE.get(kind.partition("-")[0], ()))


@pytest.mark.parametrize("kind", COMMANDS)
def test_nothing_is_dropped(kind: str) -> None:
    slow: list[bytes] = []
    events: list[bytes] = []

    async def one_slow(port: int) -> None:
        slow.append(await rest_of(await ask(port, "/slow")))

    async def one_stream(port: int, room: anyio.CapacityLimiter) -> None:
        events.append(await follow(port, room))

    async def main(process: Any, port: int) -> None:
        with anyio.fail_after(GRACE):
            room = anyio.CapacityLimiter(AT_ONCE)
            async with anyio.create_task_group() as tg:
                for _ in range(REQUESTS):
                    tg.start_soon(one_slow, port)
                for _ in range(STREAMS):
                    tg.start_soon(one_stream, port, room)
                all_in = await ask(port, f"/all-in?following={STREAMS}&waiting={REQUESTS}")
                assert (await rest_of(all_in)).endswith(b'{"stopping":false}')
                process.send_signal(signal.SIGTERM)

    with server(kind) as (process, output):
        anyio.run(main, process, int(output.port()))
        process.wait(GRACE)
        output.finish()
    assert len(slow) == REQUESTS and len(events) == STREAMS
    for answer in slow:
        assert answer.startswith(b"HTTP/1.1 200") and b'{"done":true}' in answer
    for answer in events:
        assert answer.startswith(b"HTTP/1.1 200")
        assert b"data: hello\n\n" in answer and b"data: bye\n\n" in answer
    assert "resources closed" in output.text, output.text
    assert "Traceback" not in output.text, output.text
    assert "overran the grace" not in output.text, output.text
