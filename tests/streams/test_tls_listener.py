"""The TLS listener: strangers that fail at the handshake, or take their time, harm nobody else."""

from __future__ import annotations

import logging
import ssl
from typing import Any

import pytest
from _tls_ends import LOOPBACK, client_context, server_context

from _harness._leaks import LoopReports
from creche import (
    ClosedResourceError,
    EndOfStream,
    Event,
    connect_tcp,
    create_task_group,
    create_tcp_listener,
)
from creche.abc import AnyByteStream, SocketAttribute
from creche.streams.tls import TLSAttribute, TLSListener, TLSStream


async def echo(stream: TLSStream) -> None:
    async with stream:
        async for data in stream:
            await stream.send(data)


async def is_served(port: int) -> None:
    async with await connect_tcp(LOOPBACK, port, ssl_context=client_context()) as stream:
        await stream.send(b"hello")
        assert await stream.receive() == b"hello"


async def test_a_failed_handshake_is_logged_and_the_next_client_is_served(
    loop_reports: LoopReports,
) -> None:
    async with await create_tcp_listener(local_host=LOOPBACK) as tcp, create_task_group() as group:
        listener = TLSListener(tcp, server_context())
        group.start_soon(listener.serve, echo)
        port = listener.extra(SocketAttribute.local_port)
        async with await connect_tcp(LOOPBACK, port) as stream:
            await stream.send(b"GET / HTTP/1.1\r\n\r\n")
            with pytest.raises(EndOfStream):
                while True:
                    await stream.receive()
        await is_served(port)
        group.cancel()
    (record,) = loop_reports.records
    assert (record.name, record.getMessage()) == (
        "creche.streams.tls",
        "Error during TLS handshake",
    )
    assert isinstance(loop_reports.errors()[0], ssl.SSLError)


async def test_a_handshake_that_takes_too_long_is_ended(loop_reports: LoopReports) -> None:
    async with await create_tcp_listener(local_host=LOOPBACK) as tcp, create_task_group() as group:
        listener = TLSListener(tcp, server_context(), handshake_timeout=0.02)
        group.start_soon(listener.serve, echo)
        port = listener.extra(SocketAttribute.local_port)
        async with await connect_tcp(LOOPBACK, port) as stream:
            with pytest.raises(EndOfStream):
                await stream.receive()
        listener.handshake_timeout = 30
        await is_served(port)
        group.cancel()
    (error,) = loop_reports.errors()
    assert isinstance(error, TimeoutError)


async def test_a_slow_handshake_keeps_nobody_waiting() -> None:
    async with await create_tcp_listener(local_host=LOOPBACK) as tcp, create_task_group() as group:
        group.start_soon(TLSListener(tcp, server_context()).serve, echo)
        port = tcp.extra(SocketAttribute.local_port)
        async with await connect_tcp(LOOPBACK, port):
            await is_served(port)
            group.cancel()


async def test_what_is_done_about_a_failed_handshake_can_be_changed() -> None:
    seen: list[BaseException] = []
    failed = Event()

    class Polite(TLSListener):
        @staticmethod
        async def handle_handshake_error(exc: BaseException, stream: AnyByteStream) -> None:
            seen.append(exc)
            await stream.send(b"sorry")
            await stream.aclose()
            failed.set()

    async with await create_tcp_listener(local_host=LOOPBACK) as tcp, create_task_group() as group:
        group.start_soon(Polite(tcp, server_context()).serve, echo)
        async with await connect_tcp(LOOPBACK, tcp.extra(SocketAttribute.local_port)) as stream:
            await stream.send(b"what is TLS?\r\n")
            assert b"".join([chunk async for chunk in stream]).endswith(b"sorry")
        await failed.wait()
        group.cancel()
    assert isinstance(seen[0], ssl.SSLError)


async def test_a_cancelled_handshake_closes_the_connection_and_is_not_logged() -> None:
    async with await create_tcp_listener(local_host=LOOPBACK) as tcp:
        async with create_task_group() as group:
            group.start_soon(TLSListener(tcp, server_context()).serve, echo)
            stream = await connect_tcp(LOOPBACK, tcp.extra(SocketAttribute.local_port))
            await is_served(tcp.extra(SocketAttribute.local_port))  # so this one was accepted
            group.cancel()
        async with stream:
            with pytest.raises(EndOfStream):
                await stream.receive()


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
async def test_what_is_no_exception_ends_the_server(
    error: type[BaseException], loop_reports: LoopReports
) -> None:
    class Stream:
        closed = False

        async def aclose(self) -> None:
            self.closed = True

    stream: Any = Stream()
    with pytest.raises(error):
        await TLSListener.handle_handshake_error(error(), stream)
    assert stream.closed
    assert loop_reports.records[0].levelno == logging.ERROR


async def test_it_has_the_attributes_of_the_wrapped_listener_and_closes_it() -> None:
    tcp = await create_tcp_listener(local_host=LOOPBACK)
    listener = TLSListener(tcp, server_context(), False, 5)
    assert listener.extra(TLSAttribute.standard_compatible) is False
    assert listener.extra(SocketAttribute.local_address)[0] == LOOPBACK
    assert repr(listener).startswith("TLSListener(listener=MultiListener(")
    await listener.aclose()
    with pytest.RaisesGroup(ClosedResourceError):
        await listener.serve(echo)
