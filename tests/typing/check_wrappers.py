"""What type checkers see of the stream wrappers. Never run: `make check` reads it."""

from __future__ import annotations

import ssl
from typing import assert_type

from creche import TCPConnectable, connect_tcp, create_tcp_listener
from creche.abc import AnyByteStream, SocketStream
from creche.streams.buffered import BufferedByteStream, BufferedConnectable
from creche.streams.file import FileReadStream, FileStreamAttribute, FileWriteStream
from creche.streams.text import TextConnectable, TextStream
from creche.streams.tls import TLSAttribute, TLSConnectable, TLSListener, TLSStream


async def check_connecting(context: ssl.SSLContext) -> None:
    assert_type(await connect_tcp("host", 1), SocketStream)
    assert_type(await connect_tcp("host", 1, tls=True), TLSStream)
    assert_type(await connect_tcp("host", 1, ssl_context=context), TLSStream)
    assert_type(await connect_tcp("host", 1, tls_hostname="other"), TLSStream)


async def check_connectables() -> None:
    connectable = TCPConnectable("host", 1)
    assert_type(await BufferedConnectable(connectable).connect(), BufferedByteStream)
    assert_type(await TextConnectable(connectable).connect(), TextStream)
    assert_type(await TLSConnectable(connectable).connect(), TLSStream)
    assert_type(
        await BufferedConnectable(TLSConnectable(connectable)).connect(), BufferedByteStream
    )


async def check_streams(stream: SocketStream, context: ssl.SSLContext) -> None:
    wrapped = await TLSStream.wrap(stream, ssl_context=context)
    assert_type(wrapped, TLSStream)
    assert_type(wrapped.extra(TLSAttribute.tls_version), str)
    assert_type(wrapped.extra(TLSAttribute.alpn_protocol, 1), str | None | int)
    assert_type(await wrapped.unwrap(), tuple[AnyByteStream, bytes])
    buffered = BufferedByteStream(wrapped)
    assert_type(await buffered.receive_exactly(1), bytes)
    assert_type(await buffered.receive_until(b"\n", 10), bytes)
    assert_type(await TextStream(buffered).receive(), str)


async def check_files() -> None:
    async with await FileReadStream.from_path("file") as reader:
        assert_type(reader, FileReadStream)
        assert_type(await reader.tell(), int)
        assert_type(reader.extra(FileStreamAttribute.fileno), int)
    async with await FileWriteStream.from_path("file", append=True) as writer:
        await writer.send(bytearray(b"any buffer"))


async def check_listener(context: ssl.SSLContext) -> None:
    listener = TLSListener(await create_tcp_listener(), context)

    async def handle(stream: TLSStream) -> None: ...

    await listener.serve(handle)
