"""A connected stream: its bytes, its ends, its failures, and who may use it at the same time."""

from __future__ import annotations

import gc
import socket
from array import array
from typing import Any

import pytest
from _ends import (
    LOOPBACK,
    LOOPBACKS,
    accept,
    connected,
    echo,
    raw,
    receive_all,
    receive_exactly,
    reset,
    small_buffer,
)

from creche import (
    BrokenResourceError,
    BusyResourceError,
    CancelScope,
    ClosedResourceError,
    EndOfStream,
    TypedAttributeLookupError,
    connect_tcp,
    create_task_group,
    create_tcp_listener,
    move_on_after,
    wait_all_tasks_blocked,
)
from creche.abc import SocketAttribute, SocketStream
from creche.lowlevel import checkpoint

LARGE = bytes(range(256)) * 16384  # 4 MiB


async def fails(expected: type[BaseException], stream: SocketStream, call: str, *args: Any) -> None:
    with pytest.raises(expected):
        await getattr(stream, call)(*args)


async def test_bytes_are_echoed_over_a_real_socket() -> None:
    async with connected() as (client, server), create_task_group() as group:
        group.start_soon(echo, server)
        for size in (1, 64, 5000, 200_000):
            message = LARGE[:size]
            group.start_soon(client.send, message)
            assert await receive_exactly(client, size) == message
        await client.send_eof()
        await fails(EndOfStream, client, "receive")


async def test_each_side_can_close_its_half_and_go_on_with_the_other() -> None:
    async with connected() as (client, server):
        await client.send(b"question")
        await client.send_eof()
        assert await receive_all(server) == b"question"
        await server.send(b"answer")
        assert await client.receive() == b"answer"
        await server.send_eof()
        assert await receive_all(client) == b""


async def test_the_end_of_a_stream_is_reported_as_often_as_one_asks() -> None:
    async with connected() as (client, server):
        await client.aclose()
        for _ in range(3):
            await fails(EndOfStream, server, "receive")


async def test_send_eof_twice_does_nothing_and_send_after_it_is_refused() -> None:
    async with connected() as (client, _server):
        await client.send_eof()
        await client.send_eof()
        with pytest.raises(ClosedResourceError, match="send_eof"):
            await client.send(b"more")


@pytest.mark.parametrize("used", [True, False])
async def test_every_call_on_a_closed_stream_is_refused_but_aclose(used: bool) -> None:
    async with connected() as (client, server):
        if used:
            await server.send(b"all there is")
            await client.receive()
        await client.aclose()
        await client.aclose()
        with pytest.raises(ClosedResourceError, match="closed on this side"):
            await client.receive()
        await fails(ClosedResourceError, client, "send", b"x")
        await fails(ClosedResourceError, client, "send", b"")
        await fails(ClosedResourceError, client, "send_eof")


async def test_a_reset_while_receiving_is_a_broken_resource_with_its_cause() -> None:
    async with connected() as (client, server), create_task_group() as group:

        async def receive() -> None:
            with pytest.raises(BrokenResourceError, match=r"127\.0\.0\.1 port \d+") as caught:
                await server.receive()
            assert isinstance(caught.value.__cause__, ConnectionResetError)

        group.start_soon(receive)
        await wait_all_tasks_blocked()
        await reset(client)


async def test_a_reset_while_sending_is_a_broken_resource_with_its_cause() -> None:
    async with connected() as (client, server), create_task_group() as group:

        async def send() -> None:
            with pytest.raises(BrokenResourceError) as caught:
                await server.send(LARGE)
            assert isinstance(caught.value.__cause__, ConnectionError)

        group.start_soon(send)
        await wait_all_tasks_blocked()
        await reset(client)


