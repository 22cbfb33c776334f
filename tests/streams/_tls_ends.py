"""Certificates, contexts and connected TLS streams for the tests of TLS."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from typing import Any

import trustme

from creche import connect_tcp, create_task_group, create_tcp_listener
from creche.abc import AnyByteStream, SocketAttribute, SocketListener, SocketStream
from creche.streams.tls import TLSStream

LOOPBACK = "127.0.0.1"
HOST = "localhost"
STRASSE = "straße.example"
STRASSE_2008 = "xn--strae-oqa.example"  # IDNA 2003 makes `strasse.example` of it


@cache
def authority() -> trustme.CA:
    return trustme.CA()


@cache
def certificate() -> trustme.LeafCert:
    return authority().issue_cert(HOST, LOOPBACK, STRASSE_2008)


def server_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate().configure_cert(context)
    return context


def client_context(version: ssl.TLSVersion | None = None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    authority().configure_trust(context)
    if version is not None:
        context.minimum_version = context.maximum_version = version
    return context


def stranger_context() -> ssl.SSLContext:
    """A client's context that does not trust our authority."""
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


async def secured(
    client: AnyByteStream, server: AnyByteStream, **options: Any
) -> tuple[TLSStream, TLSStream]:
    """Do the handshake on both ends of a connection."""
    version = options.pop("version", None)
    async with create_task_group() as group:
        accepted = group.create_task(
            TLSStream.wrap(server, server_side=True, ssl_context=server_context(), **options)
        )
        connected = await TLSStream.wrap(
            client, hostname=HOST, ssl_context=client_context(version), **options
        )
    return connected, accepted.return_value


@asynccontextmanager
async def tcp_pair() -> AsyncIterator[tuple[SocketStream, SocketStream]]:
    async with await create_tcp_listener(local_host=LOOPBACK) as listener:
        client = await connect_tcp(LOOPBACK, listener.extra(SocketAttribute.local_port))
        first = listener.listeners[0]
        assert isinstance(first, SocketListener)
        server = await first.accept()
    async with client, server:
        yield client, server


@asynccontextmanager
async def tls_pair(**options: Any) -> AsyncIterator[tuple[TLSStream, TLSStream]]:
    """Both ends of a TLS connection over TCP; at the end of the block the sockets are closed."""
    async with tcp_pair() as (client, server):
        yield await secured(client, server, **options)


async def receive_exactly(stream: AnyByteStream, size: int) -> bytes:
    data = b""
    while len(data) < size:
        data += await stream.receive()
    return data
