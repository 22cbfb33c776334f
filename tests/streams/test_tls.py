"""TLS streams: what they promise when the peer keeps to the rules."""

from __future__ import annotations

import ssl
from types import TracebackType
from typing import Any, Self

import pytest
from _bytes import Drip, in_memory
from _tls_ends import (
    HOST,
    LOOPBACK,
    STRASSE,
    authority,
    client_context,
    receive_exactly,
    secured,
    server_context,
    tcp_pair,
    tls_pair,
)

from creche import (
    BusyResourceError,
    CancelScope,
    ClosedResourceError,
    EndOfStream,
    connect_tcp,
    create_task_group,
    create_tcp_listener,
    wait_all_tasks_blocked,
)
from creche.abc import SocketAttribute, SocketStream
from creche.streams.tls import TLSAttribute, TLSConnectable, TLSListener, TLSStream

MESSAGE = bytes(range(256)) * 4000


async def answer(stream: TLSStream) -> None:
    async with stream:
        await stream.send(b"hello " + await stream.receive())


class Server:
    """A TLS server that answers, for the length of a block; `port` is where."""

    def __init__(self, **options: Any) -> None:
        self.options = options

    async def __aenter__(self) -> Self:
        tcp = await create_tcp_listener(local_host=LOOPBACK)
        self.listener = TLSListener(tcp, server_context(), **self.options)
        self.port: int = self.listener.extra(SocketAttribute.local_port)
        self.group = create_task_group()
        await self.group.__aenter__()
        self.group.start_soon(self.listener.serve, answer)
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None:
        self.group.cancel()
        await self.group.__aexit__(exc_type, exc_val, exc_tb)
        await self.listener.aclose()


async def test_a_client_and_a_server_talk() -> None:
    async with Server() as server:
        async with await connect_tcp(LOOPBACK, server.port, ssl_context=client_context()) as stream:
            await stream.send(b"world")
            assert await stream.receive() == b"hello world"
            with pytest.raises(EndOfStream):
                await stream.receive()


async def test_much_goes_both_ways_at_once() -> None:
    async with tls_pair() as (client, server), create_task_group() as group:
        for stream in (client, server):
            group.start_soon(stream.send, MESSAGE)
        got = [group.start_soon(receive_exactly, each, len(MESSAGE)) for each in (client, server)]
        assert [await each for each in got] == [MESSAGE, MESSAGE]


@pytest.mark.parametrize("item", [b"", b"x", bytearray(b"abc"), memoryview(MESSAGE)])
async def test_any_buffer_can_be_sent(item: bytes) -> None:
    async with tls_pair() as (client, server), create_task_group() as group:
        group.start_soon(client.send, item)
        assert await receive_exactly(server, len(item)) == bytes(item)
    async with tls_pair() as (client, server):
        import array

        await client.send(array.array("H", [1, 2]))  # type: ignore[arg-type]
        assert await server.receive() == array.array("H", [1, 2]).tobytes()


@pytest.mark.parametrize("wrong", ["text", 5])
async def test_what_is_no_bytes_is_said_and_harms_no_session(wrong: Any) -> None:
    async with tls_pair() as (client, server):
        with pytest.raises(TypeError, match="bytes"):
            await client.send(wrong)
        await client.send(b"bytes")
        assert await server.receive() == b"bytes"


async def test_a_record_is_received_in_parts_of_the_size_asked_for() -> None:
    async with tls_pair() as (client, server):
        await client.send(b"abcdef")
        assert [await server.receive(4), await server.receive(4)] == [b"abcd", b"ef"]
        with pytest.raises(ValueError, match="max_bytes must be a positive integer"):
            await server.receive(0)


async def test_it_works_one_byte_at_a_time() -> None:
    async with tcp_pair() as (client, server), create_task_group() as group:
        a, b = await secured(Drip(client), Drip(server))
        group.start_soon(a.send, MESSAGE[:3000])
        assert await receive_exactly(b, 3000) == MESSAGE[:3000]
        group.start_soon(a.aclose)
        with pytest.raises(EndOfStream):
            await b.receive()
        await b.aclose()


async def test_it_works_over_a_stream_of_objects_and_over_tls() -> None:
    near, far = in_memory()
    client, server = await secured(near, far)
    inner_client, inner_server = await secured(client, server)
    await inner_client.send(b"through two of them")
    assert await inner_server.receive() == b"through two of them"
    for each in (near, far):
        await each.aclose()


