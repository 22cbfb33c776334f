"""Calls into worker processes: outcomes, pickling, deaths, cancellation, what is left behind."""

from __future__ import annotations

import asyncio
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent
from typing import Any

import _remote
import psutil
import pytest
import trio

from _harness import Backend, on_asyncio
from creche import (
    BrokenWorkerProcess,
    CancelScope,
    CapacityLimiter,
    create_task_group,
    fail_after,
    move_on_after,
    sleep,
    wait_all_tasks_blocked,
)
from creche._registry import names
from creche._remote import processes
from creche._remote.outcomes import processors
from creche.to_process import current_default_process_limiter, run_sync

others: set[int] = set()
"""Children that earlier tests have left, such as the tracker of `multiprocessing`: noted before each test."""


def children() -> list[int]:
    """The processes that this one has and has not waited for, but for those from before."""
    return [child.pid for child in psutil.Process().children() if child.pid not in others]


@pytest.fixture(autouse=True)
def note_others() -> None:
    others.clear()
    others.update(children())


async def until(condition: Callable[[], bool]) -> None:
    with fail_after(20):
        while not condition():
            await sleep(0.002)


# Outcomes


async def test_the_function_runs_in_another_process_which_is_used_again() -> None:
    first = await run_sync(_remote.pid)
    assert first != os.getpid()
    assert await run_sync(_remote.pid) == first
    assert children() == [first]


async def test_arguments_and_results_travel() -> None:
    assert await run_sync(divmod, 17, 5) == (3, 2)


async def test_messages_may_be_large() -> None:
    data = os.urandom(3_000_000)
    assert await run_sync(_remote.identity, data) == data
    assert await run_sync(_remote.length, data) == len(data)


async def test_an_error_is_raised_with_its_remote_traceback() -> None:
    with pytest.raises(ValueError, match="in the worker") as caught:
        await run_sync(_remote.fail)
    (note,) = caught.value.__notes__
    assert "Raised in a worker process by _remote.fail()" in note
    assert "_remote.py" in note


async def test_the_worker_survives_errors_of_every_kind() -> None:
    worker = await run_sync(_remote.pid)
    with pytest.raises(SystemExit) as caught:
        await run_sync(_remote.leave)
    assert caught.value.code == 3
    with pytest.raises(RuntimeError, match=r"Unpicklable: 1 and 2 \(an exception that cannot"):
        await run_sync(_remote.fail_badly)
    assert await run_sync(_remote.pid) == worker


async def test_what_cannot_be_pickled_is_reported_before_a_process_is_started() -> None:
    with pytest.raises((pickle.PicklingError, AttributeError)):
        await run_sync(lambda: None)
    with pytest.raises(TypeError):
        await run_sync(_remote.identity, threading.Lock())
    assert children() == []


async def test_a_result_that_cannot_be_pickled_is_reported_by_the_worker() -> None:
    with pytest.raises((pickle.PicklingError, AttributeError)) as caught:
        await run_sync(_remote.lambda_)
    assert "Raised in a worker process" in caught.value.__notes__[0]
    worker = await run_sync(_remote.pid)
    assert children() == [worker]


async def test_a_result_that_cannot_be_read_is_reported_here_and_the_worker_stays() -> None:
    worker = await run_sync(_remote.pid)
    with pytest.raises(LookupError, match="cannot be read"):
        await run_sync(_remote.bad_to_read)
    assert await run_sync(_remote.pid) == worker


async def test_a_call_that_cannot_be_read_is_reported_by_the_worker() -> None:
    worker = await run_sync(_remote.pid)
    with pytest.raises(LookupError, match="cannot be read"):
        await run_sync(_remote.identity, _remote.BadToRead())
    assert await run_sync(_remote.pid) == worker


async def test_the_function_may_print_and_read_and_close_what_it_likes() -> None:
    worker = await run_sync(_remote.pid)
    assert await run_sync(_remote.chatter, 300) == "done"
    assert await run_sync(_remote.read_stdin) == ""
    assert await run_sync(_remote.close_standard_streams) == "closed"
    assert await run_sync(_remote.pid) == worker


async def test_the_worker_finds_modules_where_the_program_does() -> None:
    assert await run_sync(_remote.path) == sys.path


