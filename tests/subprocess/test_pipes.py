"""The pipes of a process as byte streams: ends, errors, one task at a time, closing."""

from __future__ import annotations

import os
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from _commands import FOREVER, stuck_writer

import creche
from creche import (
    BrokenResourceError,
    BusyResourceError,
    ClosedResourceError,
    EndOfStream,
    create_task_group,
    move_on_after,
    open_process,
    wait_all_tasks_blocked,
)
from creche.abc import ByteReceiveStream, ByteSendStream, Process

FULL = b"x" * 1_000_000  # more than a pipe holds


def ends(process: Process) -> tuple[ByteSendStream, ByteReceiveStream]:
    assert process.stdin is not None
    assert process.stdout is not None
    return process.stdin, process.stdout


async def test_what_is_sent_to_cat_comes_back() -> None:
    async with await open_process(["cat"]) as process:
        stdin, stdout = ends(process)
        for word in (b"one", b"two", bytearray(b"three"), memoryview(b"four")):
            await stdin.send(word)  # type: ignore[arg-type]
            assert await stdout.receive() == bytes(word)
        await stdin.aclose()
        with pytest.raises(EndOfStream):
            await stdout.receive()
        with pytest.raises(EndOfStream):
            await stdout.receive()
        assert await process.wait() == 0


async def test_a_megabyte_goes_through_whole() -> None:
    data = os.urandom(1_000_000)
    received = bytearray()
    async with await open_process(["cat"]) as process, create_task_group() as tg:
        stdin, stdout = ends(process)

        async def feed() -> None:
            async with stdin:
                await stdin.send(data)

        tg.start_soon(feed)
        async for chunk in stdout:
            received += chunk
    assert received == data


async def test_receive_returns_at_most_what_is_asked_for() -> None:
    async with await open_process(["sh", "-c", "printf abcdef"]) as process:
        _, stdout = ends(process)
        await process.wait()
        assert [await stdout.receive(n) for n in (1, 2, 100)] == [b"a", b"bc", b"def"]
        with pytest.raises(EndOfStream):
            await stdout.receive()


async def test_what_a_process_wrote_is_there_after_its_end() -> None:
    async with await open_process("echo out; echo err >&2") as process:
        assert await process.wait() == 0
        assert process.stdout is not None
        assert process.stderr is not None
        assert await process.stdout.receive() == b"out\n"
        assert await process.stderr.receive() == b"err\n"


@pytest.mark.parametrize("count", [0, -1])
async def test_max_bytes_must_be_positive(count: int) -> None:
    async with await open_process(["true"]) as process:
        with pytest.raises(ValueError, match="max_bytes must be a positive integer"):
            await ends(process)[1].receive(count)


async def test_sending_to_a_process_that_has_ended_breaks() -> None:
    async with await open_process(["true"]) as process:
        await process.wait()
        with pytest.raises(BrokenResourceError, match="stdin of 'true'") as caught:
            await ends(process)[0].send(b"x")
        assert isinstance(caught.value.__cause__, BrokenPipeError)


async def test_a_send_that_waits_breaks_when_the_process_is_killed() -> None:
    async with await open_process(FOREVER) as process, create_task_group() as tg:

        async def send() -> None:
            with pytest.raises(BrokenResourceError) as caught:
                await ends(process)[0].send(FULL)
            assert isinstance(caught.value.__cause__, BrokenPipeError)

        tg.start_soon(send)
        await wait_all_tasks_blocked()
        process.kill()


@pytest.mark.parametrize("side", [0, 1])
async def test_a_second_task_at_the_same_end_is_refused(side: int) -> None:
    async with await open_process(FOREVER) as process:
        operation = operations(process)[side]
        async with create_task_group() as tg:
            tg.start_soon(operation)
            await wait_all_tasks_blocked()
            with pytest.raises(BusyResourceError, match=["writing to", "reading from"][side]):
                await operation()
            tg.cancel_scope.cancel()
        process.kill()


def operations(process: Process) -> list[Callable[[], Coroutine[Any, Any, object]]]:
    stdin, stdout = ends(process)
    return [lambda: stdin.send(FULL), stdout.receive]


@pytest.mark.parametrize("side", [0, 1])
async def test_closing_wakes_the_task_that_waits(side: int) -> None:
    async with await open_process(FOREVER) as process:
        operation = operations(process)[side]

        async def wait() -> None:
            with pytest.raises(ClosedResourceError, match="was closed on this side"):
                await operation()

        async with create_task_group() as tg:
            tg.start_soon(wait)
            await wait_all_tasks_blocked()
            await ends(process)[side].aclose()
        process.kill()


@pytest.mark.parametrize("side", [0, 1])
async def test_a_closed_end_is_refused(side: int) -> None:
    async with await open_process(FOREVER) as process:
        await ends(process)[side].aclose()
        await ends(process)[side].aclose()
        with pytest.raises(ClosedResourceError, match="was closed on this side"):
            await operations(process)[side]()
        assert "closed" in repr(ends(process)[side])
        process.kill()


async def test_a_closed_end_never_touches_the_descriptor_that_got_its_number() -> None:
    async with await open_process(["cat"]) as process:
        stdin, stdout = ends(process)
        await stdin.aclose()
        await stdout.aclose()
        reading, writing = os.pipe()
        try:
            with pytest.raises(ClosedResourceError):
                await stdin.send(b"x")
            os.write(writing, b"mine")
            with pytest.raises(ClosedResourceError):
                await stdout.receive()
            assert os.read(reading, 10) == b"mine"
        finally:
            os.close(reading)
            os.close(writing)


async def test_a_cancelled_receive_loses_nothing() -> None:
    async with await open_process(["cat"]) as process:
        stdin, stdout = ends(process)
        with move_on_after(0.01) as scope:
            await stdout.receive()
        assert scope.cancelled_caught
        await stdin.send(b"still here")
        assert await stdout.receive() == b"still here"


async def test_a_cancelled_send_writes_no_more() -> None:
    async with await open_process(["cat"]) as process:
        stdin, stdout = ends(process)
        with move_on_after(0.01) as scope:
            while True:
                await stdin.send(FULL)
        assert scope.cancelled_caught
        await stdin.aclose()
        sent = 0
        async for chunk in stdout:
            assert set(chunk) == set(b"x")
            sent += len(chunk)
        assert 0 < sent < 10_000_000


async def test_an_operation_checks_for_cancellation_first() -> None:
    async with await open_process(["echo", "x"]) as process:
        await process.wait()
        stdin, stdout = ends(process)
        for operation in (stdout.receive, lambda: stdin.send(b""), process.wait):
            with creche.CancelScope() as scope:
                scope.cancel()
                await operation()
            assert scope.cancelled_caught
        assert await stdout.receive() == b"x\n"


async def test_an_endless_stream_lets_others_run() -> None:
    process = await stuck_writer()
    async with process:
        _, stdout = ends(process)
        with move_on_after(0.05) as scope:
            while True:
                await stdout.receive()
        assert scope.cancelled_caught
        process.kill()


async def test_a_stream_that_was_dropped_closes_its_descriptor() -> None:
    process = await open_process(["cat"], stderr=None)
    stdin, stdout = ends(process)
    await stdin.send(b"x")
    assert await stdout.receive() == b"x"
    process.kill()
    await process.wait()
    # The harness counts the descriptors once these are gone.


async def test_streams_that_are_no_pipes_are_none() -> None:
    async with await open_process(["true"], stdin=None, stdout=None, stderr=None) as process:
        assert (process.stdin, process.stdout, process.stderr) == (None, None, None)
