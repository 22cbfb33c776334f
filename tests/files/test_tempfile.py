"""Temporary files and directories: what is there inside the block, and nothing after it."""

from __future__ import annotations

import os
import pathlib
import shutil
import tempfile
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, AnyStr

import pytest

from creche import (
    CancelScope,
    NamedTemporaryFile,
    Path,
    SpooledTemporaryFile,
    TemporaryDirectory,
    TemporaryFile,
    gettempdir,
    gettempdirb,
    mkdtemp,
    mkstemp,
)
from creche.lowlevel import checkpoint


@pytest.fixture(autouse=True)
def place(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[pathlib.Path]:
    """Have temporary files made where they can be counted, and none left there."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    yield tmp_path
    assert list(tmp_path.iterdir()) == []


# Files without a name, and with one


async def test_a_temporary_file_is_there_for_the_block(place: pathlib.Path) -> None:
    async with TemporaryFile() as file:
        assert await file.write(b"abc") == 3
        await file.seek(0)
        assert await file.read() == b"abc"
        assert list(place.iterdir()) == []
    assert file.closed


async def test_all_arguments_reach_tempfile(place: pathlib.Path) -> None:
    options: dict[str, Any] = {"encoding": "latin-1", "newline": "\r\n", "errors": "replace"}
    options |= {"suffix": ".end", "prefix": "begin.", "dir": str(place), "buffering": 100}
    async with TemporaryFile("w+", **options) as text:
        await text.write("é\nα")
        await text.seek(0)
        assert (text.encoding, text.errors) == ("latin-1", "replace")
        assert await text.read() == "é\r\n?"
    async with NamedTemporaryFile("w+", **options) as named:
        name = pathlib.Path(named.name)
        assert (name.parent, name.suffix, name.name[:6]) == (place, ".end", "begin.")
    async with SpooledTemporaryFile(mode="w+", **options) as spooled:
        assert spooled.encoding == "latin-1"


async def test_a_named_file_is_gone_after_the_block() -> None:
    async with NamedTemporaryFile() as file:
        await file.write(b"abc")
        await file.flush()
        assert await Path(file.name).read_bytes() == b"abc"
    assert not await Path(file.name).exists()


async def test_a_named_file_is_gone_when_it_is_closed_unless_told_otherwise() -> None:
    async with NamedTemporaryFile() as file:
        await file.aclose()
        assert not await Path(file.name).exists()
    async with NamedTemporaryFile(delete_on_close=False) as file:
        await file.write(b"abc")
        await file.aclose()
        assert await Path(file.name).read_bytes() == b"abc"
    assert not await Path(file.name).exists()


async def test_a_named_file_stays_if_it_is_not_to_be_deleted() -> None:
    for delete_on_close in (True, False):
        async with NamedTemporaryFile(delete=False, delete_on_close=delete_on_close) as file:
            await file.write(b"abc")
        assert await Path(file.name).read_bytes() == b"abc"
        await Path(file.name).unlink()


@pytest.mark.parametrize("kind", [TemporaryFile, NamedTemporaryFile, TemporaryDirectory])
async def test_a_block_that_is_cancelled_cleans_up(kind: Any, place: pathlib.Path) -> None:
    with CancelScope() as scope:
        async with kind():
            scope.cancel()
            await checkpoint()
    assert scope.cancelled_caught
    assert list(place.iterdir()) == []


@pytest.mark.parametrize("kind", [TemporaryFile, NamedTemporaryFile, TemporaryDirectory])
async def test_a_block_that_fails_cleans_up(kind: Any, place: pathlib.Path) -> None:
    with pytest.raises(ValueError):
        async with kind():
            raise ValueError
    assert list(place.iterdir()) == []


@pytest.mark.parametrize("kind", [TemporaryFile, NamedTemporaryFile, TemporaryDirectory])
async def test_nothing_is_made_if_the_caller_is_cancelled_before(kind: Any) -> None:
    with CancelScope() as scope:
        scope.cancel()
        await kind().__aenter__()
    assert scope.cancelled_caught


@pytest.mark.parametrize("kind", [TemporaryFile, NamedTemporaryFile, TemporaryDirectory])
async def test_a_place_that_is_not_there_is_an_error(kind: Any) -> None:
    with pytest.raises(FileNotFoundError):
        await kind(dir="/no/such/directory").__aenter__()


# Files in memory


def in_memory(file: SpooledTemporaryFile[Any]) -> bool:
    """Tell whether a file has not been given a descriptor."""
    return file.name is None


async def test_a_small_file_is_in_memory_and_a_large_one_on_disk(place: pathlib.Path) -> None:
    async with SpooledTemporaryFile(max_size=10) as file:
        assert await file.write(b"0123456789") == 10
        assert in_memory(file)
        await file.write(b"!")
        assert not in_memory(file)
        await file.seek(0)
        assert await file.read() == b"0123456789!"
    assert file.closed


async def test_rollover_goes_to_the_disk_once(place: pathlib.Path) -> None:
    async with SpooledTemporaryFile() as file:
        await file.write(b"abc")
        assert in_memory(file)
        for _ in range(2):
            await file.rollover()
            assert not in_memory(file)
        assert await file.tell() == 3


@pytest.mark.parametrize("rolled", [False, True])
async def test_a_spooled_file_does_all_that_a_file_does(rolled: bool) -> None:
    async with SpooledTemporaryFile(100) as file:
        if rolled:
            await file.rollover()
        await file.write(b"first\n")
        await file.writelines([b"second\n", b"third\n"])
        await file.flush()
        assert await file.seek(0) == 0
        assert await file.readline() == b"first\n"
        assert await file.read1(3) == b"sec"
        buffer = bytearray(2)
        assert await file.readinto(buffer) == await file.readinto1(buffer) == 2
        assert await file.readlines() == [b"third\n"]
        await file.seek(0)
        assert [line async for line in file] == [b"first\n", b"second\n", b"third\n"]
        assert await file.seek(-6, os.SEEK_END) == await file.tell()
        await file.truncate(5)
        await file.seek(0, None)
        assert await file.read() == b"first"
        await file.seek(3)
        await file.truncate()
        await file.seek(0)
        assert await file.read() == b"fir"
        assert [file.closed] == [False]
    assert [file.closed] == [True]
    await file.aclose()


async def test_text_that_may_not_fit_is_written_in_a_thread(place: pathlib.Path) -> None:
    async with SpooledTemporaryFile(8, "w+", encoding="utf-8") as file:
        await file.write("ab")
        assert in_memory(file)
        await file.writelines(["é" * 3, "ü"])
        await file.seek(0)
        assert await file.read() == "abéééü"


async def test_a_call_in_memory_is_a_checkpoint_and_closing_closes_all_the_same() -> None:
    file: SpooledTemporaryFile[bytes] = SpooledTemporaryFile()
    await file.write(b"abc")
    with CancelScope() as scope:
        scope.cancel()
        await file.read()
    assert scope.cancelled_caught
    with CancelScope() as scope:
        scope.cancel()
        await file.flush()
    assert scope.cancelled_caught
    with CancelScope() as scope:
        scope.cancel()
        await file.aclose()
    assert scope.cancelled_caught
    assert file.closed


# Directories


async def test_a_directory_is_removed_with_all_that_is_in_it(place: pathlib.Path) -> None:
    async with TemporaryDirectory(suffix=".end", prefix="begin.", dir=str(place)) as name:
        assert pathlib.Path(name).parent == place
        assert name.endswith(".end")
        await (Path(name) / "a" / "b").mkdir(parents=True)
        await (Path(name) / "a" / "file").touch()
    assert not await Path(name).exists()


async def test_a_directory_can_be_cleaned_up_before_the_end() -> None:
    directory: TemporaryDirectory[str] = TemporaryDirectory()
    await directory.cleanup()
    async with directory as name:
        await directory.cleanup()
        assert not await Path(name).exists()


async def test_a_directory_stays_if_it_is_not_to_be_deleted() -> None:
    directory: TemporaryDirectory[str] = TemporaryDirectory(delete=False)
    async with directory as name:
        await (Path(name) / "file").touch()
    assert await Path(name).is_dir()
    await directory.cleanup()
    assert not await Path(name).exists()


async def test_bytes_in_bytes_out(place: pathlib.Path) -> None:
    async with TemporaryDirectory(prefix=b"begin.") as name:
        assert type(name) is not str
    path = await mkdtemp(dir=os.fsencode(place))
    assert isinstance(path, bytes)
    os.rmdir(path)
    descriptor, file = await mkstemp(b".end")
    assert isinstance(file, bytes)
    os.close(descriptor)
    os.unlink(file)


def refuse(*arguments: object, **options: object) -> None:
    raise OSError("it is in use")


async def test_a_cleanup_that_fails_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    directory: TemporaryDirectory[str] = TemporaryDirectory()
    with pytest.raises(OSError, match="it is in use"):
        async with directory as name:
            monkeypatch.setattr(shutil, "rmtree", refuse)
    os.rmdir(name)


async def test_a_cleanup_that_fails_may_be_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    for delete in (True, False):
        directory: TemporaryDirectory[str]
        directory = TemporaryDirectory(ignore_cleanup_errors=True, delete=delete)
        async with directory as name:
            (pathlib.Path(name) / "file").touch()
            with monkeypatch.context() as patched:
                patched.setattr(os, "unlink", refuse)
                await directory.cleanup()
        os.unlink(pathlib.Path(name) / "file")
        os.rmdir(name)


# The functions


async def test_mkstemp_and_mkdtemp_leave_the_rest_to_you(place: pathlib.Path) -> None:
    descriptor, name = await mkstemp(".end", "begin.", str(place), text=True)
    os.write(descriptor, b"abc")
    os.close(descriptor)
    assert await Path(name).read_text() == "abc"
    await Path(name).unlink()
    name = await mkdtemp(".end", "begin.", str(place))
    assert (await Path(name).stat()).st_mode & 0o777 == 0o700
    await Path(name).rmdir()


async def test_the_place_for_temporary_files_is_known(place: pathlib.Path) -> None:
    assert await gettempdir() == str(place)
    assert await gettempdirb() == os.fsencode(place)


class Noting(SpooledTemporaryFile[AnyStr]):
    """Notes what was in memory when the file went to the disk."""

    noted: list[Any]

    async def rollover(self) -> None:
        position = await self.tell()
        await self.seek(0)
        self.noted.append(await self.read())
        await self.seek(position)
        await super().rollover()


@pytest.mark.parametrize("call", ["write", "writelines", "truncate", "rollover"])
async def test_a_rollover_of_one_s_own_is_used_wherever_the_file_goes_to_the_disk(
    call: str,
) -> None:
    async with Noting[bytes](max_size=4) as file:
        file.noted = []
        await file.write(b"abcd")
        assert file.noted == []
        calls: dict[str, Callable[[], Coroutine[Any, Any, Any]]] = {
            "write": lambda: file.write(b"e"),
            "writelines": lambda: file.writelines([b"e"]),
            "truncate": lambda: file.truncate(5),
            "rollover": file.rollover,
        }
        await calls[call]()
        written = b"abcde" if call.startswith("write") else b"abcd"
        assert file.noted == [written]
        await file.write(b"f")
        assert file.noted == [written]
        await file.seek(0)
        assert (await file.read()).rstrip(b"\0") == written + b"f" or call == "truncate"


async def test_a_rollover_of_one_s_own_counts_the_bytes_of_text() -> None:
    async with Noting[str](max_size=4, mode="w+", encoding="utf-8") as file:
        file.noted = []
        await file.write("äb")
        assert file.noted == []
        await file.write("ä")
        assert file.noted == ["äbä"]


async def test_a_cancelled_write_that_is_too_large_for_memory_is_written_or_not() -> None:
    async with SpooledTemporaryFile[bytes](max_size=4) as file:
        with CancelScope() as scope:
            scope.cancel()
            await file.write(b"abcdef")
        assert await file.tell() == 0
        await file.write(b"abcdef")
        assert await file.tell() == 6