async def test_a_worker_keeps_few_descriptors() -> None:
    assert await run_sync(_remote.open_descriptors) <= 5  # three, its socket, the directory


# Deaths


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV, signal.SIGTERM])
async def test_a_worker_killed_in_the_middle_of_a_call_is_an_error(number: signal.Signals) -> None:
    with fail_after(20), pytest.raises(BrokenWorkerProcess, match=f"killed by {number.name}"):
        await run_sync(_remote.kill_myself, int(number))
    assert children() == []
    assert await run_sync(int) == 0


async def test_a_worker_killed_from_outside_is_an_error(tmp_path: Path) -> None:
    note = tmp_path / "pid"

    async def call() -> None:
        with pytest.raises(BrokenWorkerProcess, match="killed by SIGKILL"):
            await run_sync(_remote.note_and_sleep, str(note))

    async with create_task_group() as group:
        group.start_soon(call)
        await until(note.exists)
        os.kill(int(note.read_text()), signal.SIGKILL)
    assert current_default_process_limiter().borrowed_tokens == 0


async def test_a_worker_that_exits_is_an_error() -> None:
    with fail_after(20), pytest.raises(BrokenWorkerProcess, match="ended with exit code 7"):
        await run_sync(_remote.vanish, 7)
    assert children() == []


async def test_a_child_of_a_dead_worker_does_not_hide_its_death(tmp_path: Path) -> None:
    note = tmp_path / "pid"
    try:
        with fail_after(20), pytest.raises(BrokenWorkerProcess, match="killed by SIGKILL"):
            await run_sync(_remote.fork_and_die, str(note))
    finally:
        os.kill(int(note.read_text()), signal.SIGKILL)


async def test_a_worker_that_dies_while_idle_is_replaced_without_a_word() -> None:
    first = await run_sync(_remote.pid)
    os.kill(first, signal.SIGKILL)
    await until(lambda: psutil.Process(first).status() == psutil.STATUS_ZOMBIE)
    second = await run_sync(_remote.pid)
    assert second != first
    assert children() == [second]


async def test_output_without_end_can_be_stopped() -> None:
    with move_on_after(0.3) as scope:
        await run_sync(_remote.print_for_ever, cancellable=True)
    assert scope.cancelled_caught
    assert children() == []


async def test_ctrl_c_interrupts_a_busy_worker_and_not_an_idle_one(tmp_path: Path) -> None:
    worker = await run_sync(_remote.pid)
    os.kill(worker, signal.SIGINT)
    assert await run_sync(_remote.pid) == worker
    note = tmp_path / "pid"

    async def call() -> None:
        with pytest.raises(KeyboardInterrupt):
            await run_sync(_remote.note_and_sleep, str(note))

    async with create_task_group() as group:
        group.start_soon(call)
        await until(note.exists)
        os.kill(worker, signal.SIGINT)
    assert await run_sync(_remote.pid) == worker


async def test_a_system_without_them_is_a_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "SUPPORTED", False)
    with pytest.raises(NotImplementedError, match=r"POSIX.*to_thread"):
        await run_sync(int)
    assert children() == []


async def test_no_executable_is_a_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "")
    with pytest.raises(RuntimeError, match=r"no sys\.executable"):
        await run_sync(int)
    monkeypatch.setattr(sys, "executable", "/nonexistent/python")
    with pytest.raises(FileNotFoundError):
        await run_sync(int)
    assert current_default_process_limiter().borrowed_tokens == 0


# Cancellation


async def test_a_cancelled_caller_that_may_leave_kills_the_process(tmp_path: Path) -> None:
    note = tmp_path / "pid"
    async with create_task_group() as group:
        group.start_soon(lambda: run_sync(_remote.note_and_sleep, str(note), cancellable=True))
        await until(note.exists)
        group.cancel_scope.cancel()
    assert not psutil.pid_exists(int(note.read_text()))
    assert current_default_process_limiter().borrowed_tokens == 0


