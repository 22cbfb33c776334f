"""File descriptors that travel over UNIX streams, in both directions."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Any

import pytest

from creche import (
    BrokenResourceError,
    EndOfStream,
    create_task_group,
    move_on_after,
    wait_all_tasks_blocked,
)
from creche.abc import UNIXSocketStream


async def pair() -> tuple[UNIXSocketStream, UNIXSocketStream]:
    left, right = socket.socketpair()
    return await UNIXSocketStream.from_socket(left), await UNIXSocketStream.from_socket(right)


async def test_descriptors_travel_in_both_directions(tmp_path: Path) -> None:
    left, right = await pair()
    async with left, right:
        for there, here, text in ((left, right, b"there"), (right, left, b"back")):
            file = tmp_path / "file"
            file.write_bytes(text)
            with file.open("rb") as opened:
                await there.send_fds(b"read this", [opened])
            message, fds = await here.receive_fds(100, 10)
            assert message == b"read this"
            assert len(fds) == 1
            with os.fdopen(fds[0], "rb") as received:
                assert received.read() == text


async def test_numbers_files_and_sockets_can_be_sent_together() -> None:
    left, right = await pair()
    reading, writing = os.pipe()
    file = os.fdopen(reading, "rb")
    async with left, right:
        with socket.socket() as sock, file:
            things: Any = (writing, file, sock)
            await left.send_fds(b"three", things)
        os.close(writing)
        message, fds = await right.receive_fds(5, 3)
        assert message == b"three"
        os.write(fds[0], b"through the pipe")
        assert os.read(fds[1], 100) == b"through the pipe"
        for fd in fds:
            assert not os.get_inheritable(fd)
            os.close(fd)


async def test_a_message_without_descriptors_brings_none() -> None:
    left, right = await pair()
    async with left, right:
        await left.send(b"plain")
        assert await right.receive_fds(100, 1) == (b"plain", [])


async def test_descriptors_beyond_the_number_asked_for_are_closed() -> None:
    left, right = await pair()
    async with left, right:
        await left.send_fds(b"x", [0, 1, 2])
        _, fds = await right.receive_fds(1, 1)
        assert len(fds) == 1
        os.close(fds[0])


async def test_no_bytes_can_be_asked_for() -> None:
    left, right = await pair()
    async with left, right:
        await left.send(b"bytes")
        assert await right.receive_fds(0, 1) == (b"", [])
        assert await right.receive() == b"bytes"
        await left.aclose()
        with pytest.raises(EndOfStream):
            await right.receive_fds(0, 1)


async def test_receiving_waits_for_the_sender() -> None:
    got: list[tuple[bytes, list[int]]] = []
    left, right = await pair()

    async def receive() -> None:
        got.append(await right.receive_fds(100, 1))

    async with left, right:
        async with create_task_group() as group:
            group.start_soon(receive)
            await wait_all_tasks_blocked()
            await left.send_fds(b"late", [0])
        ((message, fds),) = got
        assert message == b"late"
        os.close(fds[0])


async def test_a_large_message_is_sent_whole_and_its_descriptors_once() -> None:
    message = bytes(range(256)) * 8192
    left, right = await pair()
    async with left, right, create_task_group() as group:
        group.start_soon(left.send_fds, message, [0])
        await wait_all_tasks_blocked()
        received, fds = await right.receive_fds(100, 10)
        assert len(fds) == 1
        os.close(fds[0])
        while len(received) < len(message):
            data, more = await right.receive_fds(65536, 10)
            assert more == []
            received += data
        assert received == message


async def test_a_sender_of_descriptors_waits_for_room() -> None:
    left, right = await pair()
    filling = bytes(65536)

    async def fill() -> int:
        sent = 0
        with move_on_after(0.05):
            while True:
                await left.send(filling)
                sent += len(filling)
        return sent

    async with left, right, create_task_group() as group:
        await fill()
        sender = group.start_soon(left.send_fds, b"late", [0])
        await wait_all_tasks_blocked()
        assert sender.status is type(sender).Status.PENDING
        received: list[int] = []
        tail = b""
        while not received:
            data, fds = await right.receive_fds(65536, 1)
            received += fds
            tail = (tail + data)[-4:]
        assert tail == b"late"
        os.close(received[0])


async def test_the_end_of_the_stream_and_a_broken_one_are_told() -> None:
    left, right = await pair()
    async with left, right:
        await left.aclose()
        with pytest.raises(EndOfStream):
            await right.receive_fds(10, 1)
        with pytest.raises(BrokenResourceError) as caught:
            await right.send_fds(b"x", [0])
        assert isinstance(caught.value.__cause__, BrokenPipeError)


async def test_arguments_that_make_no_sense_are_refused_at_once() -> None:
    left, right = await pair()
    nothing: Any = None
    async with left, right:
        cases: list[tuple[Any, str]] = [
            (lambda: left.send_fds(b"", [0]), "message must not be empty"),
            (lambda: left.send_fds(b"x", []), "fds must not be empty"),
            (lambda: left.receive_fds(-1, 1), "msglen must be a non-negative integer"),
            (lambda: left.receive_fds(nothing, 1), "msglen must be a non-negative integer"),
            (lambda: left.receive_fds(1, 0), "maxfds must be a positive integer"),
            (lambda: left.receive_fds(1, nothing), "maxfds must be a positive integer"),
        ]
        for call, words in cases:
            with pytest.raises(ValueError, match=words):
                await call()


async def test_descriptors_that_are_not_open_or_too_many_are_refused() -> None:
    left, right = await pair()
    async with left, right:
        with pytest.raises(ValueError, match="open file descriptors, and 987654 is not"):
            await left.send_fds(b"x", [0, 987654])
        with pytest.raises(ValueError, match="must be at most 253"):
            await left.send_fds(b"x", [0] * 254)
        await left.send_fds(b"x", [0])
        _, fds = await right.receive_fds(1, 1)
        os.close(fds[0])


async def test_descriptors_that_nobody_asked_for_are_closed_by_the_system() -> None:
    left, right = await pair()
    async with left, right:
        await left.send_fds(b"x", [0])
        assert await right.receive() == b"x"