# What it knows


async def test_attributes_tell_of_the_session_and_of_the_transport() -> None:
    async with tls_pair() as (client, server):
        assert client.extra(TLSAttribute.tls_version) == "TLSv1.3"
        assert client.extra(TLSAttribute.cipher) == server.extra(TLSAttribute.cipher)
        assert client.extra(TLSAttribute.server_side) is False
        assert server.extra(TLSAttribute.server_side) is True
        assert client.extra(TLSAttribute.standard_compatible) is True
        certificate = client.extra(TLSAttribute.peer_certificate)
        assert certificate is not None
        assert ("DNS", HOST) in certificate["subjectAltName"]
        assert isinstance(client.extra(TLSAttribute.peer_certificate_binary), bytes)
        assert server.extra(TLSAttribute.peer_certificate_binary) is None
        assert client.extra(TLSAttribute.shared_ciphers) is None
        for name in ("group", "client_sigalg", "server_sigalg"):  # from Python 3.15 on
            told = getattr(client.extra(TLSAttribute.ssl_object), name, lambda: "unknown")()
            assert client.extra(getattr(TLSAttribute, name), "unknown") == told
        assert server.extra(TLSAttribute.shared_ciphers)
        assert client.extra(TLSAttribute.alpn_protocol) is None
        assert isinstance(client.extra(TLSAttribute.ssl_object), ssl.SSLObject)
        assert client.extra(SocketAttribute.remote_address)[0] == LOOPBACK
    async with tls_pair(version=ssl.TLSVersion.TLSv1_2) as (client, server):
        assert client.extra(TLSAttribute.tls_version) == "TLSv1.2"
        unique = client.extra(TLSAttribute.channel_binding_tls_unique)
        assert unique == server.extra(TLSAttribute.channel_binding_tls_unique) != b""


async def test_alpn_chooses_a_protocol() -> None:
    for_server, for_client = server_context(), client_context()
    for_server.set_alpn_protocols(["h2", "http/1.1"])
    for_client.set_alpn_protocols(["http/1.1"])
    async with tcp_pair() as (near, far), create_task_group() as group:
        accepted = group.create_task(TLSStream.wrap(far, server_side=True, ssl_context=for_server))
        client = await TLSStream.wrap(near, hostname=HOST, ssl_context=for_client)
        assert client.extra(TLSAttribute.alpn_protocol) == "http/1.1"
        assert (await accepted).extra(TLSAttribute.alpn_protocol) == "http/1.1"


# Who it is


@pytest.mark.parametrize("hostname", [STRASSE, STRASSE.upper().replace("SS", "ß"), HOST + "."])
async def test_names_are_written_by_idna_2008_and_without_a_last_dot(hostname: str) -> None:
    async with Server() as server:
        async with await connect_tcp(
            LOOPBACK, server.port, ssl_context=client_context(), tls_hostname=hostname
        ) as stream:
            await stream.send(b"you")
            assert await stream.receive() == b"hello you"


@pytest.mark.parametrize("hostname", ["ü" * 70, "a..ü", "‐ü"])
async def test_what_is_no_host_name_is_an_error_that_names_it(hostname: str) -> None:
    near, far = in_memory()
    async with near, far:
        with pytest.raises(ValueError, match="is not a valid international host name") as caught:
            await TLSStream.wrap(near, hostname=hostname)
        assert repr(hostname) in str(caught.value)


async def test_a_connectable_is_a_client_also_without_a_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from creche import TCPConnectable

    with authority().cert_pem.tempfile() as trusted:
        monkeypatch.setenv("SSL_CERT_FILE", trusted)
        async with Server() as server:
            for hostname in (HOST, None):
                connectable = TLSConnectable(
                    TCPConnectable(LOOPBACK, server.port), hostname=hostname
                )
                async with await connectable.connect() as stream:
                    await stream.send(b"you")
                    assert await stream.receive() == b"hello you"
                assert "TLSConnectable(connectable=" in repr(connectable)


# Ends


async def test_one_direction_can_be_ended_alone() -> None:
    async with tls_pair() as (client, server):
        await server.send(b"unread")
        await client.send(b"question")
        await client.send_eof()
        await client.send_eof()
        assert [chunk async for chunk in server] == [b"question"]
        await server.send(b" and answer")
        with pytest.raises(ClosedResourceError, match=r"send_eof\(\)"):
            await client.send(b"more")
        assert await receive_exactly(client, 17) == b"unread and answer"
        await server.send_eof()
        with pytest.raises(EndOfStream):
            await client.receive()
        await client.aclose()
        await server.aclose()


