"""SIGTERM on a service with 1,000 open streams of events and 50 requests in flight.

No request is dropped, the streams end cleanly, and the server exits within its grace.
"""

from __future__ import annotations

import resource
import signal
import sys
import time
from contextlib import AbstractContextManager
from typing import Any

import anyio
import httpx
import pytest
from serving import COMMANDS, started, started_command

STREAMS, REQUESTS = 1_000, 50
SECONDS = 150.0  # a thousand connections take their time on a busy machine
ALONE = {"hypercorn": ("--workers=0", "--graceful-timeout=30")}
"""Hypercorn's workers ignore signals: without any, the server is one process, which hears them."""


@pytest.fixture(autouse=True)
def many_descriptors() -> Any:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 4_096)), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def get(port: int, path: str) -> bytes:
    """Send a request, and return all that comes until the server ends the connection."""
    async with await anyio.connect_tcp("127.0.0.1", port) as stream:
        await stream.send(
            f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode()
        )
        parts = [part async for part in stream]
    return b"".join(parts)


def server(kind: str) -> AbstractContextManager[tuple[Any, Any]]:
    if kind == "hypercorn-trio":
        return started_command([sys.executable, "graceful_serve.py"])
    return started(kind, "graceful:app", *ALONE.get(kind.partition("-")[0], ()))


@pytest.mark.parametrize("kind", COMMANDS)
def test_nothing_is_dropped(kind: str) -> None:
    with server(kind) as (process, output):
        port = int(output.port())
        answers: dict[str, list[bytes]] = {"/events": [], "/slow": []}

        async def one(path: str) -> None:
            answers[path].append(await get(port, path))

        async def main() -> None:
            with anyio.fail_after(SECONDS):
                async with anyio.create_task_group() as tg:
                    for _ in range(REQUESTS):
                        tg.start_soon(one, "/slow")
                    for number in range(STREAMS):
                        tg.start_soon(one, "/events")
                        if number % 50 == 0:
                            await anyio.sleep(0.05)
                    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
                        while (await client.get("/busy")).json() != {
                            "streams": STREAMS,
                            "requests": REQUESTS,
                        }:
                            await anyio.sleep(0.1)
                    process.send_signal(signal.SIGTERM)

        anyio.run(main)
        begin = time.monotonic()
        process.wait(30)
        assert time.monotonic() - begin < 30
        output.finish()
    assert len(answers["/slow"]) == REQUESTS and len(answers["/events"]) == STREAMS
    for answer in answers["/slow"]:
        assert answer.startswith(b"HTTP/1.1 200") and b'{"done":true}' in answer
    for answer in answers["/events"]:
        assert answer.startswith(b"HTTP/1.1 200")
        assert b"data: hello\n\n" in answer and b"data: bye\n\n" in answer
    assert "resources closed" in output.text, output.text
    assert "Traceback" not in output.text, output.text
