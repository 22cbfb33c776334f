"""Streams over files: what is read and written, what a closed or broken file says."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest

from creche import (
    BrokenResourceError,
    CancelScope,
    ClosedResourceError,
    EndOfStream,
    TypedAttributeLookupError,
    create_task_group,
    wait_all_tasks_blocked,
)
from creche.streams.file import FileReadStream, FileStreamAttribute, FileWriteStream

FULL = "/dev/full"


async def test_what_is_written_can_be_read(tmp_path: Path) -> None:
    path = tmp_path / "file"
    async with await FileWriteStream.from_path(path) as writer:
        await writer.send(b"abc")
        await writer.send(bytearray(b"def"))
        await writer.send(memoryview(b"ghi"))
    async with await FileReadStream.from_path(str(path)) as reader:
        assert await reader.receive(2) == b"ab"
        assert await reader.receive() == b"cdefghi"
        with pytest.raises(EndOfStream):
            await reader.receive()


async def test_a_file_is_written_anew_or_appended_to(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    async with await FileWriteStream.from_path(path, append=True) as writer:
        await writer.send(b"er")
    assert path.read_bytes() == b"older"
    async with await FileWriteStream.from_path(path) as writer:
        await writer.send(b"new")
    assert path.read_bytes() == b"new"


async def test_a_file_without_a_buffer_takes_all_of_it(tmp_path: Path) -> None:
    class Reluctant(io.FileIO):
        def write(self, data: object) -> int:
            with memoryview(data) as view:  # type: ignore[arg-type]
                return super().write(view[:3]) or 0

    path = tmp_path / "file"
    async with FileWriteStream(Reluctant(path, "wb")) as writer:
        await writer.send(b"abcdefgh")
    assert path.read_bytes() == b"abcdefgh"


async def test_the_place_can_be_told_and_changed(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"0123456789")
    async with await FileReadStream.from_path(path) as reader:
        assert await reader.seek(4) == 4
        assert await reader.receive(2) == b"45"
        assert await reader.tell() == 6
        assert await reader.seek(-1, os.SEEK_END) == 9
        assert [chunk async for chunk in reader] == [b"9"]
        with pytest.raises(OSError, match="Invalid argument"):
            await reader.seek(-1)


async def test_a_pipe_gives_what_there_is_and_does_not_wait_for_more() -> None:
    source, sink = os.pipe()
    async with FileReadStream(os.fdopen(source, "rb")) as reader:
        async with FileWriteStream(os.fdopen(sink, "wb", buffering=0)) as writer:
            await writer.send(b"abc")
            assert await reader.receive() == b"abc"
            with pytest.raises(io.UnsupportedOperation):
                await reader.seek(0)
        with pytest.raises(EndOfStream):
            await reader.receive()


async def test_the_attributes_tell_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    async with await FileWriteStream.from_path(path) as writer:
        file = writer.extra(FileStreamAttribute.file)
        assert writer.extra(FileStreamAttribute.path) == path
        assert writer.extra(FileStreamAttribute.fileno) == file.fileno()
    assert file.closed
    memory = FileReadStream(io.BytesIO(b"abc"))
    assert await memory.receive() == b"abc"
    for missing in (FileStreamAttribute.path, FileStreamAttribute.fileno):
        with pytest.raises(TypedAttributeLookupError):
            memory.extra(missing)


async def test_a_closed_file_says_so(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"abc")
    reader = await FileReadStream.from_path(path)
    writer = await FileWriteStream.from_path(tmp_path / "other")
    for stream in (reader, writer):
        await stream.aclose()
        await stream.aclose()
    for attempt in (reader.receive(), reader.tell(), reader.seek(0), writer.send(b"a")):
        with pytest.raises(ClosedResourceError, match="was closed: open it again"):
            await attempt


async def test_a_full_disk_is_a_broken_stream_with_its_cause() -> None:
    async with FileWriteStream(open(FULL, "wb", buffering=0)) as writer:
        with pytest.raises(BrokenResourceError, match="No space left on device") as caught:
            await writer.send(b"abc")
    assert isinstance(caught.value.__cause__, OSError)


async def test_a_full_disk_at_the_end_is_not_kept_quiet_and_the_file_is_closed() -> None:
    writer = await FileWriteStream.from_path(FULL)
    await writer.send(b"abc")
    with pytest.raises(OSError, match="No space left on device"):
        await writer.aclose()
    assert writer.extra(FileStreamAttribute.file).closed


async def test_a_file_of_the_wrong_mode_says_so(tmp_path: Path) -> None:
    path = tmp_path / "file"
    async with FileReadStream(open(path, "wb")) as reader:
        with pytest.raises(io.UnsupportedOperation, match="read"):
            await reader.receive()
    async with FileWriteStream(open(path, "rb")) as writer:
        with pytest.raises(io.UnsupportedOperation, match="write"):
            await writer.send(b"abc")


async def test_a_file_that_is_not_there_is_not_opened(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        await FileReadStream.from_path(tmp_path / "nowhere")
    with pytest.raises(ValueError, match="max_bytes must be a positive integer"):
        await FileReadStream(io.BytesIO()).receive(0)


async def test_closing_under_cancellation_closes_and_then_raises(tmp_path: Path) -> None:
    writer = await FileWriteStream.from_path(tmp_path / "file")
    await writer.send(b"abc")
    with CancelScope() as scope:
        scope.cancel()
        await writer.aclose()
    assert scope.cancelled_caught
    assert (tmp_path / "file").read_bytes() == b"abc"


async def test_a_cancelled_read_of_a_pipe_takes_nothing() -> None:
    source, sink = os.pipe()
    got: list[bytes] = []

    async def read() -> None:
        got.append(await reader.receive())

    async with FileReadStream(os.fdopen(source, "rb")) as reader:
        async with create_task_group() as group:
            group.start_soon(read)
            await wait_all_tasks_blocked()
            group.cancel()
            os.write(sink, b"abc")
        assert got == []
        assert await reader.receive() == b"abc"
        os.close(sink)
