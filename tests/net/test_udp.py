"""UDP sockets: datagrams and their addresses, the ways to fail, and who may use one at a time."""

from __future__ import annotations

import errno
import re
import socket
from ipaddress import ip_address
from typing import Any

import pytest
from _ends import LOOPBACK, free_port, needs_ipv6, raw

from _harness import cancel_at_each_checkpoint, on_asyncio
from creche import (
    BrokenResourceError,
    BusyResourceError,
    CancelScope,
    ClosedResourceError,
    TypedAttributeLookupError,
    aclose_forcefully,
    create_connected_udp_socket,
    create_task_group,
    create_udp_socket,
    move_on_after,
    wait_all_tasks_blocked,
)
from creche.abc import ConnectedUDPSocket, SocketAttribute, UDPSocket
from creche.lowlevel import checkpoint

LARGEST = 65507  # what IPv4 leaves for a UDP datagram


def port_of(sock: UDPSocket | ConnectedUDPSocket) -> int:
    return sock.extra(SocketAttribute.local_port)


async def pair(host: str = LOOPBACK) -> tuple[UDPSocket, ConnectedUDPSocket]:
    server = await create_udp_socket(local_host=host)
    return server, await create_connected_udp_socket(host, port_of(server))


async def test_a_datagram_arrives_with_its_sender_s_address_and_can_be_answered() -> None:
    server, client = await pair()
    async with server, client:
        await client.send(b"ping")
        data, (host, port) = await server.receive()
        assert (data, host, port) == (b"ping", LOOPBACK, port_of(client))
        await server.sendto(b"pong", host, port)
        assert await client.receive() == b"pong"
        await server.send((b"again", (host, port)))
        assert await client.receive() == b"again"


async def test_boundaries_of_datagrams_are_kept_also_of_empty_ones() -> None:
    server, client = await pair()
    async with server, client:
        for data in (b"one", b"", b"three", bytes(LARGEST)):
            await client.send(data)
        assert [(await server.receive())[0] for _ in range(4)] == [
            b"one",
            b"",
            b"three",
            bytes(LARGEST),
        ]


async def test_any_buffer_can_be_sent() -> None:
    server, client = await pair()
    async with server, client:
        item: Any = memoryview(bytearray(b"lent"))
        await client.send(item)
        data, address = await server.receive()
        assert data == b"lent"
        await server.send((item, address))
        assert await client.receive() == b"lent"


async def test_iterating_yields_datagrams() -> None:
    server, client = await pair()
    async with server, client:
        await client.send(b"a")
        await client.send(b"b")
        got = []
        async for data, _ in server:
            got.append(data)
            if data == b"b":
                break
        assert got == [b"a", b"b"]


async def test_a_burst_after_a_quiet_time_is_received_whole() -> None:
    server, client = await pair()
    async with server, client:
        for _ in range(3):  # the server learns that its queue is empty when it looks
            async with create_task_group() as group:
                group.start_soon(server.receive)
                await wait_all_tasks_blocked()
                await client.send(b"quiet")
        for number in range(50):
            await client.send(b"%d" % number)
        assert [(await server.receive())[0] for _ in range(50)] == [b"%d" % n for n in range(50)]


@needs_ipv6
async def test_ipv6_addresses_have_a_host_and_a_port_only() -> None:
    server, client = await pair("::1")
    async with server, client:
        await client.send(b"ping")
        data, address = await server.receive()
        assert (data, address) == (b"ping", ("::1", port_of(client)))
        await server.send((b"pong", address))
        assert await client.receive() == b"pong"
        assert client.extra(SocketAttribute.remote_address) == ("::1", port_of(server))


@needs_ipv6
async def test_a_socket_for_both_families_answers_a_peer_of_ipv4() -> None:
    async with await create_udp_socket(socket.AF_INET6) as server:
        async with await create_connected_udp_socket(LOOPBACK, port_of(server)) as client:
            await client.send(b"ping")
            _, address = await server.receive()
            await server.send((b"by the address it came from", address))
            await server.sendto(b"by its own", LOOPBACK, address[1])
            assert await client.receive() == b"by the address it came from"
            assert await client.receive() == b"by its own"


async def test_a_name_is_looked_up_before_it_is_sent_to() -> None:
    server, client = await pair()
    async with server, client:
        await server.sendto(b"named", "localhost", port_of(client))
        assert await client.receive() == b"named"


async def test_hosts_can_be_address_objects() -> None:
    host = ip_address(LOOPBACK)
    async with await create_udp_socket(local_host=host) as server:
        async with await create_connected_udp_socket(
            host, port_of(server), local_host=host
        ) as client:
            await client.send(b"x")
            assert (await server.receive())[0] == b"x"


