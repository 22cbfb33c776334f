"""The other end is not ours: OpenSSL's s_client and s_server, asyncio's TLS and Trio's."""

from __future__ import annotations

import asyncio
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest
import trio
from _tls_ends import (
    HOST,
    LOOPBACK,
    authority,
    certificate,
    client_context,
    receive_exactly,
    server_context,
)

from _harness import on_asyncio, on_trio
from creche import connect_tcp, create_task_group, create_tcp_listener, to_thread
from creche.abc import SocketAttribute
from creche.streams.buffered import BufferedByteStream
from creche.streams.tls import TLSAttribute, TLSListener, TLSStream

OPENSSL = shutil.which("openssl") or "openssl"
MESSAGE = bytes(range(256)) * 2000


async def echo(stream: TLSStream) -> None:
    async with stream:
        async for data in stream:
            await stream.send(data)


@contextmanager
def process(*arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run OpenSSL's program; it is killed at the end of the block."""
    with subprocess.Popen(
        [OPENSSL, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        bufsize=0,
    ) as child:
        try:
            yield child
        finally:
            child.kill()


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A folder with the certificates as files."""
    authority().cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    leaf = certificate()
    leaf.private_key_and_cert_chain_pem.write_to_path(str(tmp_path / "server.pem"))
    return tmp_path


@contextmanager
def s_server(files: Path, *options: str) -> Iterator[tuple[int, subprocess.Popen[bytes]]]:
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
    pem = str(files / "server.pem")
    at = ("-accept", f"{LOOPBACK}:{port}", "-cert", pem, "-key", pem, "-naccept", "1")
    with process("s_server", *at, *options) as child:
        assert child.stdout is not None
        while b"ACCEPT" not in child.stdout.readline():
            pass
        yield port, child


def line_of(child: subprocess.Popen[bytes], words: bytes) -> bytes:
    """Read what a program prints until a line that begins with `words`."""
    assert child.stdout is not None
    while not (line := child.stdout.readline()).startswith(words):
        assert line, "the program has ended"
    return line


async def wait_for_line(child: subprocess.Popen[bytes], words: bytes) -> None:
    await to_thread.run_sync(line_of, child, words)


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
async def test_our_client_is_answered_by_s_server(version: str, files: Path) -> None:
    with s_server(files, version, "-rev") as (port, _):
        stream = await connect_tcp(
            LOOPBACK, port, ssl_context=client_context(), tls_standard_compatible=False
        )
        async with BufferedByteStream(stream) as lines:
            await lines.send(b"stressed\n")
            assert await lines.receive_until(b"\n", 100) == b"desserts"
            chosen = stream.extra(TLSAttribute.tls_version)
            assert chosen == "TLSv1." + version[-1]


async def test_a_server_that_renegotiates_is_followed(files: Path) -> None:
    with s_server(files, "-tls1_2", "-cipher", "DEFAULT") as (port, child):
        assert child.stdin is not None
        async with await connect_tcp(
            LOOPBACK, port, ssl_context=client_context(), tls_standard_compatible=False
        ) as stream:
            await stream.send(b"before\n")
            await wait_for_line(child, b"before")
            for _ in range(2):
                child.stdin.write(b"r\n")
                async with create_task_group() as group:
                    received = group.start_soon(stream.receive)
                    await wait_for_line(child, b"SSL_do_handshake -> 1")
                    child.stdin.write(b"hello\n")
                    assert await received == b"hello\n"
            await stream.send(b"after\n")
            await wait_for_line(child, b"after")


@pytest.mark.parametrize("command", [b"K\n", b"k\n"])
async def test_a_client_that_changes_its_keys_is_followed(command: bytes, files: Path) -> None:
    async with await create_tcp_listener(local_host=LOOPBACK) as tcp, create_task_group() as group:
        group.start_soon(TLSListener(tcp, server_context(), False).serve, echo)
        port = tcp.extra(SocketAttribute.local_port)
        trusted = str(files / "ca.pem")
        with process(
            "s_client", "-connect", f"{LOOPBACK}:{port}", "-CAfile", trusted,
            "-verify_return_error", "-verify_hostname", HOST, "-tls1_3",
        ) as child:  # fmt: skip
            assert child.stdin is not None
            for text in (b"one\n", command, b"two\n", command, b"three\n"):
                child.stdin.write(text)
                await wait_for_line(child, b"KEYUPDATE" if text == command else text)
        group.cancel()


@on_asyncio
async def test_a_server_of_asyncio_s_answers_our_client() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.readexactly(len(MESSAGE)))
        await writer.drain()
        writer.close()
        await writer.wait_closed()
        answered.set()

    answered = asyncio.Event()
    server = await asyncio.start_server(answer, LOOPBACK, 0, ssl=server_context())
    async with server:
        port = server.sockets[0].getsockname()[1]
        async with await connect_tcp(LOOPBACK, port, ssl_context=client_context()) as stream:
            await stream.send(MESSAGE)
            assert b"".join([chunk async for chunk in stream]) == MESSAGE
        await answered.wait()


@on_asyncio
async def test_a_client_of_asyncio_s_is_answered_by_our_server() -> None:
    async with await create_tcp_listener(local_host=LOOPBACK) as tcp, create_task_group() as group:
        group.start_soon(TLSListener(tcp, server_context()).serve, echo)
        port = tcp.extra(SocketAttribute.local_port)
        reader, writer = await asyncio.open_connection(LOOPBACK, port, ssl=client_context())
        writer.write(MESSAGE)
        assert await reader.readexactly(len(MESSAGE)) == MESSAGE
        writer.close()
        await writer.wait_closed()
        group.cancel()


@on_trio
async def test_a_server_of_trio_s_answers_our_client() -> None:
    async def answer(stream: trio.SSLStream[trio.SocketStream]) -> None:
        async with stream:
            await stream.send_all(b"".join([bytes(chunk) async for chunk in stream]))

    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(
            partial(trio.serve_ssl_over_tcp, answer, 0, server_context(), host=LOOPBACK)
        )
        port = listeners[0].transport_listener.socket.getsockname()[1]
        async with await connect_tcp(LOOPBACK, port, ssl_context=client_context()) as stream:
            await stream.send(MESSAGE)
            await stream.send_eof()
            assert b"".join([chunk async for chunk in stream]) == MESSAGE
        nursery.cancel_scope.cancel()


@on_trio
async def test_a_client_of_trio_s_is_answered_by_our_server() -> None:
    async with await create_tcp_listener(local_host=LOOPBACK) as tcp, create_task_group() as group:
        group.start_soon(TLSListener(tcp, server_context()).serve, echo)
        port = tcp.extra(SocketAttribute.local_port)
        client = await trio.open_ssl_over_tcp_stream(LOOPBACK, port, ssl_context=client_context())
        async with client:
            group.start_soon(client.send_all, MESSAGE)
            received = b""
            while len(received) < len(MESSAGE):
                received += await client.receive_some()
            assert received == MESSAGE
        group.cancel()


async def test_two_of_ours_agree_with_each_other() -> None:
    async with await create_tcp_listener(local_host=LOOPBACK) as tcp, create_task_group() as group:
        group.start_soon(TLSListener(tcp, server_context()).serve, echo)
        port = tcp.extra(SocketAttribute.local_port)
        async with await connect_tcp(LOOPBACK, port, ssl_context=client_context()) as stream:
            group.start_soon(stream.send, MESSAGE)
            assert await receive_exactly(stream, len(MESSAGE)) == MESSAGE
        group.cancel()
