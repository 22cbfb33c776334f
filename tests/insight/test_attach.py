"""A program of 400 tasks, asked from outside: on each loop, blocked and not, by each way in."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import creche
from creche import insight
from creche._insight import answer, protocol
from creche._insight.ask import TargetError, connect, programs

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there are no UNIX sockets")

CROWD = Path(__file__).with_name("crowd.py")
LOOPS = ["asyncio", "uvloop", "trio"]
on_each_loop = pytest.mark.parametrize("loop", LOOPS)


a_fork_of_threads = pytest.mark.filterwarnings(
    "ignore:.*is multi-threaded, use of fork:DeprecationWarning"
)


@pytest.fixture(autouse=True)
def runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    return tmp_path


def outside_of_debuggers() -> dict[str, str]:
    """Return the environment without the variable that switches attaching off, whatever its value."""
    return {
        name: text for name, text in os.environ.items() if name != "PYTHON_DISABLE_REMOTE_DEBUG"
    }


@contextmanager
def crowd(loop: str, *how: str, **environment: str) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, str(CROWD), loop, *how],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**outside_of_debuggers(), **environment},
    ) as process:
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == ("blocked\n" if "blocked" in how else "ready\n")
            yield process
        finally:
            process.kill()


def check(snapshot: insight.Snapshot) -> None:
    """See that a snapshot tells what the crowd does."""
    tasks = {task.name: task for task in snapshot.tasks}
    assert len(tasks) > 390
    waiting = tasks["request"].wait
    assert waiting is not None and waiting.what == "Lock 'database'"
    assert waiting.holders == (tasks["holder"].id,)
    forth, back = tasks["forth"].wait, tasks["back"].wait
    assert forth is not None and forth.what == "Lock 'ledger'"
    assert back is not None and back.holders == (tasks["forth"].id,)
    producer = tasks["producer"].wait
    assert producer is not None and producer.what.startswith("room in MemoryObject")
    assert [worker.call for worker in snapshot.workers].count("sleep") == 5


@on_each_loop
@pytest.mark.parametrize("state", ["", "blocked"])
def test_a_program_that_serves_is_asked_from_outside(loop: str, state: str) -> None:
    with crowd(loop, "serve", *filter(None, [state])) as process:
        with connect(process.pid) as target:
            snapshot = target.snapshot(stacks=True)
        check(snapshot)
        (seen,) = snapshot.loops
        assert seen.backend == loop and snapshot.pid == process.pid
        if state:
            (task,) = [task for task in seen.tasks if task.state == "running"]
            assert task.name == "blocking" and task.stack[-1].function == "blocking"


def creche_command(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "creche", *arguments], capture_output=True, text=True, check=False
    )


def test_tree_and_ps_show_a_program_started_with_the_variable() -> None:
    with crowd("asyncio", CRECHE_INSIGHT="1") as process:
        shown = creche_command("tree", str(process.pid))
        assert shown.returncode == 0 and shown.stderr == ""
        assert "request x370" in shown.stdout and "held by holder" in shown.stdout
        assert "Deadlock: 2 tasks wait for each other" in shown.stdout
        assert len(shown.stdout.splitlines()) < 40
        told = json.loads(creche_command("tree", str(process.pid), "--json").stdout)
        assert told["version"] == 1
        found = creche_command("tree", str(process.pid), "--filter", "ledger", "--stacks").stdout
        assert "idle, 2 of 4" in found and "crowd.py" in found
        assert "└─ forth  waiting for Lock 'ledger', held by back" in found
        assert "Deadlock: 2 tasks wait for each other" in found
        assert "a task that has" not in found and "Workers" not in found
        lints = found.partition("Looks wrong")[2]  # of a program that has waited for long
        assert "holder" not in lints
        assert f"{process.pid}  " in creche_command("ps").stdout


@on_each_loop
@pytest.mark.parametrize("state", ["", "blocked"])
def test_a_signal_shows_the_tasks(loop: str, state: str) -> None:
    with crowd(loop, "signal", *filter(None, [state])) as process:
        process.send_signal(signal.SIGQUIT)
        assert process.stderr is not None
        shown = ""
        while "Deadlock: 2 tasks" not in shown:
            line = process.stderr.readline()
            assert line, shown
            shown += line
        assert "request x370" in shown
        assert process.poll() is None


@pytest.mark.skipif(hasattr(sys, "remote_exec"), reason="3.14 and later open it from outside")
def test_before_3_14_a_closed_program_is_told_how_to_open() -> None:
    with crowd("asyncio") as process:
        result = creche_command("tree", str(process.pid))
        assert result.returncode == 2
        assert "has no door for viewers, and before CPython 3.14" in result.stderr
        assert "CRECHE_INSIGHT=1" in result.stderr


@pytest.mark.skipif(not hasattr(sys, "remote_exec"), reason="needs CPython 3.14")
@pytest.mark.parametrize(
    ("loop", "state"),
    # libuv runs no Python while it is idle, even if it is woken.
    [(loop, state) for loop in LOOPS for state in ("blocked", "") if state or loop != "uvloop"],
)
def test_from_3_14_on_a_closed_program_is_opened_from_outside(loop: str, state: str) -> None:
    with crowd(loop, *filter(None, [state])) as process:
        with connect(process.pid) as target:
            check(target.snapshot())
        assert process.poll() is None


@pytest.mark.skipif(not hasattr(sys, "remote_exec"), reason="needs CPython 3.14")
def test_a_program_that_has_debugging_switched_off_says_so() -> None:
    with crowd("asyncio", PYTHON_DISABLE_REMOTE_DEBUG="1") as process:
        with pytest.raises(TargetError, match=r"has remote debugging switched off; start it with"):
            with connect(process.pid):
                pass


def test_the_socket_is_private_and_gone_at_the_end(runtime: Path) -> None:
    with crowd("asyncio", "serve") as process:
        path = runtime / "creche" / f"{process.pid}.sock"
        assert stat.S_IMODE(path.lstat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.lstat().st_mode) == 0o700
        process.send_signal(signal.SIGINT)
        process.wait()
        assert not path.exists()
        assert programs() == []
        with pytest.raises(TargetError, match="there is no process"), connect(process.pid):
            pass


def test_a_folder_that_others_can_enter_is_refused(runtime: Path) -> None:
    (runtime / "creche").mkdir(mode=0o755)
    with pytest.raises(PermissionError, match="is not a folder of yours with mode 0700"):
        insight.serve()


def test_another_user_is_not_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    insight.serve()
    try:
        monkeypatch.setattr(answer, "_is_ours", lambda sock: False)
        with connect(os.getpid()) as target:
            with pytest.raises(TargetError, match="has ended, or has closed"):
                target.snapshot()
        monkeypatch.undo()
    finally:
        insight.stop_serving()
    ours, other = socket.socketpair(socket.AF_UNIX)
    with ours, other:
        assert answer._is_ours(ours)
        monkeypatch.setattr(os, "getuid", lambda: 12345)
        credentials = ours.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
        assert answer._is_ours(ours) is (int.from_bytes(credentials[4:8], sys.byteorder) == 0)


def raw(path: Path) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    sock.settimeout(60)
    sock.connect(str(path))
    return sock


def read_answer(sock: socket.socket) -> bytes:
    head = sock.recv(protocol.HEAD, socket.MSG_WAITALL)
    return sock.recv(protocol.length_of(head), socket.MSG_WAITALL)


@contextmanager
def served(runtime: Path) -> Iterator[Path]:
    """Serve in this process; nothing of it is left for the sweep after the test to find."""
    insight.serve()
    try:
        yield runtime / "creche" / f"{os.getpid()}.sock"
    finally:
        insight.stop_serving()


@pytest.mark.parametrize(
    ("sent", "wrong"),
    [
        (b"x" * (protocol.LONGEST_REQUEST + 2), "more than 65536 bytes"),
        (b"garbage\n", "is not JSON"),
        (b"[" * 60000 + b"\n", "is not JSON"),
        (b"[]\n", "not an object with a text 'do'"),
        (b"\xff\xfe\n", "is not JSON"),
    ],
)
def test_a_garbled_or_huge_request_ends_its_connection_alone(
    runtime: Path, sent: bytes, wrong: str
) -> None:
    with served(runtime) as path, raw(path) as good, raw(path) as bad:
        try:
            bad.sendall(sent)
            assert wrong in read_answer(bad).decode()
        except (BrokenPipeError, ConnectionResetError):
            assert len(sent) > protocol.LONGEST_REQUEST
        good.sendall(protocol.pack_request("snapshot"))
        assert insight.Snapshot.from_json(read_answer(good)).pid == os.getpid()


def test_an_unknown_request_is_told_and_the_connection_goes_on(runtime: Path) -> None:
    with served(runtime), connect(os.getpid()) as target:
        with pytest.raises(TargetError, match="there is no request 'evaluate'"):
            target.ask("evaluate", code="1 + 1")
        with pytest.raises(TargetError, match="can be looked at, not controlled"):
            target.ask("cancel", task=1)
        assert target.snapshot().pid == os.getpid()


async def test_fifty_viewers_and_one_that_never_reads(runtime: Path) -> None:
    insight.serve()
    try:
        path = runtime / "creche" / f"{os.getpid()}.sock"
        async with creche.create_task_group() as group:
            for _ in range(50):
                group.start_soon(creche.sleep_forever)
            with raw(path) as lazy:
                for _ in range(50):
                    lazy.sendall(protocol.pack_request("snapshot"))
                counts: list[int] = []

                def look() -> None:
                    with connect(os.getpid()) as target:
                        counts.append(sum(1 for _ in target.snapshot().tasks))

                threads = [threading.Thread(target=look) for _ in range(50)]
                for thread in threads:
                    thread.start()
                while any(thread.is_alive() for thread in threads):
                    await creche.sleep(0.005)
                assert len(counts) == 50 and min(counts) >= 51
            group.cancel_scope.cancel()
    finally:
        insight.stop_serving()


@a_fork_of_threads
def test_a_fork_leaves_the_socket_to_its_parent(runtime: Path) -> None:
    with served(runtime):
        pid = os.fork()
        if pid == 0:
            os._exit(0 if answer._server is None else 1)
        assert os.waitpid(pid, 0)[1] == 0
        with connect(os.getpid()) as target:
            assert target.snapshot().pid == os.getpid()


def test_a_target_that_exits_while_it_is_asked_is_told() -> None:
    with crowd("asyncio", "serve") as process, connect(process.pid) as target:
        process.kill()
        process.wait()
        with pytest.raises(TargetError, match="has ended"):
            while True:
                target.snapshot()
                time.sleep(0.01)


@on_each_loop
def test_with_control_a_task_can_be_cancelled(loop: str) -> None:
    with crowd(loop, "control") as process, connect(process.pid) as target:
        (holder,) = [task for task in target.snapshot().tasks if task.name == "holder"]
        target.ask("cancel", task=holder.id, reason="an experiment")
        until = time.monotonic() + 60
        while any(task.name == "holder" for task in target.snapshot().tasks):
            assert time.monotonic() < until
            time.sleep(0.05)
        assert process.stderr is not None
        line = process.stderr.readline()
        while "(lint: " in line:  # The program has a deadlock, and whoever looks has that logged.
            line = process.stderr.readline()
        assert line == "cancelling task 'holder': an experiment\n"
        with pytest.raises(TargetError, match=r"there is no task|the task has ended"):
            target.ask("cancel", task=holder.id)
