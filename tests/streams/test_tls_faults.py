"""TLS streams when the peer, the certificate or the caller does not keep to the rules."""

from __future__ import annotations

import socket
import ssl
import struct
from typing import Any

import pytest
from _bytes import Script, cancelled_at, in_memory
from _tls_ends import (
    HOST,
    LOOPBACK,
    client_context,
    receive_exactly,
    secured,
    server_context,
    stranger_context,
    tcp_pair,
    tls_pair,
)

from creche import (
    BrokenResourceError,
    CancelScope,
    ClosedResourceError,
    EndOfStream,
    connect_tcp,
    create_task_group,
    create_tcp_listener,
    move_on_after,
    wait_all_tasks_blocked,
)
from creche.abc import SocketAttribute
from creche.streams._tls import stream as tls_stream
from creche.streams.stapled import StapledByteStream
from creche.streams.tls import TLSListener, TLSStream

MUCH = b"m" * 20_000_000


# Truncation


async def _nobody(stream: TLSStream) -> None:
    raise AssertionError("no handshake was to succeed")


async def test_a_connection_that_is_cut_off_is_told_from_one_that_is_done() -> None:
    async with tls_pair() as (client, server):
        await server.send(b"half of the tr")
        await server.transport_stream.aclose()
        assert await client.receive() == b"half of the tr"
        for _ in range(2):
            with pytest.raises(BrokenResourceError, match=r"cut off.*without a goodbye") as caught:
                await client.receive()
            assert isinstance(caught.value.__cause__, ssl.SSLEOFError)
        with pytest.raises(BrokenResourceError, match="cut off"):
            await client.unwrap()
        await client.aclose()


async def test_a_connection_that_is_cut_off_in_a_record_loses_only_that() -> None:
    near, far = in_memory()
    async with near, far:
        client, server = await secured(near, far)
        await server.send(b"whole")
        await server.send(b"half")
        await far.send_eof()
        *chunks, last = [chunk async for chunk in near]
        client.transport_stream = StapledByteStream(near, Script(*chunks, last[:10]))  # type: ignore[arg-type]
        assert await client.receive() == b"whole"
        with pytest.raises(BrokenResourceError, match="cut off"):
            await client.receive()


async def test_where_it_was_agreed_on_a_cut_is_the_end() -> None:
    async with tls_pair(standard_compatible=False) as (client, server):
        await server.send(b"all of it")
        await server.aclose()
        assert [chunk async for chunk in client] == [b"all of it"]
        with pytest.raises(EndOfStream):
            await client.receive()
        with pytest.raises(EndOfStream):
            await client.unwrap()


@pytest.mark.parametrize("compatible", [True, False])
async def test_a_peer_that_leaves_during_the_handshake_is_an_error(compatible: bool) -> None:
    near, far = in_memory()
    async with near:
        await far.aclose()
        with pytest.raises(BrokenResourceError):
            await TLSStream.wrap(near, hostname=HOST, standard_compatible=compatible)
    near, far = in_memory()
    async with near, far:
        await far.send_eof()
        with pytest.raises(BrokenResourceError, match="during the TLS handshake") as caught:
            await TLSStream.wrap(near, hostname=HOST, standard_compatible=compatible)
        assert isinstance(caught.value.__cause__, ssl.SSLEOFError)


async def test_what_is_not_tls_breaks_the_stream_for_good() -> None:
    async with tls_pair() as (client, server):
        await client.transport_stream.send(b"GET / HTTP/1.1\r\n\r\n")
        for _ in range(2):
            with pytest.raises(BrokenResourceError, match="TLS has failed") as caught:
                await server.receive()
            assert isinstance(caught.value.__cause__, ssl.SSLError)
        with pytest.raises(BrokenResourceError, match="TLS has failed"):
            await server.send(b"x")
        with pytest.raises(BrokenResourceError, match="TLS has failed") as caught:
            await client.receive()
        assert "ALERT" in str(caught.value.__cause__)


@pytest.mark.parametrize("sending", [False, True])
async def test_a_reset_is_a_broken_stream_with_its_cause(sending: bool) -> None:
    async with tls_pair() as (client, server), create_task_group() as group:

        async def work() -> None:
            with pytest.raises(BrokenResourceError) as caught:
                await (client.send(MUCH) if sending else client.receive())
            assert isinstance(caught.value.__cause__, OSError)

        group.start_soon(work)
        await wait_all_tasks_blocked()
        raw = server.extra(SocketAttribute.raw_socket)
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        await server.transport_stream.aclose()
    await client.aclose()


# Certificates


class Quiet(TLSListener):
    """Keeps what goes wrong in a list instead of in the log."""

    errors: list[BaseException]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.errors = []

    async def handle_handshake_error(self, exc: BaseException, stream: Any) -> None:  # type: ignore[override]
        self.errors.append(exc)
        await stream.aclose()


