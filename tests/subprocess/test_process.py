"""A process: its end, its signals, closing it; on both ways to hear of the end."""

from __future__ import annotations

import errno
import os
import pathlib
import signal
import threading

import psutil
import pytest
from _commands import FOREVER, children, python, stuck_writer, until

import creche
from _harness import Backend, open_descriptors
from creche import create_task_group, fail_after, move_on_after, open_process, run_process
from creche._subprocess import exit as exit_module
from creche.abc import Process

pytestmark = pytest.mark.usefixtures("way")


async def test_wait_returns_the_code_as_often_as_it_is_asked() -> None:
    async with await open_process("exit 7") as process:
        assert [await process.wait() for _ in range(3)] == [7, 7, 7]
        assert process.returncode == 7


async def test_returncode_is_none_until_the_end_and_needs_no_wait() -> None:
    async with await open_process(["cat"]) as process:
        assert process.returncode is None
        assert process.stdin is not None
        await process.stdin.aclose()
        await until(lambda: process.returncode is not None)
        assert process.returncode == 0


async def test_any_number_of_tasks_may_wait() -> None:
    codes: list[int] = []
    async with await open_process(["cat"]) as process:

        async def wait() -> None:
            codes.append(await process.wait())

        async with create_task_group() as tg:
            for _ in range(5):
                tg.start_soon(wait)
            await creche.wait_all_tasks_blocked()
            assert process.stdin is not None
            await process.stdin.aclose()
    assert codes == [0] * 5


async def test_a_cancelled_wait_leaves_the_process_and_the_other_waiters_alone() -> None:
    async with await open_process(FOREVER) as process, create_task_group() as tg:
        tg.start_soon(process.wait)
        for _ in range(3):
            with move_on_after(0.005) as scope:
                await process.wait()
            assert scope.cancelled_caught
        assert process.returncode is None
        process.kill()
        assert await process.wait() == -9


async def test_many_short_waits_cost_no_thread_and_no_descriptor_each() -> None:
    async with await open_process(FOREVER) as process:
        with move_on_after(0.001):
            await process.wait()
        threads, descriptors = threading.active_count(), open_descriptors()
        for _ in range(20):
            with move_on_after(0.001):
                await process.wait()
        assert (threading.active_count(), open_descriptors()) == (threads, descriptors)
        process.kill()


@pytest.mark.parametrize(
    ("act", "code"),
    [
        (lambda process: process.terminate(), -signal.SIGTERM),
        (lambda process: process.kill(), -signal.SIGKILL),
        (lambda process: process.send_signal(signal.SIGUSR1), -signal.SIGUSR1),
    ],
    ids=["terminate", "kill", "send_signal"],
)
async def test_a_signal_ends_it_and_later_ones_do_nothing(act: object, code: int) -> None:
    assert callable(act)
    async with await open_process(FOREVER) as process:
        act(process)
        assert await process.wait() == code
        act(process)
        assert process.returncode == code


async def test_signals_to_a_process_that_nobody_has_waited_for() -> None:
    async with await open_process(["true"]) as process:
        await until(lambda: psutil.Process(process.pid).status() == psutil.STATUS_ZOMBIE)
        process.terminate()
        assert await process.wait() == 0


async def test_killed_from_outside() -> None:
    async with await open_process(FOREVER) as process, create_task_group() as tg:

        async def outsider() -> None:
            await creche.wait_all_tasks_blocked()
            psutil.Process(process.pid).kill()

        tg.start_soon(outsider)
        assert await process.wait() == -9


async def test_wait_does_not_wait_for_a_grandchild_that_holds_the_pipes() -> None:
    async with await open_process("sleep 1000 & echo $!; exit 4") as process:
        with fail_after(5):
            assert await process.wait() == 4
            assert process.stdout is not None
            grandchild = int(await process.stdout.receive())
            assert psutil.pid_exists(grandchild)
            await process.aclose()
        psutil.Process(grandchild).kill()


async def test_a_cancelled_run_does_not_wait_for_a_grandchild_that_holds_the_pipes(
    tmp_path: pathlib.Path,
) -> None:
    note = tmp_path / "pid"
    before = open_descriptors()

    def only_the_grandchild_lives() -> bool:
        return note.exists() and all(map(has_ended, children()))

    with fail_after(5), creche.CancelScope() as scope:
        async with create_task_group() as group:
            group.start_soon(
                run_process, f"sleep 1000 & echo $! > {note}.new; mv {note}.new {note}"
            )
            await until(only_the_grandchild_lives)
            scope.cancel()
    assert scope.cancelled_caught
    assert open_descriptors() == before
    psutil.Process(int(note.read_text())).kill()