async def test_a_cancelled_caller_waits_otherwise() -> None:
    results: list[object] = []

    async def call() -> None:
        results.append(await run_sync(_remote.identity, "value"))
        await sleep(0)
        results.append("never here")

    async with create_task_group() as group:
        group.start_soon(call)
        await wait_all_tasks_blocked()
        group.cancel_scope.cancel()
    assert results == ["value"]
    assert len(children()) == 1


@pytest.mark.parametrize("delay", [0.0, 0.001, 0.003, 0.01, 0.03])
async def test_a_cancel_at_any_moment_leaves_no_half_used_worker(delay: float) -> None:
    data = b"x" * 300_000
    for _ in range(3):
        with move_on_after(delay):
            await run_sync(_remote.length, data, cancellable=True)
            await run_sync(_remote.identity, data, cancellable=True)
        assert len(children()) <= 1
    assert await run_sync(_remote.length, b"abc") == 3
    assert len(children()) == 1


async def test_a_call_cancelled_while_it_waits_for_a_token_starts_no_process() -> None:
    with move_on_after(0.01) as scope:
        await run_sync(int, limiter=CapacityLimiter(0))
    assert scope.cancelled_caught
    assert children() == []


async def test_a_cancelled_caller_starts_nothing() -> None:
    with CancelScope() as scope:
        scope.cancel()
        await run_sync(int)
    assert scope.cancelled_caught
    assert children() == []


@on_asyncio
async def test_a_native_cancel_kills_the_process(tmp_path: Path) -> None:
    note = tmp_path / "pid"
    task = asyncio.create_task(run_sync(_remote.note_and_sleep, str(note)))
    await until(note.exists)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not psutil.pid_exists(int(note.read_text()))


# The pool


async def test_the_default_limiter_has_a_token_for_each_processor() -> None:
    assert current_default_process_limiter().total_tokens == processors()


async def test_as_many_processes_work_at_a_time_as_there_are_tokens() -> None:
    limiter = CapacityLimiter(3)
    pids: set[int] = set()

    async def call() -> None:
        pids.add(await run_sync(_remote.pid, limiter=limiter))

    async with create_task_group() as group:
        for _ in range(12):
            group.start_soon(call)
    assert 1 <= len(pids) <= 3
    assert set(children()) == pids


async def test_idle_workers_are_ended_when_the_next_call_comes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first = await run_sync(_remote.pid)
    monkeypatch.setattr(processes, "IDLE", -1.0)
    second = await run_sync(_remote.pid)
    assert first != second
    assert children() == [second]


def test_the_workers_end_with_the_loop(backend: Backend) -> None:
    async def main() -> None:
        await run_sync(int)
        assert len(children()) == 1

    backend.run(main)
    assert children() == []


@pytest.mark.parametrize("name", names())
def test_the_workers_end_with_a_loop_that_creche_did_not_start(name: str) -> None:
    async def main() -> None:
        await run_sync(int)
        assert len(children()) == 1

    if name == "asyncio":
        asyncio.run(main())
    else:
        trio.run(main)
    assert children() == []


# Functions of the main module


PROGRAM = """
    import os
    import creche
    from creche import to_process

    print("loaded", __name__)

    class Number:
        def __init__(self, value):
            self.value = value

    def double(number):
        return Number(number.value * 2)

    async def main():
        result = await to_process.run_sync(double, Number(21))
        assert type(result) is Number
        print(result.value, await to_process.run_sync(os.getpid) != os.getpid())

    if __name__ == "__main__":
        creche.run(main)
"""


@pytest.mark.parametrize("how", ["file", "module"])
def test_a_worker_finds_the_functions_of_the_main_module(tmp_path: Path, how: str) -> None:
    (tmp_path / "the_program.py").write_text(dedent(PROGRAM))
    command = ["the_program.py"] if how == "file" else ["-m", "the_program"]
    done = subprocess.run(
        [sys.executable, *command], cwd=tmp_path, capture_output=True, text=True, timeout=30
    )
    assert done.stdout.splitlines() == ["loaded __main__", "42 True"], done.stderr


