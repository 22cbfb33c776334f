"""Programs that are asked in unusual places: two loops in two threads, a guest of another loop, another user."""

from __future__ import annotations

import os
import queue
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

import creche
from creche import insight
from creche._insight.ask import TargetError, connect, programs

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there are no UNIX sockets")


a_fork_of_threads = pytest.mark.filterwarnings(
    "ignore:.*is multi-threaded, use of fork:DeprecationWarning"
)


@pytest.fixture(autouse=True)
def runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    return tmp_path


@contextmanager
def serving(runtime: Path) -> Iterator[Path]:
    """Serve in this process, and see that nothing of it is left."""
    insight.serve()
    try:
        yield runtime / "creche" / f"{os.getpid()}.sock"
    finally:
        insight.stop_serving()
    assert list((runtime / "creche").iterdir()) == []
    assert "creche insight" not in {thread.name for thread in threading.enumerate()}


def look() -> insight.Snapshot:
    with connect(os.getpid()) as target:
        return target.snapshot()


def test_two_loops_in_two_threads_are_both_told(runtime: Path) -> None:
    ready = threading.Barrier(3)
    ends: list[Callable[[], object]] = []

    def run(backend: str) -> None:
        async def main() -> None:
            over = creche.Event()
            portal_end = creche.lowlevel.current_token()
            ends.append(lambda: creche.from_thread.run_sync(over.set, token=portal_end))
            async with creche.create_task_group() as group:
                group.start_soon(over.wait, name=f"waiter on {backend}")
                await creche.wait_all_tasks_blocked()
                await creche.to_thread.run_sync(ready.wait)

        creche.run(main, backend=backend)

    threads = [
        threading.Thread(target=run, args=[name], name=f"loop {name}")
        for name in ("asyncio", "trio")
    ]
    for thread in threads:
        thread.start()
    ready.wait()
    with serving(runtime):
        told = look()
    for end in ends:
        end()
    for thread in threads:
        thread.join()
    found = {loop.thread: {task.name for task in loop.tasks} for loop in told.loops}
    assert found["loop asyncio"] >= {"waiter on asyncio"}
    assert found["loop trio"] >= {"waiter on trio"}
    assert {loop.backend for loop in told.loops} == {"asyncio", "trio"}


def test_trio_as_a_guest_of_another_loop_is_told(runtime: Path) -> None:
    trio = pytest.importorskip("trio")
    jobs: queue.SimpleQueue[Callable[[], object]] = queue.SimpleQueue()
    outcomes: list[Any] = []
    told: list[insight.Snapshot] = []

    async def main() -> None:
        over = creche.Event()
        async with creche.create_task_group() as group:
            group.start_soon(over.wait, name="guest")
            await creche.wait_all_tasks_blocked()
            told.append(await creche.to_thread.run_sync(look))
            over.set()

    with serving(runtime):
        trio.lowlevel.start_guest_run(
            main, run_sync_soon_threadsafe=jobs.put, done_callback=outcomes.append
        )
        while not outcomes:
            jobs.get(timeout=30)()
    outcomes[0].unwrap()
    (loop,) = told[0].loops
    assert loop.backend == "trio" and "guest" in {task.name for task in loop.tasks}


def as_another_user(path: Path) -> bytes:
    """Ask at a socket as the user `nobody`; return what comes, or the name of the error."""
    reads, writes = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.setuid(65534)
            with socket.socket(socket.AF_UNIX) as sock:
                sock.connect(str(path))
                sock.sendall(b'{"do": "snapshot"}\n')
                os.write(writes, sock.recv(100) or b"nothing")
        except OSError as exc:
            os.write(writes, type(exc).__name__.encode())
        finally:
            os._exit(0)
    os.close(writes)
    with open(reads, "rb") as answer:
        told = answer.read()
    os.waitpid(pid, 0)
    return told


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")
@a_fork_of_threads
def test_another_user_reaches_nothing_even_if_the_files_were_opened(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        monkeypatch.setenv("XDG_RUNTIME_DIR", name)
        with serving(folder) as path:
            assert as_another_user(path) == b"PermissionError"
            path.parent.chmod(0o755)
            path.chmod(0o666)
            refused = (b"nothing", b"ConnectionResetError", b"BrokenPipeError")
            assert as_another_user(path) in refused
            path.parent.chmod(0o700)
            assert look().pid == os.getpid()


@a_fork_of_threads
def test_a_child_of_a_fork_serves_under_its_own_number_and_leaves_nothing(runtime: Path) -> None:
    with serving(runtime):
        pid = os.fork()
        if pid == 0:
            try:
                insight.serve()
                with connect(os.getpid()) as target:
                    target.snapshot()
                insight.stop_serving()
                os._exit(0)
            finally:
                os._exit(1)
        assert os.waitpid(pid, 0)[1] == 0
        assert [number for number, _ in programs()] == [os.getpid()]
        assert look().pid == os.getpid()


def test_a_viewer_that_dies_in_the_middle_of_an_answer_costs_nothing(runtime: Path) -> None:
    with serving(runtime) as path:
        for _ in range(100):
            with socket.socket(socket.AF_UNIX) as sock:
                sock.connect(str(path))
                sock.sendall(b'{"do": "snapshot"}\n' * 3)
        assert look().pid == os.getpid()


def test_a_viewer_waits_while_others_fill_the_queue(
    runtime: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On Linux a full queue of a UNIX socket refuses at once."""
    (runtime / "creche").mkdir(mode=0o700)
    path = runtime / "creche" / f"{os.getpid()}.sock"
    with ExitStack() as others, socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen(1)
        with pytest.raises(BlockingIOError):
            for _ in range(100):
                other = others.enter_context(socket.socket(socket.AF_UNIX))
                other.setblocking(False)
                other.connect(str(path))

        def accept() -> None:
            for _ in range(3):
                listener.accept()[0].close()

        acceptor = threading.Thread(target=accept)
        sleep = time.sleep

        def first_sleep(seconds: float) -> None:
            if not acceptor.ident:
                acceptor.start()
            sleep(seconds)

        monkeypatch.setattr(time, "sleep", first_sleep)
        with connect(os.getpid()):
            acceptor.join()


def test_a_process_that_has_ended_is_not_asked() -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    with pytest.raises(TargetError, match="there is no process"), connect(process.pid):
        pass


def test_where_there_are_no_unix_sockets_it_says_what_works(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delattr(socket, "AF_UNIX")
    for attempt in (programs, lambda: connect(os.getpid()).__enter__()):
        with pytest.raises(TargetError, match=r"does not have on Windows: there, .*dump_on_signal"):
            attempt()