@pytest.mark.parametrize(
    ("context", "hostname", "words"),
    [
        (stranger_context, HOST, "unable to get local issuer certificate"),
        (client_context, "example.com", "not valid for 'example.com'"),
        (client_context, "127.0.0.2", "IP address mismatch"),
    ],
)
async def test_a_wrong_certificate_ends_the_handshake_on_both_sides(
    context: Any, hostname: str, words: str
) -> None:
    async with await create_tcp_listener(local_host=LOOPBACK) as tcp:
        listener = Quiet(tcp, server_context())
        async with create_task_group() as group:
            group.start_soon(listener.serve, _nobody)
            port = tcp.extra(SocketAttribute.local_port)
            with pytest.raises(ssl.SSLCertVerificationError, match=words):
                await connect_tcp(LOOPBACK, port, ssl_context=context(), tls_hostname=hostname)
            while not listener.errors:
                await wait_all_tasks_blocked()
                with move_on_after(0.01):
                    await wait_all_tasks_blocked()
            group.cancel()
    assert "ALERT" in str(listener.errors[0])


async def test_a_client_without_the_certificate_that_is_wanted_hears_of_it() -> None:
    for_server = server_context()
    for_server.verify_mode = ssl.CERT_REQUIRED
    async with tcp_pair() as (near, far), create_task_group() as group:

        async def accept() -> None:
            with pytest.raises(ssl.SSLError, match="PEER_DID_NOT_RETURN_A_CERTIFICATE"):
                await TLSStream.wrap(far, server_side=True, ssl_context=for_server)

        group.start_soon(accept)
        client = await TLSStream.wrap(near, hostname=HOST, ssl_context=client_context())
        with pytest.raises(BrokenResourceError, match="TLS has failed") as caught:
            await client.receive()
        assert "CERTIFICATE_REQUIRED" in str(caught.value.__cause__)


async def test_a_server_that_does_not_speak_tls_is_an_error_that_leaves_nothing_open() -> None:
    async with await create_tcp_listener(local_host=LOOPBACK) as tcp, create_task_group() as group:

        async def speak(stream: Any) -> None:
            async with stream:
                await stream.send(b"220 ready to serve mail\r\n")
                await receive_exactly(stream, 1)

        group.start_soon(tcp.serve, speak)
        with pytest.raises(ssl.SSLError, match=r"WRONG_VERSION_NUMBER|record"):
            await connect_tcp(LOOPBACK, tcp.extra(SocketAttribute.local_port), tls=True)
        group.cancel()


# A cancelled send


async def test_a_cancelled_send_is_cut_off_and_not_corrupted() -> None:
    async with tls_pair() as (client, server):
        await client.send(b"before")
        with move_on_after(0.02) as scope:
            await client.send(MUCH)
        assert scope.cancelled_caught
        for attempt in (client.send(b"after"), client.send_eof(), client.unwrap()):
            with pytest.raises(BrokenResourceError, match="an earlier send was cancelled"):
                await attempt
        async with create_task_group() as group:
            group.start_soon(client.aclose)
            assert await receive_exactly(server, 6) == b"before"
            got = 0
            with pytest.raises(BrokenResourceError, match=r"cut off|Connection reset"):
                while True:
                    chunk = await server.receive()
                    assert chunk == MUCH[: len(chunk)]
                    got += len(chunk)
        assert 0 < got < len(MUCH)
        await server.aclose()


async def test_nothing_of_a_cancelled_send_is_written_later() -> None:
    near, far = in_memory(1)
    async with near, far, create_task_group() as group:
        accepted = group.create_task(
            TLSStream.wrap(far, server_side=True, ssl_context=server_context())
        )
        client = await TLSStream.wrap(near, hostname=HOST, ssl_context=client_context())
        server = await accepted
        await client.send(b"one")
        with CancelScope() as scope:
            group.start_soon(cancel_when_blocked, scope)
            await client.send(b"two")
        assert scope.cancelled_caught
        assert await server.receive() == b"one"
        with pytest.raises(BrokenResourceError, match="an earlier send was cancelled"):
            await client.send(b"three")
        await client.aclose()
        with pytest.raises(BrokenResourceError, match="cut off"):
            await server.receive()


async def cancel_when_blocked(scope: CancelScope) -> None:
    await wait_all_tasks_blocked()
    scope.cancel()


async def test_receiving_goes_on_after_a_cancelled_send() -> None:
    async with tls_pair() as (client, server):
        with move_on_after(0.02):
            await client.send(MUCH)
        await server.send(b"still here")
        assert await client.receive() == b"still here"


