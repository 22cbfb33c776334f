"""A full disk, a lack of rights, files that vanish, and cancellation in the middle of it all."""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from _disks import SlowFile, small_disk, without_rights

from _harness import on_asyncio
from creche import (
    CancelScope,
    CapacityLimiter,
    create_task_group,
    get_cancelled_exc_class,
    open_file,
    wait_all_tasks_blocked,
    wrap_file,
)
from creche import Path as AsyncPath
from creche.lowlevel import checkpoint

TOO_MUCH = b"x" * 200_000


@pytest.fixture
def full(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path) as path:
        yield path


@pytest.fixture
def guarded() -> Iterator[Path]:
    """A directory that everybody may enter, with a file that nobody may read."""
    directory = Path(tempfile.mkdtemp(dir="/tmp"))
    secret = directory / "secret"
    secret.write_text("secret")
    inner = directory / "closed"
    inner.mkdir()
    (inner / "file").touch()
    for path, mode in ((secret, 0), (inner, 0), (directory, 0o555)):
        path.chmod(mode)
    yield directory
    for path in (directory, inner):
        path.chmod(0o700)
    shutil.rmtree(directory)


# A disk that is full


async def test_a_write_that_finds_no_room_says_so(full: Path) -> None:
    file = await open_file(full, "wb", 0)
    with pytest.raises(OSError, match="No space left") as caught:
        for _ in range(10):
            await file.write(TOO_MUCH)
    assert caught.value.errno == errno.ENOSPC
    await file.aclose()


async def test_a_flush_that_finds_no_room_says_so(full: Path) -> None:
    file = await open_file(full, "wb", len(TOO_MUCH) + 1)
    await file.write(TOO_MUCH)
    with pytest.raises(OSError, match="No space left"):
        await file.flush()
    with pytest.raises(OSError, match="No space left"):
        await file.aclose()
    assert file.closed


async def test_a_close_that_finds_no_room_says_so_and_closes(full: Path) -> None:
    with pytest.raises(OSError, match="No space left"):
        async with await open_file(full, "wb", len(TOO_MUCH) + 1) as file:
            await file.write(TOO_MUCH)
    assert file.closed


async def test_a_full_disk_is_not_hidden_by_a_cancellation(full: Path) -> None:
    with CancelScope() as scope:
        with pytest.raises(OSError, match="No space left"):
            async with await open_file(full, "wb", len(TOO_MUCH) + 1) as file:
                await file.write(TOO_MUCH)
                scope.cancel()
    assert file.closed


async def test_writing_a_whole_file_that_does_not_fit(full: Path) -> None:
    path = AsyncPath(full)
    with pytest.raises(OSError, match="No space left"):
        await path.write_bytes(TOO_MUCH)
    with pytest.raises(OSError, match="No space left"):
        await path.write_text(TOO_MUCH.decode())


# Rights


async def test_what_is_forbidden_is_a_permission_error(guarded: Path) -> None:
    path = AsyncPath(guarded)
    with without_rights():
        for attempt in (
            open_file(guarded / "secret"),
            (path / "secret").read_text(),
            (path / "closed" / "file").stat(),
            (path / "new").write_text(""),
            (path / "secret").unlink(),
            (path / "new").mkdir(),
            (path / "closed").rmdir(),
            anext(aiter((path / "closed").iterdir())),
        ):
            with pytest.raises(PermissionError):
                await attempt
    assert (guarded / "secret").exists()


async def test_a_walk_leaves_out_what_it_may_not_read(guarded: Path) -> None:
    errors: list[OSError] = []
    with without_rights():
        for top_down in (True, False):
            walk = AsyncPath(guarded).walk(top_down, errors.append)
            assert [(str(path), names, files) async for path, names, files in walk] == [
                (str(guarded), ["closed"], ["secret"])
            ]
            assert [str(path) async for path, *_ in AsyncPath(guarded).walk(top_down)] == [
                str(guarded)
            ]
    assert [(type(each), each.filename) for each in errors] == [
        (PermissionError, str(guarded / "closed"))
    ] * 2


# Files that vanish


async def test_an_open_file_outlives_its_name(tmp_path: Path) -> None:
    path = AsyncPath(tmp_path / "file")
    async with await path.open("w+") as file:
        await file.write("here")
        await path.unlink()
        await file.seek(0)
        assert await file.read() == "here"
    assert not await path.exists()
    for attempt in (path.stat(), path.unlink(), path.read_bytes(), path.open(), path.readlink()):
        with pytest.raises(FileNotFoundError):
            await attempt
    await path.unlink(missing_ok=True)


async def test_a_directory_that_vanishes_while_it_is_walked_is_left_out(tmp_path: Path) -> None:
    for number in range(3):
        (tmp_path / str(number) / "below").mkdir(parents=True)
    seen: list[str] = []
    errors: list[OSError] = []
    async for path, names, _ in AsyncPath(tmp_path).walk(on_error=errors.append):
        seen.append(path.name)
        names.sort()
        if len(seen) == 1:
            shutil.rmtree(tmp_path / "1")
    assert seen[1:] == ["0", "below", "2", "below"]
    assert [error.filename for error in errors] == [str(tmp_path / "1")]


