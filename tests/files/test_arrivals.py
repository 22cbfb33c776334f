"""Reading what may never come: terminals, pipes, sockets, and standard input, which is any of them."""

from __future__ import annotations

import os
import pty
import signal
import socket
import subprocess
import sys
import threading
import tty
from collections.abc import Callable, Iterator
from textwrap import dedent
from typing import IO, Any

import pytest

from _harness import Backend
from creche import (
    ClosedResourceError,
    EndOfStream,
    create_task_group,
    move_on_after,
    wait_all_tasks_blocked,
    wrap_file,
)
from creche._threads import pool
from creche.streams.file import FileReadStream

Ends = tuple[IO[bytes], Callable[[bytes], object], Callable[[], object]]


def workers() -> int:
    return sum(thread.name == pool.NAME for thread in threading.enumerate())


@pytest.fixture(params=["pipe", "raw pipe", "terminal", "socket"])
def ends(request: pytest.FixtureRequest) -> Iterator[Ends]:
    """A file to read, what writes to its other end, and what closes that."""
    if request.param == "socket":
        here, there = socket.socketpair()
        with here, there, here.makefile("rb") as made:
            yield made, there.sendall, there.close
        return
    if request.param == "terminal":
        other, this = pty.openpty()
        tty.setraw(this)
    else:
        this, other = os.pipe()
    closed: list[bool] = []

    def close() -> None:
        closed.append(True)
        os.close(other)

    buffering = 0 if request.param == "raw pipe" else -1
    file: IO[bytes]
    with os.fdopen(this, "rb", buffering=buffering) as file:
        yield file, lambda data: os.write(other, data), close
    if not closed:
        close()


async def test_a_read_is_cancelled_while_nothing_comes_and_holds_no_thread(ends: Ends) -> None:
    file, write, _ = ends
    wrapped = wrap_file(file)
    for operation in (wrapped.readline, lambda: wrapped.read(10), wrapped.readlines):
        with move_on_after(0.01) as scope:
            await operation()
        assert scope.cancelled_caught
    assert workers() == 0
    write(b"a line\n")
    assert await wrapped.readline() == b"a line\n"


async def test_a_line_that_is_begun_is_not_lost_by_a_cancel(ends: Ends) -> None:
    file, write, _ = ends
    wrapped = wrap_file(file)
    write(b"one\ntwo\nthr")
    assert await wrapped.readline() == b"one\n"
    assert await wrapped.readline() == b"two\n"
    with move_on_after(0.02) as scope:
        await wrapped.readline()
    assert scope.cancelled_caught
    write(b"ee\nfour")
    assert await wrapped.readline() == b"three\n"
    assert await wrapped.read(4) == b"four"


async def test_to_the_end(ends: Ends) -> None:
    file, write, close = ends
    if os.isatty(file.fileno()):
        pytest.skip("the end of a terminal is an error of the system")
    wrapped = wrap_file(file)
    write(b"one\ntwo\nthree")
    close()
    assert [line async for line in wrapped] == [b"one\n", b"two\n", b"three"]
    assert await wrapped.readline() == b""
    assert await wrapped.read() == b""


async def test_the_other_ways_to_read(ends: Ends) -> None:
    file, write, _ = ends
    wrapped = wrap_file(file)
    write(b"0123456789")
    assert await wrapped.read(0) == b""
    buffer = bytearray(4)
    assert await wrapped.readinto(buffer) == 4
    assert buffer == b"0123"
    if hasattr(file, "read1"):
        assert await wrapped.read1(3) == b"456"
        assert await wrapped.read1() == b"789"
    else:
        assert await wrapped.read(100) == b"456789"


@pytest.mark.parametrize("buffering", [-1, 0])
async def test_a_size_is_filled_as_the_file_itself_would(buffering: int) -> None:
    """A file with a buffer waits for all that was asked for, one without returns what there is."""
    this, other = os.pipe()
    with os.fdopen(this, "rb", buffering=buffering) as file:
        wrapped = wrap_file(file)
        os.write(other, b"01234")
        with move_on_after(0.05) as scope:
            assert await wrapped.read(10) == b"01234"
        assert scope.cancelled_caught is (buffering == -1)
        os.write(other, b"56789")
        assert await wrapped.read(10) == (b"0123456789" if buffering else b"56789")
    os.close(other)


async def test_closing_wakes_who_waits(ends: Ends) -> None:
    file, _, _ = ends
    wrapped = wrap_file(file)
    seen: list[type[BaseException]] = []

    async def read() -> None:
        try:
            await wrapped.readline()
        except (ClosedResourceError, ValueError) as exc:
            seen.append(type(exc))

    async with create_task_group() as group:
        group.start_soon(read)
        await wait_all_tasks_blocked()
        await wrapped.aclose()
    assert len(seen) == 1
    with pytest.raises(ValueError, match="closed file"):
        await wrapped.readline()