async def test_a_peer_that_never_reads_holds_a_send_up_and_not_the_close() -> None:
    async with tls_pair() as (client, _), create_task_group() as group:

        async def send() -> None:
            with pytest.raises(ClosedResourceError):
                await client.send(MUCH)

        group.start_soon(send)
        await wait_all_tasks_blocked()
        await client.aclose()


# Closing


async def test_a_peer_that_says_no_goodbye_is_not_waited_for_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tls_stream, "GOODBYE_TIMEOUT", 0.01)
    async with tls_pair() as (client, server):
        await client.aclose()
        assert client.extra(SocketAttribute.raw_socket).fileno() == -1
        with pytest.raises(EndOfStream):
            await server.receive()


async def test_a_peer_that_is_gone_does_not_make_closing_fail() -> None:
    async with tls_pair() as (client, server):
        await server.transport_stream.aclose()
        await client.aclose()
    async with tls_pair() as (client, server):
        await client.send(b"unread, so that the peer resets")
        await server.transport_stream.aclose()
        await client.aclose()


async def test_closing_under_cancellation_closes_and_then_raises() -> None:
    async with tls_pair() as (client, _):
        with CancelScope() as scope:
            scope.cancel()
            await client.aclose()
        assert scope.cancelled_caught
        assert client.extra(SocketAttribute.raw_socket).fileno() == -1


# Cancelled at every await. The harness finds descriptors that stay open.


async def every_step(operation: Any) -> None:
    for step in range(1, 60):
        async with tcp_pair() as (near, far):
            reached = await operation(step, near, far)
        if not reached:
            assert step > 1
            return
    pytest.fail("it never ran to its end")


async def test_a_handshake_can_be_cancelled_at_every_await() -> None:
    async def wrap(step: int, near: Any, far: Any) -> bool:
        async with create_task_group() as group:
            group.start_soon(accept, far)
            made = TLSStream.wrap(near, hostname=HOST, ssl_context=client_context())
            reached, client = await cancelled_at(step, made)
            await (client or near).aclose()
        return reached

    async def accept(stream: Any) -> None:
        try:
            server = await TLSStream.wrap(stream, server_side=True, ssl_context=server_context())
            async with server:
                await server.receive()
        except (BrokenResourceError, EndOfStream):
            await stream.aclose()

    await every_step(wrap)


async def test_connecting_can_be_cancelled_at_every_await() -> None:
    async with await create_tcp_listener(local_host=LOOPBACK) as tcp:
        listener = Quiet(tcp, server_context())
        port = tcp.extra(SocketAttribute.local_port)

        async def handle(stream: TLSStream) -> None:
            async with stream:
                with pytest.raises((EndOfStream, BrokenResourceError)):
                    await stream.receive()

        async with create_task_group() as group:
            group.start_soon(listener.serve, handle)
            reached = True
            for step in range(1, 60):
                reached, stream = await cancelled_at(
                    step, connect_tcp(LOOPBACK, port, ssl_context=client_context())
                )
                if stream is not None:
                    await stream.aclose()
                if not reached:
                    break
            group.cancel()
    assert not reached


async def test_receiving_can_be_cancelled_at_every_await_and_loses_nothing() -> None:
    async def receive(step: int, near: Any, far: Any) -> bool:
        client, server = await secured(near, far)
        async with create_task_group() as group:
            group.start_soon(send_when_blocked, server)
            reached, got = await cancelled_at(step, client.receive())
            if got is None:
                got = await client.receive()
            assert got == b"sent"
        return reached

    async def send_when_blocked(stream: TLSStream) -> None:
        await wait_all_tasks_blocked()
        await stream.send(b"sent")

    await every_step(receive)


async def test_closing_can_be_cancelled_at_every_await() -> None:
    async def close(step: int, near: Any, far: Any) -> bool:
        client, server = await secured(near, far)
        async with create_task_group() as group:
            group.start_soon(answer_goodbye, server)
            reached, _ = await cancelled_at(step, client.aclose())
            assert near.extra(SocketAttribute.raw_socket).fileno() == -1
        return reached

    async def answer_goodbye(stream: TLSStream) -> None:
        async with stream:
            try:
                await stream.receive()
            except (EndOfStream, BrokenResourceError):
                pass

    await every_step(close)


async def test_sending_can_be_cancelled_at_every_await_and_is_never_corrupted() -> None:
    data = bytes(range(256)) * 40000

    async def send(step: int, near: Any, far: Any) -> bool:
        client, server = await secured(near, far)
        got = bytearray()

        async def receive() -> None:
            try:
                while True:
                    got.extend(await server.receive())
            except (EndOfStream, BrokenResourceError):
                pass
            await server.aclose()

        async with create_task_group() as group:
            group.start_soon(receive)
            reached, _ = await cancelled_at(step, client.send(data))
            await client.aclose()
        assert data.startswith(got)
        assert reached or got == data
        return reached

    await every_step(send)