async def test_one_direction_cannot_be_ended_alone_before_tls_1_3() -> None:
    async with tls_pair(version=ssl.TLSVersion.TLSv1_2) as (client, server):
        with pytest.raises(NotImplementedError, match=r"at least TLSv1\.3.*uses TLSv1\.2"):
            await client.send_eof()
        await client.send(b"still there")
        assert await server.receive() == b"still there"


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_unwrap_gives_the_transport_back(version: ssl.TLSVersion) -> None:
    async with tls_pair(version=version) as (client, server):

        async def finish() -> None:
            with pytest.raises(EndOfStream):
                await server.receive()
            plain, left = await server.unwrap()
            assert plain is server.transport_stream
            await plain.send(b"in the clear" + left)

        async with create_task_group() as group:
            group.start_soon(finish)
            plain, left = await client.unwrap()
            assert isinstance(plain, SocketStream)
            assert await receive_rest(plain, left, 12) == b"in the clear"
        for attempt in (client.send(b"x"), client.receive(), client.unwrap()):
            with pytest.raises(ClosedResourceError, match="closed or unwrapped"):
                await attempt


async def receive_rest(stream: SocketStream, data: bytes, size: int) -> bytes:
    while len(data) < size:
        data += await stream.receive()
    return data


@pytest.mark.parametrize("received", [False, True])
async def test_unwrap_loses_nothing_that_the_peer_had_sent(received: bool) -> None:
    near, far = in_memory()
    client, server = await secured(near, far)
    await server.send(b"wait, ")
    if received:
        await server.send(b"a moment, ")
        assert await client.receive(2) == b"wa"
    with pytest.raises(ssl.SSLError, match=r"receive.. until EndOfStream"):
        await client.unwrap()
    await server.send(b"there is more")
    async with create_task_group() as group:
        group.start_soon(server.aclose)
        expected = b"it, a moment, there is more" if received else b"wait, there is more"
        assert b"".join([chunk async for chunk in client]) == expected
        plain, left = await client.unwrap()
        assert (plain, left) == (near, b"")
    await near.aclose()


async def test_closing_says_goodbye_and_drops_what_was_not_received() -> None:
    async with tls_pair() as (client, server), create_task_group() as group:
        await server.send(b"nobody wants this")
        group.start_soon(client.aclose)
        with pytest.raises(EndOfStream):
            await server.receive()
        await server.aclose()
        await server.aclose()
    for attempt in (client.send(b"x"), client.receive(), client.send_eof(), client.unwrap()):
        with pytest.raises(ClosedResourceError):
            await attempt
    assert repr(client).startswith("<TLSStream closed, over ")


# Other tasks, cancellation


async def test_one_task_at_a_time_receives_and_one_sends() -> None:
    async with tls_pair() as (client, _), create_task_group() as group:
        group.start_soon(client.receive)
        group.start_soon(client.send, MESSAGE * 20)
        await wait_all_tasks_blocked()
        with pytest.raises(BusyResourceError, match="already reading from"):
            await client.receive()
        with pytest.raises(BusyResourceError, match="already reading from"):
            await client.unwrap()
        for attempt in (client.send(b"y"), client.send_eof()):
            with pytest.raises(BusyResourceError, match="already writing to"):
                await attempt
        group.cancel()


@pytest.mark.parametrize("compatible", [True, False])
async def test_closing_wakes_a_task_that_receives(compatible: bool) -> None:
    async with tls_pair(standard_compatible=compatible) as (client, _):

        async def receive() -> None:
            with pytest.raises(ClosedResourceError):
                await client.receive()

        async with create_task_group() as group:
            group.start_soon(receive)
            await wait_all_tasks_blocked()
            await client.aclose()


@pytest.mark.parametrize("pending", [True, False])
async def test_receiving_and_sending_are_checkpoints(pending: bool) -> None:
    async with tls_pair() as (client, server):
        if pending:
            await server.send(b"abcdef")
            assert await client.receive(3) == b"abc"
        with CancelScope() as scope:
            scope.cancel()
            await client.receive()
        assert scope.cancelled_caught
        with CancelScope() as scope:
            scope.cancel()
            await client.send(b"never sent")
        assert scope.cancelled_caught
        await client.send(b"sent")
        assert await server.receive() == b"sent"
