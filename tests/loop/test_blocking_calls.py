"""No call that may block is made in the thread of the event loop.

What the tool blockbuster forbids is forbidden here, on every loop. Many projects' tests run with it.
"""

from __future__ import annotations

import builtins
import os
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme

import creche
from creche import (
    connect_tcp,
    connect_unix,
    create_task_group,
    create_tcp_listener,
    create_unix_listener,
    from_thread,
    to_process,
    to_thread,
)
from creche.abc import ByteStream, SocketAttribute
from creche.lowlevel import current_token
from creche.streams.tls import TLSListener

CALLS = {
    os: (
        "access", "getcwd", "link", "listdir", "mkdir", "read", "readlink", "remove", "rename",
        "replace", "rmdir", "scandir", "stat", "statvfs", "symlink", "unlink", "write",
    ),
    os.path: ("abspath",),
    time: ("sleep",),
    builtins: ("open",),
}  # fmt: skip


LOOKING_ELSEWHERE = {
    "importlib", "asyncio", "trio",
    # In development mode loops note where each of their callbacks comes from, and look up the lines.
    *({"traceback"} if sys.flags.dev_mode else ()),
}  # fmt: skip


@pytest.fixture
def watchful(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Note each such call in the thread of the test, which is that of its loop."""
    here = threading.get_ident()
    seen: list[str] = []

    def watched(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def watching(*args: Any, **kwargs: Any) -> Any:
            harmless = name in ("read", "write") and not os.get_blocking(args[0])
            if threading.get_ident() == here and not harmless and _by_creche():
                seen.append(name)
            return call(*args, **kwargs)

        return watching

    for module, names in CALLS.items():
        for name in names:
            monkeypatch.setattr(module, name, watched(name, getattr(module, name)))
    yield seen
    monkeypatch.undo()
    assert seen == []


def _by_creche() -> bool:
    """Whether a caller is of Creche; the import system and the loops' own wake-ups read too."""
    frame: Any = sys._getframe(2)
    while frame is not None:
        name = frame.f_globals.get("__name__", "")
        if name.partition(".")[0] in LOOKING_ELSEWHERE:
            return False
        if name.startswith("creche.") and not name.startswith("creche._kernel"):
            return True
        frame = frame.f_back
    return False


async def test_starting_a_process(watchful: list[str]) -> None:
    async with await creche.open_process([sys.executable, "-c", "print(input())"]) as process:
        assert process.stdin
        assert process.stdout
        await process.stdin.send(b"hello\n")
        assert (await process.stdout.receive()).startswith(b"hello")
    assert (await creche.run_process("exit 3", check=False)).returncode == 3
    done = await creche.run_process(["cat"], input=b"x" * 300_000, cwd="/tmp")
    assert len(done.stdout) == 300_000


async def test_starting_a_process_that_is_not_there(watchful: list[str]) -> None:
    with pytest.raises(FileNotFoundError, match="no-such-program"):
        await creche.run_process(["no-such-program"])


async def test_worker_processes(watchful: list[str]) -> None:
    for _ in range(2):
        assert await to_process.run_sync(divmod, 7, 2) == (3, 1)


async def test_threads_and_calls_from_them(watchful: list[str]) -> None:
    token = current_token()
    await to_thread.run_sync(from_thread.run, creche.sleep, 0)
    await to_thread.run_sync(lambda: from_thread.run_sync(int, token=token))


async def test_files_and_folders(watchful: list[str], tmp_path: Path) -> None:
    folder = creche.Path(tmp_path)
    async with await creche.open_file(folder / "file", "w") as file:
        await file.write("text")
        await file.flush()
    assert [each.name async for each in folder.iterdir()] == ["file"]
    assert [each.name async for each in folder.rglob("*")] == ["file"]
    await (await folder.resolve()).absolute()
    await creche.Path.cwd()
    async with creche.TemporaryDirectory() as name, creche.NamedTemporaryFile(dir=name) as file:
        await file.write(b"text")
    async with creche.SpooledTemporaryFile(max_size=2) as spooled:
        await spooled.write(b"text")


async def test_sockets(watchful: list[str], tmp_path: Path) -> None:
    async def echo(stream: ByteStream) -> None:
        async with stream:
            await stream.send(await stream.receive())

    async with await create_tcp_listener(local_host="localhost") as listener:
        async with create_task_group() as group:
            group.start_soon(listener.serve, echo)
            port = listener.extra(SocketAttribute.local_port)
            async with await connect_tcp("localhost", port) as stream:
                await stream.send(b"hello")
                assert await stream.receive() == b"hello"
            group.cancel_scope.cancel()


async def test_the_path_of_a_unix_socket_is_looked_at_and_nothing_else(
    watchful: list[str], tmp_path: Path
) -> None:
    """As documented: a look before the socket takes the path, and its removal at the end."""
    path = tmp_path / "socket"
    async with await create_unix_listener(path) as listener:
        async with create_task_group() as group:
            group.start_soon(listener.serve, lambda stream: stream.aclose())
            async with await connect_unix(path):
                pass
            group.cancel_scope.cancel()
    assert set(watchful) <= {"stat", "unlink"}
    assert len(watchful) <= 3
    watchful.clear()


class ForeignContext(ssl.SSLContext):
    """Looks up certificates as late as truststore's does."""

    def wrap_bio(self, *args: Any, **kwargs: Any) -> ssl.SSLObject:
        os.stat("/")
        with open(os.devnull) as file:
            file.read()
        return super().wrap_bio(*args, **kwargs)


async def test_a_tls_context_of_another_kind(watchful: list[str]) -> None:
    async def echo(stream: ByteStream) -> None:
        async with stream:
            await stream.send(await stream.receive())

    authority = trustme.CA()
    server, client = (
        ForeignContext(ssl.PROTOCOL_TLS_SERVER),
        ForeignContext(ssl.PROTOCOL_TLS_CLIENT),
    )
    authority.issue_cert("localhost").configure_cert(server)
    authority.configure_trust(client)
    watchful.clear()  # trustme writes files
    listener = TLSListener(await create_tcp_listener(local_host="localhost"), server)
    async with listener, create_task_group() as group:
        group.start_soon(listener.serve, echo)
        port = listener.extra(SocketAttribute.local_port)
        async with await connect_tcp("localhost", port, ssl_context=client) as stream:
            await stream.send(b"hello")
            assert await stream.receive() == b"hello"
        group.cancel_scope.cancel()


async def test_a_process_dies_with_the_program_and_not_with_a_thread() -> None:
    """One that asks to die with its parent has for its parent the thread that has started it."""
    die_with_parent = "import ctypes; ctypes.CDLL(None).prctl(1, 9); print(1, flush=True); input()"
    async with await creche.open_process([sys.executable, "-c", die_with_parent]) as process:
        assert process.stdout
        assert process.stdin
        await process.stdout.receive()
        async with create_task_group() as group:
            for _ in range(4):
                group.start_soon(to_thread.run_sync, time.sleep, 0.01)
        await process.stdin.send(b"\n")
        assert await process.wait() == 0


def test_a_fork_starts_processes_too() -> None:
    program = (
        "import creche, os, warnings\n"
        "warnings.simplefilter('ignore')\n"
        "for _ in range(2):\n"
        "    creche.run(creche.run_process, ['true'])\n"
        "    if os.fork() == 0:\n"
        "        creche.run(creche.run_process, ['true'])\n"
        "        os._exit(7)\n"
        "    assert os.waitstatus_to_exitcode(os.wait()[1]) == 7\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=20)