async def test_several_tasks_read_one_after_the_other(ends: Ends) -> None:
    file, write, _ = ends
    wrapped = wrap_file(file)
    lines: list[bytes] = []

    async def read() -> None:
        lines.append(await wrapped.readline())

    async with create_task_group() as group:
        for _ in range(3):
            group.start_soon(read)
        await wait_all_tasks_blocked()
        write(b"one\n")
        await wait_all_tasks_blocked()
        write(b"two\nthree\n")
    assert lines == [b"one\n", b"two\n", b"three\n"]


async def test_a_file_stream_is_cancelled_too(ends: Ends) -> None:
    file, write, close = ends
    stream = FileReadStream(file)  # type: ignore[arg-type]  # it reads, and nothing else
    with move_on_after(0.01) as scope:
        await stream.receive()
    assert scope.cancelled_caught
    assert workers() == 0
    write(b"hello")
    assert await stream.receive() == b"hello"
    if not os.isatty(file.fileno()):
        close()
        with pytest.raises(EndOfStream):
            await stream.receive()


async def test_what_its_buffer_had_before_comes_first() -> None:
    this, other = os.pipe()
    with os.fdopen(this, "rb") as file:
        os.write(other, b"one\ntwo\n")
        assert file.readline() == b"one\n"
        os.write(other, b"three\n")
        wrapped = wrap_file(file)
        assert await wrapped.readline() == b"two\n"
        assert await wrapped.readline() == b"three\n"
    os.close(other)


# Standard input

START = """
import os, signal, sys, threading, time
import creche
async def main():
    stdin = creche.wrap_file(sys.stdin)
"""
END = """
creche.run(main, backend=sys.argv[1], backend_options={"use_uvloop": True} if sys.argv[2] == "uvloop" else {})
"""
loops = pytest.mark.backends("asyncio", "uvloop", "trio")


def start(backend: Backend, program: str, **options: Any) -> subprocess.Popen[str]:
    body = "\n".join("    " + line for line in dedent(program).splitlines())
    command = [sys.executable, "-c", START + body + END, backend.kernel, backend.name]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options
    )


LINES = """
    with creche.move_on_after(0.1) as scope:
        await stdin.readline()
    print("cancelled" if scope.cancelled_caught else "read", flush=True)
    async for line in stdin:
        print(ascii(line), flush=True)
    assert os.get_blocking(0)
"""


@loops
def test_standard_input_that_is_a_terminal(backend: Backend) -> None:
    master, slave = pty.openpty()
    with start(backend, LINES, stdin=slave) as process:
        assert process.stdout
        assert process.stdout.readline() == "cancelled\n"
        for line in ("one", "zwei ä"):
            os.write(master, line.encode() + b"\n")
            assert process.stdout.readline() == ascii(line + "\n") + "\n"
        os.write(master, b"\x04")
        assert process.wait(10) == 0
    os.close(master)
    os.close(slave)


@loops
def test_standard_input_that_is_a_pipe(backend: Backend) -> None:
    with start(backend, LINES, stdin=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stdin
        assert process.stdout.readline() == "cancelled\n"
        process.stdin.buffer.write("one\ntwo\r\nä".encode())  # type: ignore[attr-defined]  # text of bytes
        process.stdin.close()
        assert [line.strip() for line in process.stdout] == [r"'one\n'", r"'two\n'", r"'\xe4'"]
        assert process.wait(10) == 0


@loops
@pytest.mark.parametrize("kind", ["file", "/dev/null", "closed"])
def test_standard_input_that_never_makes_wait(backend: Backend, kind: str, tmp_path: Any) -> None:
    path = tmp_path / "file"
    path.write_text("one\ntwo")
    program = """
        print([line async for line in stdin])
    """
    if kind == "closed":
        program = """
            os.close(0)
            try:
                await stdin.readline()
            except OSError:
                print([])
        """
    with open(os.devnull if kind == "/dev/null" else path) as file:
        with start(backend, program, stdin=file) as process:
            output, errors = process.communicate(timeout=10)
    assert output == ("['one\\n', 'two']\n" if kind == "file" else "[]\n"), errors


@loops
def test_one_ctrl_c_ends_a_server_that_reads_a_terminal(backend: Backend) -> None:
    program = """
        async def serve():
            async for line in stdin:
                print(line)
        async with creche.create_task_group() as group:
            group.start_soon(serve)
            await creche.sleep(0.05)
            print("ready", flush=True)
    """
    master, slave = pty.openpty()
    with start(backend, program, stdin=slave) as process:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=10)
        assert process.returncode != 0  # On Trio it comes in a group of errors.
        assert "KeyboardInterrupt" in errors
    os.close(master)
    os.close(slave)


@loops
def test_standard_input_that_was_read_before_is_read_on(backend: Backend) -> None:
    program = """
        print(ascii(sys.stdin.readline()), flush=True)
        print(ascii(await stdin.readline()), flush=True)
        print(ascii(await stdin.readline()), flush=True)
    """
    with start(backend, program, stdin=subprocess.PIPE) as process:
        output, errors = process.communicate("one\ntwo\nthree\n", timeout=10)
    assert output.splitlines() == [r"'one\n'", r"'two\n'", r"'three\n'"], errors