def has_ended(pid: int) -> bool:
    return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def refused(pid: int) -> int:
    raise OSError(errno.EPERM, "not in this sandbox")


async def test_where_a_pidfd_is_refused_a_thread_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exit_module, "pidfd_open", refused)
    async with await open_process(["cat"]) as process:
        assert process.stdin is not None
        async with create_task_group() as group:
            ends = [group.start_soon(process.wait) for _ in range(2)]
            await creche.wait_all_tasks_blocked()
            assert f"creche waits for process {process.pid}" in names_of_threads()
            await process.stdin.aclose()
    assert [end.return_value for end in ends] == [0, 0]
    assert (await run_process(["echo", "x"])).stdout == b"x\n"


def names_of_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate()]


async def test_aclose_waits_for_the_end() -> None:
    process = await open_process(python("import sys; sys.stdin.read(); sys.exit(5)"))
    await process.aclose()
    assert process.returncode == 5
    await process.aclose()


async def test_aclose_of_a_process_that_is_stuck_with_a_full_pipe() -> None:
    process = await stuck_writer()
    with fail_after(5):
        await process.aclose()
    assert process.returncode == -signal.SIGPIPE


async def test_aclose_while_our_own_send_is_stuck() -> None:
    process = await open_process(FOREVER)
    async with create_task_group() as tg:

        async def send() -> None:
            assert process.stdin is not None
            with pytest.raises(creche.ClosedResourceError):
                await process.stdin.send(b"x" * 1_000_000)

        tg.start_soon(send)
        await creche.wait_all_tasks_blocked()
        process.kill()
        await process.aclose()


async def test_a_cancelled_aclose_kills_and_reaps() -> None:
    process = await open_process(["sh", "-c", "trap '' TERM HUP PIPE; sleep 1000 & wait"])
    await until(lambda: len(children_of(process)) > 0)
    grandchild = children_of(process)[0]
    with move_on_after(0.01) as scope:
        await process.aclose()
    assert scope.cancelled_caught
    assert process.returncode == -9
    grandchild.kill()


def children_of(process: Process) -> list[psutil.Process]:
    return psutil.Process(process.pid).children()


async def test_an_error_in_the_block_kills() -> None:
    process = await open_process(FOREVER)
    with pytest.raises(ZeroDivisionError), fail_after(5):
        async with process:
            raise ZeroDivisionError
    assert process.returncode == -9


async def test_a_cancel_in_the_block_kills() -> None:
    process = await open_process(FOREVER)
    with move_on_after(0.01) as scope:
        async with process:
            await process.wait()
    assert scope.cancelled_caught
    assert process.returncode == -9


async def test_the_block_closes_the_pipes() -> None:
    async with await open_process(["cat"]) as process:
        pass
    assert process.returncode == 0
    assert process.stdout is not None
    with pytest.raises(creche.ClosedResourceError):
        await process.stdout.receive()


def test_a_process_runs_in_any_thread(backend: Backend) -> None:
    results: list[object] = []

    async def main() -> None:
        async with await open_process(FOREVER) as process:
            process.terminate()
            results.append(await process.wait())
        results.append((await creche.run_process(["cat"], input=b"x")).stdout)

    thread = threading.Thread(target=backend.run, args=(main,))
    thread.start()
    thread.join()
    assert results == [-15, b"x"]


async def test_the_representation_names_the_command_and_the_state() -> None:
    async with await open_process(["true"]) as process:
        assert repr(process) == f"<Process {process.pid} running: ['true']>"
        await process.wait()
        assert repr(process) == f"<Process {process.pid} ended with 0: ['true']>"
        assert repr(process.stdout) == "<PipeReceiveStream open, stdout of 'true'>"
    assert repr(process.stdin) == "<PipeSendStream closed, stdin of 'true'>"


async def test_a_child_that_somebody_else_has_reaped_does_not_hang() -> None:
    async with await open_process(["true"]) as process:
        os.waitpid(process.pid, 0)
        with fail_after(5):
            assert await process.wait() == 0


async def test_the_children_of_this_process_are_found_at_all() -> None:
    async with await open_process(FOREVER) as process:
        assert process.pid in children()
        process.kill()
