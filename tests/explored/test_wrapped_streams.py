"""Stapled, buffered, text and TLS streams over memory, under many schedules: no byte is lost.

What was cut into pieces comes out whole and in order, also where a receive is cancelled at some moment
and done again.
"""

from __future__ import annotations

import math
import ssl
from collections.abc import Awaitable, Callable
from functools import cache
from itertools import groupby
from typing import Any

import pytest
import trustme
from _planted import assert_found, cancel_one_by_one

from creche import (
    BrokenResourceError,
    CancelScope,
    EndOfStream,
    create_memory_object_stream,
    create_task_group,
)
from creche.lowlevel import checkpoint
from creche.streams.buffered import BufferedByteReceiveStream, BufferedByteStream
from creche.streams.stapled import StapledObjectStream
from creche.streams.text import TextStream
from creche.streams.tls import TLSStream
from creche.testing import explore

LONG = 200_000
"""Bytes of a message that TLS sends in several portions."""


def pair(size: float = math.inf) -> tuple[Any, Any]:
    """Both ends of a connection in memory."""
    there, out = create_memory_object_stream[bytes](size)
    back, home = create_memory_object_stream[bytes](size)
    return StapledObjectStream(there, home), StapledObjectStream(back, out)


async def patiently(receive: Callable[[], Awaitable[Any]], scope: CancelScope) -> Any:
    """Receive; and if the scope cancels that, do it again."""
    with scope:
        return await receive()
    return await receive()


# Both directions at once


@pytest.mark.parametrize("size", [0, 1])
@explore()
async def test_a_stapled_stream_carries_both_ways_at_once(size: int) -> None:
    one, other = pair(size)
    heard: dict[str, list[bytes]] = {"one": [], "other": []}

    async def talk(stream: Any, name: str) -> None:
        for number in range(3):
            await stream.send(b"%s %d" % (name.encode(), number))
        await stream.send_eof()

    async def listen(stream: Any, name: str) -> None:
        try:
            while True:
                heard[name].append(await stream.receive())
        except EndOfStream:
            pass

    async with one, other, create_task_group() as group:
        group.start_soon(talk, one, "one")
        group.start_soon(talk, other, "other")
        group.start_soon(listen, one, "other")
        group.start_soon(listen, other, "one")
    for name, items in heard.items():
        assert items == [b"%s %d" % (name.encode(), number) for number in range(3)]


# Buffers


async def in_pieces(make: Callable[[Any], Any]) -> None:
    """Bytes are sent in odd pieces and read by size and delimiter; one read is cancelled."""
    one, other = pair(0)
    reader, scopes = make(other), [CancelScope(), CancelScope()]

    async def send() -> None:
        for piece in (b"ab", b"cde\r", b"\nfg", b"h", b"ij\r\n"):
            await one.send(piece)

    async with one, other, create_task_group() as group:
        group.start_soon(send)
        group.start_soon(cancel_one_by_one, *scopes)
        first = await patiently(lambda: reader.receive_exactly(3), scopes[0])
        second = await patiently(lambda: reader.receive_until(b"\r\n", 10), scopes[1])
        third = await reader.receive_until(b"\r\n", 10)
    assert (first, second, third) == (b"abc", b"de", b"fghij"), "bytes were lost"


@explore()
async def test_a_buffered_read_that_is_cancelled_takes_nothing() -> None:
    await in_pieces(BufferedByteReceiveStream)


class Spilling:
    """A buffer that is poured away with the read that filled it."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._kept = b""

    async def receive_exactly(self, size: int) -> bytes:
        data, self._kept = self._kept, b""
        while len(data) < size:
            data += await self._stream.receive()
        self._kept = data[size:]
        return data[:size]

    async def receive_until(self, delimiter: bytes, most: int) -> bytes:
        data, self._kept = self._kept, b""
        while delimiter not in data:
            data += await self._stream.receive()
        found, _, self._kept = data.partition(delimiter)
        return found


def test_a_buffer_that_loses_what_was_read_is_found_out() -> None:
    assert_found(lambda: in_pieces(Spilling))


@explore()
async def test_a_buffered_stream_answers_while_it_asks() -> None:
    one, other = pair(1)

    async def answer(stream: BufferedByteStream, questions: int) -> None:
        for _ in range(questions):
            question = await stream.receive_until(b"?", 20)
            await stream.send(question + b"!")

    async def ask(stream: BufferedByteStream) -> None:
        for number in range(3):
            await stream.send(b"what is ")
            await stream.send(b"%d?" % number)
            assert await stream.receive_exactly(10) == b"what is %d!" % number

    async with one, other, create_task_group() as group:
        group.start_soon(answer, BufferedByteStream(other), 3)
        group.start_soon(ask, BufferedByteStream(one))


# Text


async def read_whole(make: Callable[[Any], Any]) -> None:
    """Characters of several bytes are cut in the middle, and one receive is cancelled."""
    one, other = pair(0)
    reader, scope, text = make(other), CancelScope(), ""

    async def send() -> None:
        data = "å€🦉ß".encode()
        for start in range(0, len(data), 2):
            await one.send(data[start : start + 2])
        await one.send_eof()

    async with one, other, create_task_group() as group:
        group.start_soon(send)
        group.start_soon(cancel_one_by_one, scope)
        try:
            text += await patiently(reader.receive, scope)
            while True:
                text += await reader.receive()
        except EndOfStream:
            pass
    assert text == "å€🦉ß", "characters were lost"


@explore()
async def test_characters_come_out_whole_though_a_receive_was_cancelled() -> None:
    await read_whole(TextStream)


class Forgetful:
    """Decodes a character at a time, and forgets its first half when it is interrupted."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    async def receive(self) -> str:
        data: bytes = await self._stream.receive()
        await checkpoint()
        while True:
            try:
                return data.decode()
            except UnicodeDecodeError:
                try:
                    data += await self._stream.receive()
                except EndOfStream:
                    raise AssertionError("half a character was lost") from None


