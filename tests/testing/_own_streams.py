"""Pairs of Creche's own streams, and listeners, as the contract suites take them."""

from __future__ import annotations

import socket
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path
from ssl import PROTOCOL_TLS_CLIENT, PROTOCOL_TLS_SERVER, SSLContext
from typing import Any

import trustme

import creche
from creche.abc import (
    AnyByteStream,
    ByteReceiveStream,
    ByteSendStream,
    ByteStream,
    Listener,
    ObjectStream,
    SocketAttribute,
    SocketListener,
    SocketStream,
)
from creche.streams.buffered import BufferedByteReceiveStream, BufferedByteStream
from creche.streams.file import FileReadStream, FileWriteStream
from creche.streams.stapled import StapledByteStream, StapledObjectStream
from creche.streams.tls import TLSListener, TLSStream

LOOPBACK = "127.0.0.1"
Pair = tuple[ByteStream, ByteStream]
Reception = tuple[Listener[Any], Callable[[], Awaitable[AnyByteStream]]]


@cache
def contexts() -> tuple[SSLContext, SSLContext]:
    """A client's context and a server's that the client trusts."""
    authority = trustme.CA()
    client, server = SSLContext(PROTOCOL_TLS_CLIENT), SSLContext(PROTOCOL_TLS_SERVER)
    authority.configure_trust(client)
    authority.issue_cert("localhost").configure_cert(server)
    return client, server


@asynccontextmanager
async def tcp() -> AsyncIterator[tuple[SocketStream, SocketStream]]:
    async with await creche.create_tcp_listener(local_host=LOOPBACK) as listener:
        client = await creche.connect_tcp(LOOPBACK, listener.extra(SocketAttribute.local_port))
        first = listener.listeners[0]
        assert isinstance(first, SocketListener)
        yield client, await first.accept()


@asynccontextmanager
async def unix() -> AsyncIterator[tuple[SocketStream, SocketStream]]:
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/socket"
        async with await creche.create_unix_listener(path) as listener:
            client = await creche.connect_unix(path)
            first: Any = listener
            yield client, await first.accept()


async def socket_pair() -> Pair:
    left, right = socket.socketpair()
    return await SocketStream.from_socket(left), await SocketStream.from_socket(right)


@asynccontextmanager
async def tls() -> AsyncIterator[Pair]:
    async with tcp() as (left, right), creche.create_task_group() as group:
        client, server = contexts()
        wrapping = group.create_task(TLSStream.wrap(right, server_side=True, ssl_context=server))
        wrapped = await TLSStream.wrap(left, hostname="localhost", ssl_context=client)
        await wrapping
        yield wrapped, wrapping.return_value


@asynccontextmanager
async def buffered() -> AsyncIterator[Pair]:
    async with tcp() as ends:
        yield BufferedByteStream(ends[0]), BufferedByteStream(ends[1])


@asynccontextmanager
async def stapled() -> AsyncIterator[Pair]:
    async with tcp() as there, tcp() as back:
        yield StapledByteStream(there[0], back[1]), StapledByteStream(back[0], there[1])


@asynccontextmanager
async def through_a_process() -> AsyncIterator[tuple[ByteSendStream, ByteReceiveStream]]:
    async with await creche.open_process(["cat"]) as process:
        assert process.stdin is not None and process.stdout is not None
        yield process.stdin, process.stdout
        process.kill()


@asynccontextmanager
async def buffered_half() -> AsyncIterator[tuple[ByteSendStream, ByteReceiveStream]]:
    async with tcp() as (left, right):
        yield left, BufferedByteReceiveStream(right)


@asynccontextmanager
async def through_a_file() -> AsyncIterator[tuple[ByteSendStream, ByteReceiveStream]]:
    with tempfile.TemporaryDirectory() as folder:
        with Path(folder, "file").open("wb", buffering=0) as written:
            yield FileWriteStream(written), await FileReadStream.from_path(f"{folder}/file")


def two_way_memory(size: float = 0) -> tuple[ObjectStream[Any], ObjectStream[Any]]:
    there = creche.create_memory_object_stream[Any](size)
    back = creche.create_memory_object_stream[Any](size)
    return StapledObjectStream(there[0], back[1]), StapledObjectStream(back[0], there[1])


async def tcp_listener() -> Reception:
    listener = await creche.create_tcp_listener(local_host=LOOPBACK)
    port = listener.extra(SocketAttribute.local_port)
    return listener, lambda: creche.connect_tcp(LOOPBACK, port)


async def tls_listener() -> Reception:
    client, server = contexts()
    listener = await creche.create_tcp_listener(local_host=LOOPBACK)
    port = listener.extra(SocketAttribute.local_port)

    async def connect() -> AnyByteStream:
        return await creche.connect_tcp(
            LOOPBACK, port, ssl_context=client, tls_hostname="localhost"
        )

    return TLSListener(listener, server), connect


@asynccontextmanager
async def unix_listener() -> AsyncIterator[Reception]:
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/socket"
        yield await creche.create_unix_listener(path), lambda: creche.connect_unix(path)