async def test_a_directory_that_is_gone_is_an_error_at_the_first_step(tmp_path: Path) -> None:
    listing = AsyncPath(tmp_path / "gone").iterdir()
    with pytest.raises(FileNotFoundError):
        await anext(listing)
    assert await anext(listing, "over") == "over"
    assert [each async for each in AsyncPath(tmp_path / "gone").walk()] == []
    assert [each async for each in AsyncPath(tmp_path / "gone").rglob("*")] == []


# Cancellation in the middle


async def test_a_cancelled_write_is_done_whole(tmp_path: Path) -> None:
    slow = SlowFile()
    file = wrap_file(slow)
    async with create_task_group() as group:
        group.start_soon(file.write, b"all of it")
        await slow.has_begun()
        group.cancel_scope.cancel()
        slow.go.set()
    assert slow.getvalue() == b"all of it"
    await file.aclose()


@pytest.mark.parametrize("duty", ["aclose", "flush"])
async def test_a_close_or_flush_that_was_cancelled_before_it_began_is_done(duty: str) -> None:
    slow = SlowFile()
    slow.go.set()
    file = wrap_file(slow)
    with CancelScope() as scope:
        scope.cancel()
        await getattr(file, duty)()
        pytest.fail("the cancellation is raised when it is done")
    assert scope.cancelled_caught
    assert slow.done == [duty.removeprefix("a")]
    await file.aclose()
    assert slow.closed


@pytest.mark.parametrize("duty", ["aclose", "flush"])
async def test_a_close_or_flush_that_is_cancelled_in_the_middle_is_done(duty: str) -> None:
    slow = SlowFile()
    file = wrap_file(slow)
    async with create_task_group() as group:
        group.start_soon(getattr(file, duty))
        await slow.has_begun()
        group.cancel_scope.cancel()
        with CancelScope(shield=True):
            await checkpoint()
        slow.go.set()
    assert slow.done == [duty.removeprefix("a")]
    await file.aclose()


@pytest.mark.parametrize("duty", ["aclose", "flush"])
async def test_a_close_or_flush_that_waits_for_a_token_is_not_lost(duty: str) -> None:
    limiter = CapacityLimiter(1)
    slow = SlowFile()
    slow.go.set()
    file = wrap_file(slow, limiter=limiter)
    limiter.acquire_on_behalf_of_nowait("somebody else")
    async with create_task_group() as group:
        group.start_soon(getattr(file, duty))
        await wait_all_tasks_blocked()
        group.cancel_scope.cancel()
        await wait_all_tasks_blocked_in_shield()
        assert slow.done == []
        limiter.release_on_behalf_of("somebody else")
    assert slow.done == [duty.removeprefix("a")]
    await file.aclose()


async def wait_all_tasks_blocked_in_shield() -> None:
    with CancelScope(shield=True):
        await wait_all_tasks_blocked()


@on_asyncio
async def test_a_native_cancel_does_not_lose_a_close_that_waits_for_a_token() -> None:
    limiter = CapacityLimiter(1)
    slow = SlowFile()
    slow.go.set()
    file = wrap_file(slow, limiter=limiter)
    limiter.acquire_on_behalf_of_nowait("somebody else")
    task = asyncio.ensure_future(file.aclose())
    await wait_all_tasks_blocked()
    for _ in range(2):
        task.cancel()
        await wait_all_tasks_blocked()
    assert not task.done()
    limiter.release_on_behalf_of("somebody else")
    with pytest.raises(get_cancelled_exc_class()):
        await task
    assert slow.done == ["close"]


async def test_a_file_is_closed_when_its_block_is_cancelled(tmp_path: Path) -> None:
    with CancelScope() as scope:
        async with await open_file(tmp_path / "file", "w") as file:
            await file.write("written")
            scope.cancel()
            await checkpoint()
    assert scope.cancelled_caught
    assert file.closed
    assert (tmp_path / "file").read_text() == "written"


async def test_an_operation_that_was_cancelled_before_its_turn_did_nothing(tmp_path: Path) -> None:
    path = AsyncPath(tmp_path / "file")
    with CancelScope() as scope:
        scope.cancel()
        await path.write_text("never")
    assert scope.cancelled_caught
    assert not await path.exists()


async def test_a_file_that_was_opened_as_the_cancel_came_is_not_lost(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    opened: list[bool] = []

    async def open_and_close() -> None:
        async with await open_file(fifo, "rb"):
            opened.append(True)

    async with create_task_group() as group:
        group.start_soon(open_and_close)
        await wait_all_tasks_blocked()
        group.cancel_scope.cancel()
        with CancelScope(shield=True):
            async with await open_file(fifo, "wb"):
                pass
    assert opened == [True]