async def test_a_reset_beforehand_breaks_both_directions() -> None:
    async with connected() as (client, server):
        await reset(client)
        await fails(BrokenResourceError, server, "receive")
        await fails(BrokenResourceError, server, "send", b"x")
        await fails(BrokenResourceError, server, "send_eof")


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
async def test_a_large_send_waits_for_a_slow_reader_and_arrives_whole(kind: Any) -> None:
    sent: list[bool] = []

    async def send(stream: SocketStream) -> None:
        await stream.send(kind(LARGE))
        sent.append(True)
        await stream.send_eof()

    async with connected() as (client, server), create_task_group() as group:
        small_buffer(client)
        group.start_soon(send, client)
        await wait_all_tasks_blocked()
        assert not sent
        first = await receive_exactly(server, len(LARGE) // 2)
        assert not sent
        assert first + await receive_all(server) == LARGE
        assert sent


async def test_items_of_several_bytes_are_sent_whole() -> None:
    numbers = array("I", range(50_000))
    item: Any = memoryview(numbers)
    async with connected() as (client, server), create_task_group() as group:
        group.start_soon(client.send, item)
        assert await receive_exactly(server, 200_000) == numbers.tobytes()


async def test_a_lent_buffer_is_given_back_after_a_blocked_send() -> None:
    item: Any = bytearray(LARGE)
    async with connected() as (client, _server):
        with CancelScope() as scope:
            async with create_task_group() as group:
                group.start_soon(client.send, item)
                await wait_all_tasks_blocked()
                scope.cancel()
    item.extend(b"which fails while the buffer is lent")


async def test_bytes_can_be_received_one_at_a_time() -> None:
    async with connected() as (client, server):
        await client.send(b"abc")
        assert [await server.receive(1) for _ in range(3)] == [b"a", b"b", b"c"]


async def test_a_send_of_nothing_is_fine() -> None:
    async with connected() as (client, server):
        await client.send(b"")
        await client.send(b"x")
        assert await server.receive() == b"x"


@pytest.mark.parametrize("max_bytes", [0, -1])
async def test_max_bytes_has_to_be_positive(max_bytes: int) -> None:
    async with connected() as (client, _server):
        with pytest.raises(ValueError, match="max_bytes must be a positive integer"):
            await client.receive(max_bytes)


async def test_a_second_reader_is_refused_and_the_first_one_served() -> None:
    got: list[bytes] = []
    async with connected() as (client, server), create_task_group() as group:

        async def receive() -> None:
            got.append(await server.receive())

        group.start_soon(receive)
        await wait_all_tasks_blocked()
        with pytest.raises(BusyResourceError, match="already reading from this resource"):
            await server.receive()
        await client.send(b"first")
    assert got == [b"first"]


async def test_a_second_writer_is_refused_and_the_first_one_served() -> None:
    async with connected() as (client, server), create_task_group() as group:
        small_buffer(client)
        group.start_soon(client.send, LARGE)
        await wait_all_tasks_blocked()
        for call, args in (("send", (b"x",)), ("send_eof", ())):
            with pytest.raises(BusyResourceError, match="already writing to this resource"):
                await getattr(client, call)(*args)
        assert await receive_exactly(server, len(LARGE)) == LARGE


async def test_a_reader_does_not_keep_a_writer_out() -> None:
    async with connected() as (client, server), create_task_group() as group:
        group.start_soon(receive_all, client)
        await wait_all_tasks_blocked()
        await client.send(b"out")
        assert await server.receive() == b"out"
        await server.aclose()


async def test_closing_wakes_the_tasks_that_wait_on_the_stream() -> None:
    async with connected() as (client, _server), create_task_group() as group:
        small_buffer(client)
        group.start_soon(fails, ClosedResourceError, client, "receive")
        group.start_soon(fails, ClosedResourceError, client, "send", LARGE)
        await wait_all_tasks_blocked()
        await client.aclose()


async def test_aclose_in_a_cancelled_scope_closes_and_then_raises() -> None:
    async with connected() as (client, _server):
        passed = False
        with CancelScope() as scope:
            scope.cancel()
            await client.aclose()
            passed = True
        assert scope.cancelled_caught
        assert not passed
        assert raw(client).fileno() == -1


async def test_a_cancelled_receive_takes_nothing() -> None:
    async with connected() as (client, server):
        with CancelScope() as scope:
            async with create_task_group() as group:
                group.start_soon(server.receive)
                await wait_all_tasks_blocked()
                scope.cancel()
        await client.send(b"kept")
        with CancelScope() as scope:
            scope.cancel()
            await server.receive()
        assert scope.cancelled_caught
        assert await server.receive() == b"kept"


async def test_bytes_granted_in_the_moment_of_a_cancel_are_not_lost() -> None:
    got: list[bytes] = []
    async with connected() as (client, server), create_task_group() as group:

        async def receive() -> None:
            while b"".join(got) != b"0123456789":
                with CancelScope() as scope:
                    scopes.append(scope)
                    got.append(await server.receive(1))

        scopes: list[CancelScope] = []
        group.start_soon(receive)
        for digit in b"0123456789":
            await wait_all_tasks_blocked()
            await client.send(bytes([digit]))
            scopes[-1].cancel()


async def test_a_cancelled_send_writes_nothing_later() -> None:
    async with connected() as (client, server):
        small_buffer(client)
        with CancelScope() as scope:
            async with create_task_group() as group:
                group.start_soon(client.send, LARGE)
                await wait_all_tasks_blocked()
                scope.cancel()
        async with create_task_group() as group:
            group.start_soon(finish, client, b"END")
            arrived = await receive_all(server)
        assert arrived.endswith(b"END")
        assert arrived[:-3] == LARGE[: len(arrived) - 3]
        assert len(arrived) < len(LARGE)


async def finish(stream: SocketStream, data: bytes) -> None:
    await stream.send(data)
    await stream.send_eof()


@pytest.mark.parametrize("call", ["receive", "send"])
async def test_ready_operations_in_a_row_let_other_tasks_run(call: str) -> None:
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            await checkpoint()
            turns += 1

    async with connected() as (client, server), create_task_group() as group:
        if call == "receive":
            await client.send(bytes(10_000))
        group.start_soon(count)
        for _ in range(10_000):
            await (server.receive(1) if call == "receive" else server.send(b"x"))
        group.cancel_scope.cancel()
    assert turns >= 2


async def test_a_loop_of_ready_sends_sees_its_deadline() -> None:
    async with connected() as (client, server), create_task_group() as group:
        group.start_soon(receive_all, server)
        with move_on_after(0.01) as scope:
            while True:
                await client.send(b"x" * 256)
        assert scope.cancelled_caught
        await client.send_eof()


async def test_what_came_after_a_short_read_is_received() -> None:
    async with connected() as (client, server):
        for data in (b"one", b"two", b"three"):
            await client.send(data)
            assert await server.receive() == data
        await client.send_eof()
        await fails(EndOfStream, server, "receive")


@pytest.mark.parametrize("host", LOOPBACKS)
async def test_the_attributes_tell_both_addresses(host: str) -> None:
    async with connected(host) as (client, server):
        assert raw(client).getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        assert raw(server).getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        port = raw(client).getsockname()[1]
        assert client.extra(SocketAttribute.family) is family
        assert client.extra(SocketAttribute.local_address) == (host, port)
        assert client.extra(SocketAttribute.local_port) == port
        assert server.extra(SocketAttribute.remote_address) == (host, port)
        assert server.extra(SocketAttribute.remote_port) == port
        assert getattr(client, "_raw_socket") is raw(client)  # noqa: B009  # as libraries do


async def test_the_peer_s_address_outlives_the_connection() -> None:
    async with connected() as (client, server):
        address = client.extra(SocketAttribute.local_address)
        await client.aclose()
        await server.aclose()
        assert server.extra(SocketAttribute.remote_address) == address
        with pytest.raises(TypedAttributeLookupError):
            server.extra(SocketAttribute.local_address)


def drop(kept: list[SocketStream]) -> None:
    kept.clear()
    gc.collect()


async def test_a_stream_that_was_dropped_does_not_haunt_its_successor() -> None:
    async with await create_tcp_listener(local_host=LOOPBACK) as listener:
        port = listener.extra(SocketAttribute.local_port)

        async def talk(client: SocketStream) -> int:
            async with await accept(listener) as server:
                async with create_task_group() as group:
                    group.start_soon(client.receive)
                    await wait_all_tasks_blocked()
                    await server.send(b"x")
            return raw(client).fileno()

        kept = [await connect_tcp(LOOPBACK, port)]
        number = await talk(kept[0])
        with pytest.warns(ResourceWarning, match="unclosed <socket"):
            drop(kept)
        async with await connect_tcp(LOOPBACK, port) as successor:
            assert await talk(successor) == number


async def test_a_stream_shows_its_state_and_its_peer() -> None:
    async with connected() as (client, server):
        port = raw(server).getsockname()[1]
        assert repr(client) == f"<DirectSocketStream open, to 127.0.0.1 port {port}>"
        await client.aclose()
        assert repr(client) == f"<DirectSocketStream closed, to 127.0.0.1 port {port}>"
