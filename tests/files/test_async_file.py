"""`open_file`, `wrap_file` and `AsyncFile`: the methods of a file, made async."""

from __future__ import annotations

import copy
import io
import os
import pathlib
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from _disks import CountingLimiter

from creche import AsyncFile, CapacityLimiter, create_task_group, open_file, wait_all_tasks_blocked
from creche import wrap_file as wrap
from creche.abc import AsyncResource

TEXT = "first\nsecond\nthird\n"


@pytest.fixture
def text_file(tmp_path: Path) -> Path:
    path = tmp_path / "text"
    path.write_text(TEXT)
    return path


async def test_reading_text(text_file: Path) -> None:
    async with await open_file(text_file) as file:
        assert await file.read(3) == "fir"
        assert await file.readline() == "st\n"
        assert await file.readlines() == ["second\n", "third\n"]
        assert await file.read() == ""
        assert await file.seek(0) == 0
        assert await file.read() == TEXT
    assert file.closed


async def test_reading_bytes(text_file: Path) -> None:
    data = TEXT.encode()
    async with await open_file(text_file, "rb") as file:
        assert await file.read1(4) == data[:4]
        buffer = bytearray(4)
        assert await file.readinto(buffer) == 4
        assert bytes(buffer) == data[4:8]
        assert await file.readinto1(buffer) == 4
        assert bytes(buffer) == data[8:12]
        assert await file.tell() == 12
        assert await file.seek(-6, os.SEEK_END) == len(data) - 6
        assert await file.seek(0, None) == 0
        assert await file.read() == data


async def test_writing(tmp_path: Path) -> None:
    path = tmp_path / "new"
    async with await open_file(path, "wb+") as file:
        assert await file.write(b"abc") == 3
        await file.writelines([b"def", b"ghi"])
        await file.flush()
        assert path.read_bytes() == b"abcdefghi"
        assert await file.truncate(5) == 5
        await file.seek(1)
        assert await file.truncate() == 1
    assert path.read_bytes() == b"a"


async def test_all_arguments_of_open_are_there(text_file: Path) -> None:
    opened: list[tuple[str, int]] = []

    def opener(path: str, flags: int) -> int:
        opened.append((path, flags))
        return os.open(path, flags)

    async with await open_file(
        str(text_file), "r", 64, "utf-8", "replace", "\n", True, opener
    ) as file:
        assert (file.encoding, file.errors, file.mode) == ("utf-8", "replace", "r")
    assert opened[0][0] == str(text_file)
    descriptor = os.open(text_file, os.O_RDONLY)
    async with await open_file(descriptor, closefd=False) as file:
        assert await file.read() == TEXT
    os.close(descriptor)


async def test_iterating_over_lines_begins_and_ends_anywhere(text_file: Path) -> None:
    async with await open_file(text_file) as file:
        await file.read(3)
        async for line in file:
            assert line == "st\n"
            break
        assert await file.readline() == "second\n"
        assert [line async for line in file] == ["third\n"]
        assert [line async for line in file] == []


async def test_what_is_not_async_is_passed_through(text_file: Path) -> None:
    async with await open_file(text_file) as file:
        assert os.fspath(file.name) == str(text_file)
        assert file.fileno() == file.wrapped.fileno()
        assert file.readable() and not file.writable()
        with pytest.raises(AttributeError, match="no_such_thing"):
            file.no_such_thing()
        assert isinstance(file, AsyncResource)
        assert repr(file.wrapped) in repr(file)


async def test_a_file_that_was_opened_elsewhere_can_be_wrapped() -> None:
    inner = io.StringIO("a\nb\n")
    async with wrap(inner) as file:
        assert file.wrapped is inner
        assert [line async for line in file] == ["a\n", "b\n"]
    assert inner.closed
    assert wrap(inner).limiter is None


def test_copying_does_not_run_in_circles() -> None:
    file = wrap(io.BytesIO())
    assert copy.copy(file).wrapped is file.wrapped
    with pytest.raises(AttributeError, match="_fp"):
        object.__new__(AsyncFile).name


async def test_closing_twice_is_fine_and_using_it_then_is_not(text_file: Path) -> None:
    file = await open_file(text_file)
    await file.aclose()
    await file.aclose()
    with pytest.raises(ValueError, match="closed file"):
        await file.read()


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("no such file",), FileNotFoundError),
        ((".",), IsADirectoryError),
        ((__file__, "x"), FileExistsError),
        ((__file__, "nonsense"), ValueError),
        ((__file__, "rb", -1, "utf-8"), ValueError),
        ((3.5,), TypeError),
    ],
)
async def test_what_open_refuses_is_refused(
    arguments: tuple[str, ...], error: type[Exception]
) -> None:
    with pytest.raises(error):
        await open_file(*arguments)  # type: ignore[call-overload]


async def test_undecodable_bytes_are_an_error_and_the_file_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "latin"
    path.write_bytes(b"caf\xe9\n")
    async with await open_file(path, encoding="utf-8") as file:
        with pytest.raises(UnicodeDecodeError):
            await file.read()
    async with await open_file(path, encoding="latin-1") as file:
        assert await file.read() == "café\n"


# The limiter


async def test_every_call_goes_through_the_limiter(tmp_path: Path) -> None:
    limiter = CountingLimiter()
    async with await open_file(tmp_path / "file", "wb+", limiter=limiter) as file:
        assert file.limiter is limiter
        calls: list[Callable[[], Awaitable[object]]] = [
            lambda: file.write(b"abc"),
            lambda: file.writelines([b"d"]),
            file.flush,
            file.tell,
            lambda: file.seek(0),
            file.read,
            file.read1,
            file.readline,
            file.readlines,
            lambda: file.readinto(bytearray(1)),
            lambda: file.readinto1(bytearray(1)),
            file.truncate,
        ]
        for number, call in enumerate(calls):
            await call()
            assert limiter.calls == number + 2
    assert limiter.calls == len(calls) + 2


async def test_a_call_waits_for_a_token(text_file: Path) -> None:
    limiter = CapacityLimiter(1)
    async with await open_file(text_file, limiter=limiter) as file:
        limiter.acquire_on_behalf_of_nowait("somebody else")
        async with create_task_group() as group:
            handle = group.create_task(file.read())
            await wait_all_tasks_blocked()
            assert limiter.statistics().tasks_waiting == 1
            limiter.release_on_behalf_of("somebody else")
        assert handle.return_value == TEXT


@pytest.mark.parametrize("argument", [str, os.fsencode, pathlib.Path])
async def test_a_path_may_be_of_any_kind(text_file: Path, argument: type) -> None:
    async with await open_file(argument(text_file)) as file:
        assert await file.read() == TEXT


async def test_a_thousand_files_one_after_the_other(tmp_path: Path) -> None:
    for number in range(300):
        async with await open_file(tmp_path / str(number % 7), "w") as file:
            await file.write(str(number))
    assert sorted(path.read_text() for path in tmp_path.iterdir()) == [
        str(number) for number in range(293, 300)
    ]


async def test_fifty_files_at_once(tmp_path: Path) -> None:
    async def write(number: int) -> None:
        async with await open_file(tmp_path / str(number), "w") as file:
            await file.write(str(number))

    async with create_task_group() as group:
        for number in range(50):
            group.start_soon(write, number)
    assert len(list(tmp_path.iterdir())) == 50
    assert (tmp_path / "7").read_text() == "7"
