"""TCP, cancelled at every await of every operation: no descriptor stays open."""

from __future__ import annotations

from _ends import LOOPBACK, accept, echo, receive_all, small_buffer

from _harness import cancel_at_each_checkpoint
from creche import connect_tcp, create_task_group, create_tcp_listener
from creche.abc import SocketAttribute

LARGE = bytes(2**21)


async def test_a_cancel_at_any_checkpoint_of_two_ends_leaves_no_descriptor() -> None:
    async def talk() -> None:
        async with await create_tcp_listener(local_host=LOOPBACK) as listener:
            port = listener.extra(SocketAttribute.local_port)
            async with (
                await connect_tcp(LOOPBACK, port) as client,
                await accept(listener) as server,
            ):
                await client.send(b"ping")
                await server.receive()
                async with create_task_group() as group:
                    group.start_soon(server.send, b"later")
                    await client.receive()
                small_buffer(client)
                async with create_task_group() as group:
                    group.start_soon(receive_all, server)
                    await client.send(LARGE)
                    await client.send_eof()

    assert await cancel_at_each_checkpoint(talk) >= 15


async def test_a_cancel_at_any_checkpoint_of_a_race_leaves_no_descriptor() -> None:
    # A name of both families, where one refuses: one attempt fails and another one wins.
    async with await create_tcp_listener(local_host=LOOPBACK) as listener:
        port = listener.extra(SocketAttribute.local_port)

        async def come_and_go() -> None:
            async with await connect_tcp("localhost", port, local_host="localhost"):
                pass

        assert await cancel_at_each_checkpoint(come_and_go) >= 5


async def test_a_cancel_at_any_checkpoint_of_a_server_leaves_no_descriptor() -> None:
    async def serve() -> None:
        async with await create_tcp_listener(local_host=LOOPBACK) as listener:
            port = listener.extra(SocketAttribute.local_port)
            async with create_task_group() as group:
                group.start_soon(listener.serve, echo)
                async with await connect_tcp(LOOPBACK, port) as client:
                    await client.send(b"ping")
                    await client.receive()
                group.cancel()

    assert await cancel_at_each_checkpoint(serve) >= 8
