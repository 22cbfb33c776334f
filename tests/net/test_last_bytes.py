"""What a peer sent before it went is received, and then that it went: on every loop."""

from __future__ import annotations

import pytest
from _ends import connected, reset

from creche import BrokenResourceError, EndOfStream, fail_after


async def test_the_last_bytes_before_a_reset_do_not_hide_it() -> None:
    async with connected() as (client, server):
        await server.send(b"first")
        assert await client.receive() == b"first"  # from now on it waits before it reads
        await server.send(b"last")
        await reset(server)
        with fail_after(10):
            assert await client.receive() == b"last"
            with pytest.raises(BrokenResourceError) as caught:
                await client.receive()
        assert isinstance(caught.value.__cause__, ConnectionResetError)


async def test_the_last_bytes_do_not_hide_the_end_after_a_send_that_came_too_late() -> None:
    async with connected() as (client, server):
        await server.send(b"first")
        assert await client.receive() == b"first"
        await server.send(b"last")
        await server.aclose()
        await client.send(b"too late")
        with fail_after(10):
            assert await client.receive() == b"last"
            with pytest.raises((EndOfStream, BrokenResourceError)):
                await client.receive()