def test_a_program_without_a_guard_is_not_run_by_workers_that_do_not_need_it(
    tmp_path: Path,
) -> None:
    program = tmp_path / "program.py"
    log = tmp_path / "log"
    text = f"""
        import os
        with open({str(log)!r}, "a") as file:
            file.write("loaded\\n")
        import creche
        from creche import to_process
        creche.run(to_process.run_sync, os.getpid)
    """
    program.write_text(dedent(text))
    subprocess.run([sys.executable, str(program)], check=True, timeout=30)
    assert log.read_text() == "loaded\n"


HELPER = """
    import sys
    settings = {}

    def look_up():
        return settings.get("colour"), "__mp_main__" in sys.modules

    class Machine:
        def look_up(self, *, extra=None):
            return look_up()
"""
COUNTS_ON_MAIN = """
    import functools
    import os
    import creche
    import helper
    from creche import MODULE

    with open("log", "a") as file:
        file.write("loaded\\n")
    helper.settings["colour"] = "green"

    async def main():
        assert await MODULE.run_sync(os.getpid)
        print(*await MODULE.run_sync(FUNCTION))

    GUARD:
        creche.run(main, backend=BACKEND)
"""
remote = pytest.mark.parametrize(
    "module",
    [
        "to_process",
        pytest.param(
            "to_interpreter",
            marks=pytest.mark.skipif(sys.version_info < (3, 13), reason="not before Python 3.13"),
        ),
    ],
)


def _run_program(folder: Path, backend: Backend, module: str, function: str, guard: str) -> str:
    text = dedent(COUNTS_ON_MAIN).replace("MODULE", module).replace("FUNCTION", function)
    text = text.replace("GUARD", guard).replace("BACKEND", repr(backend.kernel))
    (folder / "program.py").write_text(text)
    (folder / "helper.py").write_text(dedent(HELPER))
    command = [sys.executable, "program.py"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@remote
@pytest.mark.backends("asyncio", "trio")
@pytest.mark.parametrize(
    "function", ["helper.look_up", "functools.partial(helper.Machine().look_up, extra=1)"]
)
def test_a_function_of_the_program_finds_what_its_main_module_has_set_up(
    tmp_path: Path, backend: Backend, module: str, function: str
) -> None:
    guard = 'if __name__ == "__main__"'
    assert _run_program(tmp_path, backend, module, function, guard) == "green True"
    assert (tmp_path / "log").read_text() == "loaded\n" * 2


@remote
@pytest.mark.backends("asyncio", "trio")
def test_a_main_module_without_a_guard_is_not_run_for_a_function_of_another(
    tmp_path: Path, backend: Backend, module: str
) -> None:
    assert _run_program(tmp_path, backend, module, "helper.look_up", "if True") == "None False"
    assert (tmp_path / "log").read_text() == "loaded\n"


def test_ending_the_program_ends_its_workers(tmp_path: Path) -> None:
    note = tmp_path / "pid"
    program = f"""
        import sys
        sys.path.insert(0, {str(Path(__file__).parent)!r})
        import creche, _remote
        from creche import to_process
        creche.run(to_process.run_sync, _remote.note_and_sleep, {str(note)!r})
    """
    process = subprocess.Popen([sys.executable, "-c", dedent(program)])
    try:
        wait_for(note.exists)
        worker = psutil.Process(int(note.read_text()))
    finally:
        process.kill()
        process.wait()
    worker.kill()  # It sleeps, and would see the end of its socket afterwards.
    assert not psutil.pid_exists(process.pid)


def test_an_idle_worker_ends_by_itself_when_its_program_is_killed(tmp_path: Path) -> None:
    note = tmp_path / "pid"
    program = f"""
        import os, time
        import creche
        from creche import to_process
        async def main():
            pid = await to_process.run_sync(os.getpid)
            with open({str(note)!r} + ".new", "w") as file:
                file.write(str(pid))
            os.rename({str(note)!r} + ".new", {str(note)!r})
            time.sleep(60)
        creche.run(main)
    """
    process = subprocess.Popen([sys.executable, "-c", dedent(program)])
    try:
        wait_for(note.exists)
    finally:
        process.kill()
        process.wait()
    worker = int(note.read_text())
    wait_for(lambda: not psutil.pid_exists(worker) or is_zombie(worker))


def is_zombie(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def wait_for(condition: Callable[[], Any]) -> None:
    give_up = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < give_up, "it did not come true"
        time.sleep(0.005)