async def test_the_attributes_of_both_kinds() -> None:
    server, client = await pair()
    async with server, client:
        assert server.extra(SocketAttribute.family) is socket.AF_INET
        assert server.extra(SocketAttribute.local_address) == (LOOPBACK, port_of(server))
        assert raw(server).type == socket.SOCK_DGRAM
        for key in (SocketAttribute.remote_address, SocketAttribute.remote_port):
            with pytest.raises(TypedAttributeLookupError):
                server.extra(key)
        assert client.extra(SocketAttribute.remote_address) == (LOOPBACK, port_of(server))
        assert client.extra(SocketAttribute.remote_port) == port_of(server)
        assert client.extra(SocketAttribute.local_address) == (LOOPBACK, port_of(client))
    assert SocketAttribute.local_port not in server.extra_attributes


async def test_without_a_host_a_socket_receives_on_every_interface_of_the_family() -> None:
    async with await create_udp_socket(socket.AF_INET) as sock:
        assert sock.extra(SocketAttribute.local_address) == ("0.0.0.0", port_of(sock))


async def test_a_family_or_a_host_has_to_be_given() -> None:
    words = 'Either "family" or "local_host" must be given'
    with pytest.raises(ValueError, match=words):
        await create_udp_socket()


async def test_the_local_port_counts_also_without_a_local_host() -> None:
    port = free_port()
    async with await create_connected_udp_socket(LOOPBACK, 9, local_port=port) as sock:
        assert port_of(sock) == port
    async with await create_udp_socket(socket.AF_INET, local_port=port) as other:
        assert port_of(other) == port


async def test_a_port_in_use_is_an_error_that_names_it() -> None:
    async with await create_udp_socket(local_host=LOOPBACK) as sock:
        port = port_of(sock)
        with pytest.raises(OSError, match=rf"127\.0\.0\.1 port {port}") as caught:
            await create_udp_socket(local_host=LOOPBACK, local_port=port)
        assert caught.value.errno == errno.EADDRINUSE
        with pytest.raises(OSError, match="binding to") as caught:
            await create_connected_udp_socket(LOOPBACK, 9, local_host=LOOPBACK, local_port=port)
        assert caught.value.errno == errno.EADDRINUSE


async def test_sockets_that_agree_share_a_port() -> None:
    async with await create_udp_socket(local_host=LOOPBACK, reuse_port=True) as one:
        async with await create_udp_socket(
            local_host=LOOPBACK, local_port=port_of(one), reuse_port=True
        ) as other:
            assert port_of(one) == port_of(other)


async def test_local_and_remote_host_must_have_a_family_in_common() -> None:
    with pytest.raises(socket.gaierror, match="Address family for hostname not supported"):
        await create_connected_udp_socket(LOOPBACK, 9, local_host="::1")


async def test_the_family_of_a_connected_socket_is_one_that_both_hosts_have() -> None:
    async with await create_connected_udp_socket(LOOPBACK, 9, local_host="localhost") as sock:
        assert sock.extra(SocketAttribute.family) is socket.AF_INET


@pytest.mark.parametrize("port", [-1, 65536])
async def test_a_port_that_there_is_not_is_refused(port: int) -> None:
    with pytest.raises(OverflowError, match="0-65535"):
        await create_udp_socket(local_host=LOOPBACK, local_port=port)
    with pytest.raises(OverflowError, match="0-65535"):
        await create_connected_udp_socket(LOOPBACK, port)
    async with await create_udp_socket(local_host=LOOPBACK) as sock:
        for host in (LOOPBACK, "localhost"):
            with pytest.raises(OverflowError, match="0-65535"):
                await sock.sendto(b"x", host, port)


async def test_a_name_that_does_not_resolve_is_an_error() -> None:
    with pytest.raises(socket.gaierror):
        await create_connected_udp_socket("no-such-host.invalid", 9)
    async with await create_udp_socket(local_host=LOOPBACK) as sock:
        with pytest.raises(socket.gaierror):
            await sock.sendto(b"x", "no-such-host.invalid", 9)


async def test_an_item_without_an_address_is_refused() -> None:
    async with await create_udp_socket(local_host=LOOPBACK) as sock:
        item: Any = (b"x", None)
        with pytest.raises(TypeError, match=re.escape("(data, (host, port))")):
            await sock.send(item)


async def test_a_datagram_that_is_too_large_is_refused_and_the_socket_goes_on() -> None:
    server, client = await pair()
    async with server, client:
        with pytest.raises(BrokenResourceError, match="too large") as caught:
            await client.send(bytes(LARGEST + 1))
        assert isinstance(caught.value.__cause__, OSError)
        assert caught.value.__cause__.errno == errno.EMSGSIZE
        with pytest.raises(BrokenResourceError, match="too large"):
            await server.sendto(bytes(LARGEST + 1), LOOPBACK, port_of(client))
        await client.send(b"fits")
        assert (await server.receive())[0] == b"fits"