def test_a_decoder_that_loses_half_a_character_is_found_out() -> None:
    assert_found(lambda: read_whole(Forgetful))


# TLS


@cache
def contexts() -> tuple[ssl.SSLContext, ssl.SSLContext]:
    authority = trustme.CA()
    server, client = (
        ssl.SSLContext(protocol) for protocol in (ssl.PROTOCOL_TLS_SERVER, ssl.PROTOCOL_TLS_CLIENT)
    )
    authority.issue_cert("localhost").configure_cert(server)
    authority.configure_trust(client)
    return client, server


async def secured(one: Any, other: Any) -> tuple[TLSStream, TLSStream]:
    client, server = contexts()
    async with create_task_group() as group:
        accepting = group.create_task(TLSStream.wrap(other, server_side=True, ssl_context=server))
        connected = await TLSStream.wrap(one, hostname="localhost", ssl_context=client)
    return connected, accepting.return_value


@pytest.mark.parametrize("size", [1, math.inf])
@explore(runs=40)
async def test_tls_carries_both_ways_at_once_though_receives_are_cancelled(size: float) -> None:
    one, other = await secured(*pair(size))
    scopes = [CancelScope(), CancelScope()]
    heard: dict[str, bytes] = {}

    async def talk(stream: TLSStream, name: str) -> None:
        for number in range(3):
            await stream.send(b"%s %d," % (name.encode(), number))

    async def listen(stream: TLSStream, name: str, scope: CancelScope) -> None:
        data: bytes = await patiently(stream.receive, scope)
        while data.count(b",") < 3:
            data += await stream.receive()
        heard[name] = data

    async with create_task_group() as group:
        group.start_soon(talk, one, "one")
        group.start_soon(talk, other, "other")
        group.start_soon(listen, one, "other", scopes[0])
        group.start_soon(listen, other, "one", scopes[1])
        group.start_soon(cancel_one_by_one, *scopes)
    for name, data in heard.items():
        assert data == b"".join(b"%s %d," % (name.encode(), number) for number in range(3))
    async with create_task_group() as group:
        group.start_soon(one.aclose)
        group.start_soon(other.aclose)


async def sent_or_cut_off(wrapped: Callable[[TLSStream], Any]) -> None:
    """Three long messages, of which one is cancelled: none goes on after one that was cut short."""
    near, far = pair(1)
    scopes = [CancelScope() for _ in range(3)]
    heard = b""

    async def talk(stream: Any) -> None:
        for scope, letter in zip(scopes, (b"a", b"b", b"c"), strict=True):
            with scope:
                try:
                    await stream.send(letter * LONG)
                except BrokenResourceError:
                    break
        await near.aclose()

    async with near, far:
        one, other = await secured(near, far)
        async with create_task_group() as group:
            group.start_soon(cancel_one_by_one, CancelScope(), CancelScope(), *scopes[:2])
            group.start_soon(talk, wrapped(one))
            try:
                while True:
                    heard += await other.receive()
            except (EndOfStream, BrokenResourceError):
                pass
    runs = [(letter, len([*run])) for letter, run in groupby(heard)]
    assert runs == sorted(runs), "out of order"
    assert all(size == LONG for _, size in runs[:-1]), "it went on after half a message"
    assert any(scope.cancelled_caught for scope in scopes) or len(runs) == 3, "one was lost"


@explore(runs=40)
async def test_a_cancelled_send_over_tls_arrives_whole_or_cuts_the_stream_off() -> None:
    await sent_or_cut_off(lambda stream: stream)


class Piecemeal:
    """Sends a message in pieces, and knows nothing of one that was cut short."""

    def __init__(self, stream: TLSStream) -> None:
        self._stream = stream

    async def send(self, data: bytes) -> None:
        for start in range(0, len(data), LONG // 4):
            piece = data[start : start + LONG // 4]
            with CancelScope(shield=True):
                await self._stream.send(piece)
            await checkpoint()


def test_a_stream_that_goes_on_after_half_a_message_is_found_out() -> None:
    assert_found(lambda: sent_or_cut_off(Piecemeal))
