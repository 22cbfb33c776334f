"""Bytes are not copied on their way: what is sent never, what is received once, as it arrives."""

from __future__ import annotations

import sys
import threading
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from _ends import connected, raw

from creche import create_task_group, wait_all_tasks_blocked

LARGE = 16 * 2**20
CHUNK = 2**20
SMALL_CHANGE = 2**16 if sys.flags.dev_mode else 2**15  # In development mode asyncio notes stacks.


@contextmanager
def allocated(at_most: int) -> Iterator[None]:
    """Fail if there are at any moment so many bytes more than at the beginning."""
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        yield
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak - before <= at_most


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
async def test_a_large_send_copies_nothing(kind: Any) -> None:
    async with connected() as (client, server):
        item = kind(bytes(LARGE))
        sock = raw(server).dup()
        sock.setblocking(True)

        def drain() -> None:
            space = bytearray(CHUNK)
            left = LARGE
            while left:
                left -= sock.recv_into(space)

        reader = threading.Thread(target=drain)
        with sock, allocated(at_most=CHUNK + 2**18):  # the reader's own, and small change
            reader.start()
            await client.send(item)
            reader.join()


@pytest.mark.parametrize("waits", [False, True])
async def test_received_bytes_are_copied_once(waits: bool) -> None:
    async with connected() as (client, server):
        item, got = bytes(2**16), list[bytes]()

        async def receive() -> None:
            got.append(await server.receive(len(item)))

        for at_most in (
            LARGE,
            len(item) + SMALL_CHANGE,
        ):  # What is made once is made the first time.
            with allocated(at_most):
                if not waits:
                    raw(client).send(item)
                async with create_task_group() as group:
                    group.start_soon(receive)
                    await wait_all_tasks_blocked()
                    if waits:
                        raw(client).send(item)
        assert got == [item, item]