async def test_that_nobody_receives_is_reported_to_a_connected_socket_once() -> None:
    server, client = await pair()
    async with client:
        await server.aclose()
        await client.send(b"lost")
        with pytest.raises(BrokenResourceError, match="refused") as caught:
            await client.receive()
        assert isinstance(caught.value.__cause__, ConnectionRefusedError)
        with move_on_after(0) as scope:
            await client.receive()
        assert scope.cancelled_caught


async def test_a_report_that_nobody_receives_wakes_a_waiting_task() -> None:
    server, client = await pair()
    async with client, create_task_group() as group:
        await server.aclose()

        async def receive() -> None:
            with pytest.raises(BrokenResourceError):
                await client.receive()

        group.start_soon(receive)
        await wait_all_tasks_blocked()
        await client.send(b"lost")


async def test_a_connected_socket_hears_its_peer_only() -> None:
    server, client = await pair()
    async with server, client, await create_udp_socket(local_host=LOOPBACK) as stranger:
        await stranger.sendto(b"not for you", LOOPBACK, port_of(client))
        await server.sendto(b"for you", LOOPBACK, port_of(client))
        assert await client.receive() == b"for you"


async def test_every_call_on_a_closed_socket_is_refused_but_aclose() -> None:
    server, client = await pair()
    for sock in (server, client):
        await sock.aclose()
        await sock.aclose()
        assert raw(sock).fileno() == -1
        assert "closed" in repr(sock)
        for _ in range(10):
            with pytest.raises(ClosedResourceError, match="closed on this side"):
                await sock.receive()
    with pytest.raises(ClosedResourceError):
        await client.send(b"x")
    for host in (LOOPBACK, "localhost"):
        with pytest.raises(ClosedResourceError):
            await server.sendto(b"x", host, 9)


async def test_closing_wakes_a_task_that_waits() -> None:
    async def receive(sock: UDPSocket | ConnectedUDPSocket) -> None:
        with pytest.raises(ClosedResourceError):
            await sock.receive()

    server, client = await pair()
    async with server, client, create_task_group() as group:
        group.start_soon(receive, server)
        group.start_soon(receive, client)
        await wait_all_tasks_blocked()
        await aclose_forcefully(server)
        await aclose_forcefully(client)


async def test_a_second_reader_is_refused_and_the_first_one_served() -> None:
    got: list[bytes] = []
    server, client = await pair()
    async with server, client, create_task_group() as group:

        async def receive() -> None:
            got.append((await server.receive())[0])

        group.start_soon(receive)
        await wait_all_tasks_blocked()
        with pytest.raises(BusyResourceError, match="already reading from"):
            await server.receive()
        await client.send(b"first")
    assert got == [b"first"]


async def test_a_cancelled_receive_takes_nothing() -> None:
    server, client = await pair()
    async with server, client:
        with move_on_after(0):
            await server.receive()
        async with create_task_group() as group:
            group.start_soon(server.receive)
            await wait_all_tasks_blocked()
            group.cancel_scope.cancel()
        await client.send(b"kept")
        assert (await server.receive())[0] == b"kept"


async def test_aclose_in_a_cancelled_scope_closes_and_then_raises() -> None:
    server, client = await pair()
    for sock in (server, client):
        with CancelScope() as scope:
            scope.cancel()
            await sock.aclose()
        assert scope.cancelled_caught
        assert raw(sock).fileno() == -1


async def test_a_cancel_at_any_checkpoint_leaves_no_descriptor() -> None:
    async def talk() -> None:
        async with await create_udp_socket(local_host=LOOPBACK) as server:
            async with await create_connected_udp_socket(
                "127.0.0.1", port_of(server), local_host=LOOPBACK
            ) as client:
                await client.send(b"ping")
                _, address = await server.receive()
                await server.send((b"pong", address))
                await client.receive()
                async with create_task_group() as group:
                    group.start_soon(client.send, b"later")
                    await server.receive()

    assert await cancel_at_each_checkpoint(talk) >= 8


@on_asyncio
async def test_a_socket_that_was_dropped_is_reported_and_does_not_haunt_its_successor() -> None:
    sock = await create_udp_socket(local_host=LOOPBACK)
    with move_on_after(0):
        await sock.receive()
    await checkpoint()  # asyncio holds what it threw, and so the frames, until the end of the step.
    holder = [sock]
    del sock
    with pytest.warns(ResourceWarning):
        holder.clear()
    server, client = await pair()
    async with server, client, create_task_group() as group:
        group.start_soon(server.receive)
        await wait_all_tasks_blocked()
        await client.send(b"for the new one")
