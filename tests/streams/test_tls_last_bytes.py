"""What was sent before a TLS stream was closed arrives, though neither end has read what is TLS's own.

A system that closes a socket with unread bytes in it resets the connection, and drops what is on its way.
With TLS a program cannot see such bytes: session tickets, a goodbye, a change of keys.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio
from _tls_ends import (
    HOST,
    LOOPBACK,
    authority,
    certificate,
    client_context,
    secured,
    server_context,
    tcp_pair,
)

from _harness import on_asyncio, on_trio
from creche import (
    BrokenResourceError,
    CancelScope,
    connect_tcp,
    create_memory_object_stream,
    create_task_group,
    create_tcp_listener,
    fail_after,
    sleep,
    to_thread,
    wait_all_tasks_blocked,
    wait_readable,
)
from creche.abc import SocketAttribute
from creche.streams._tls import tickets as _tls_tickets
from creche.streams.stapled import StapledObjectStream
from creche.streams.tls import TLSAttribute, TLSListener, TLSStream

MUCH = bytes(range(256)) * 4000  # more than the buffers of both systems take
VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]
each_version = pytest.mark.parametrize("version", VERSIONS, ids=lambda each: each.name)


async def send_and_close(port: int, version: ssl.TLSVersion | None = None) -> None:
    """Be a client that only sends, as one of a log does."""
    stream = await connect_tcp(
        LOOPBACK, port, ssl_context=client_context(version), tls_standard_compatible=False
    )
    async with stream:
        await stream.send(MUCH)


async def receive_slowly(stream: TLSStream) -> bytes:
    received = b""
    with suppress(BrokenResourceError):  # an end without a goodbye, where one was agreed on
        async for data in stream:
            received += data
            await sleep(0.0005)
    return received


# Both ends are ours


@each_version
@pytest.mark.parametrize("compatible", [False, True])
async def test_a_client_that_only_sends_loses_nothing(
    version: ssl.TLSVersion, compatible: bool
) -> None:
    received: list[bytes] = []

    async def handle(stream: TLSStream) -> None:
        async with stream:
            received.append(await receive_slowly(stream))
        group.cancel()

    async with await create_tcp_listener(local_host=LOOPBACK) as tcp, create_task_group() as group:
        listener = TLSListener(tcp, server_context(), compatible)
        group.start_soon(listener.serve, handle)
        with CancelScope(shield=True):
            await send_and_close(tcp.extra(SocketAttribute.local_port), version)
    assert received == [MUCH]


async def test_a_server_that_has_not_read_the_goodbye_loses_nothing() -> None:
    async with tcp_pair() as pair:
        client, server = await secured(*pair, standard_compatible=False)
        async with create_task_group() as group:
            await client.send(b"question")
            assert await server.receive() == b"question"
            await client.send_eof()
            await wait_all_tasks_blocked()
            answer = group.start_soon(receive_slowly, client)
            await server.send(MUCH)
            await server.aclose()
            assert await answer == MUCH


async def test_a_server_gives_out_its_tickets_with_its_first_bytes() -> None:
    async with tcp_pair() as pair:
        client, server = await secured(*pair)
        tls = client.extra(TLSAttribute.ssl_object)
        assert tls.session is not None and not tls.session.has_ticket
        await client.send(b"ping")
        assert await server.receive() == b"ping"
        async with create_task_group() as group:
            received = group.start_soon(client.receive)
            await wait_all_tasks_blocked()
            assert not tls.session.has_ticket
            await server.send(b"pong")
            assert await received == b"pong"
        assert tls.session.has_ticket


async def test_a_handshake_over_a_stream_without_a_buffer_is_no_deadlock() -> None:
    to_server, from_client = create_memory_object_stream[bytes](0)
    to_client, from_server = create_memory_object_stream[bytes](0)
    near = StapledObjectStream(to_server, from_server)
    far = StapledObjectStream(to_client, from_client)
    client, server = await secured(near, far, standard_compatible=False)
    async with create_task_group() as group:
        group.start_soon(client.send, b"hello")
        assert await server.receive() == b"hello"
    for stream in (client, server):
        await stream.aclose()


# Servers of others, which send their tickets at once


def read_slowly(receive: Callable[[], bytes]) -> bytes:
    received = b""
    while data := receive():
        received += data
        time.sleep(0.0005)
    return received


def serve_with_ssl(listener: socket.socket, received: list[bytes], tickets: int = 2) -> None:
    context = server_context()
    context.num_tickets = tickets
    raw, _ = listener.accept()
    with raw, context.wrap_socket(raw, server_side=True) as stream:
        received.append(read_slowly(partial(stream.recv, 65536)))  # an end needs no goodbye here


async def test_the_standard_library_s_server_gets_all() -> None:
    received: list[bytes] = []
    with socket.create_server((LOOPBACK, 0)) as listener:
        thread = threading.Thread(target=serve_with_ssl, args=(listener, received))
        thread.start()
        await send_and_close(listener.getsockname()[1])
        await to_thread.run_sync(thread.join)
    assert received == [MUCH]


async def test_a_client_whose_tickets_have_come_does_not_wait(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def waits(*_: object) -> None:
        pytest.fail("the tickets are here: there is nothing to wait for")

    certificate()  # made once, and not by two threads
    received: list[bytes] = []
    with socket.create_server((LOOPBACK, 0)) as listener:
        thread = threading.Thread(target=serve_with_ssl, args=(listener, received, 1))
        thread.start()
        port = listener.getsockname()[1]
        async with await connect_tcp(
            LOOPBACK, port, ssl_context=client_context(), tls_standard_compatible=False
        ) as client:
            await wait_readable(client.extra(SocketAttribute.raw_socket))
            monkeypatch.setattr(_tls_tickets, "APART", 0.0)
            monkeypatch.setattr(_tls_tickets, "_wait", waits)
            await client.send(MUCH)
        await to_thread.run_sync(thread.join)
    assert received == [MUCH]


async def test_openssl_s_server_gets_all(tmp_path: Path) -> None:
    leaf = certificate()
    pem = tmp_path / "server.pem"
    leaf.private_key_and_cert_chain_pem.write_to_path(str(pem))
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
    command = [shutil.which("openssl") or "openssl", "s_server", "-accept", f"{LOOPBACK}:{port}",
               "-cert", str(pem), "-naccept", "1", "-tls1_3"]  # fmt: skip
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as child:
        assert child.stdout is not None
        try:
            while b"ACCEPT" not in child.stdout.readline():
                pass
            await send_and_close(port)
            shown = await to_thread.run_sync(
                read_slowly, partial(os.read, child.stdout.fileno(), 65536)
            )
        finally:
            child.kill()
    assert MUCH in shown


@pytest.mark.backends(
    "asyncio", "asyncio+eager"
)  # uvloop's server loses data at an end without a goodbye
async def test_asyncio_s_server_gets_all() -> None:
    received: list[bytes] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        data = b""
        while chunk := await reader.read(65536):
            data += chunk
            await asyncio.sleep(0.0005)
        received.append(data)
        writer.close()
        done.set()

    done = asyncio.Event()
    async with await asyncio.start_server(handle, LOOPBACK, 0, ssl=server_context()) as server:
        await send_and_close(server.sockets[0].getsockname()[1])
        with fail_after(10):
            await done.wait()
    assert received == [MUCH]


@on_trio
async def test_trio_s_server_gets_all() -> None:
    received: list[bytes] = []

    async def handle(stream: trio.SSLStream[trio.SocketStream]) -> None:
        data = b""
        async for chunk in stream:
            data += chunk
            await trio.sleep(0.0005)
        received.append(data)
        nursery.cancel_scope.cancel()

    async with trio.open_nursery() as nursery:
        serve: Any = partial(
            trio.serve_ssl_over_tcp,
            handle,
            0,
            server_context(),
            host=LOOPBACK,
            https_compatible=True,
        )
        listeners = await nursery.start(serve)
        await send_and_close(listeners[0].transport_listener.socket.getsockname()[1])
    assert received == [MUCH]


# Clients of others, which only send


def send_with_ssl(port: int) -> None:
    with socket.create_connection((LOOPBACK, port)) as raw:
        with client_context().wrap_socket(raw, server_hostname=HOST) as stream:
            stream.sendall(MUCH)


def send_with_openssl(port: int, trusted: str) -> None:
    command = [shutil.which("openssl") or "openssl", "s_client", "-connect", f"{LOOPBACK}:{port}",
               "-CAfile", trusted, "-verify_return_error", "-quiet", "-no_ign_eof"]  # fmt: skip
    subprocess.run(command, input=MUCH, check=True, capture_output=True)


async def send_with_asyncio(port: int) -> None:
    _, writer = await asyncio.open_connection(LOOPBACK, port, ssl=client_context())
    writer.write(MUCH)
    writer.close()
    await writer.wait_closed()


async def send_with_trio(port: int) -> None:
    client = await trio.open_ssl_over_tcp_stream(
        LOOPBACK, port, ssl_context=client_context(), https_compatible=True
    )
    async with client:
        await client.send_all(MUCH)


async def received_from(send: Callable[[int], Any]) -> bytes:
    """Serve one client, `send(port)`, and return what came."""

    async def handle(stream: TLSStream) -> None:
        async with stream:
            received.append(await receive_slowly(stream))
        serving.cancel()

    received: list[bytes] = []
    async with await create_tcp_listener(local_host=LOOPBACK) as tcp, create_task_group() as group:
        serving = group.cancel_scope
        group.start_soon(TLSListener(tcp, server_context(), False).serve, handle)
        with CancelScope(shield=True):
            await send(tcp.extra(SocketAttribute.local_port))
    return b"".join(received)


async def test_the_standard_library_s_client_loses_nothing() -> None:
    assert await received_from(lambda port: to_thread.run_sync(send_with_ssl, port)) == MUCH


async def test_openssl_s_client_loses_nothing(tmp_path: Path) -> None:
    trusted = tmp_path / "ca.pem"
    authority().cert_pem.write_to_path(str(trusted))

    async def send(port: int) -> None:
        await to_thread.run_sync(send_with_openssl, port, str(trusted))

    assert await received_from(send) == MUCH


@on_asyncio
async def test_asyncio_s_client_loses_nothing() -> None:
    assert await received_from(send_with_asyncio) == MUCH


@on_trio
async def test_trio_s_client_loses_nothing() -> None:
    assert await received_from(send_with_trio) == MUCH
