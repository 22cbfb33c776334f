"""The end of the interpreter: it comes, and cuts off nothing that somebody counts on.

Each test runs a program to its end, on each loop. (Eager tasks make no difference there.)
"""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from textwrap import dedent

import pytest

from _harness import Backend

START = """
import atexit, os, signal, sys, threading, time
import creche
from creche import from_thread, to_thread
from creche.from_thread import start_blocking_portal
kernel, options = sys.argv[1], {}
if sys.argv[2] == "uvloop":
    options = {"use_uvloop": True}

def prepare(portal):
    # CPython 3.12 starts no thread once the main thread has ended: have an idle worker by then.
    if sys.version_info[:2] == (3, 12):
        portal.call(to_thread.run_sync, int)
"""
Program = Callable[..., str]
pytestmark = pytest.mark.backends("asyncio", "uvloop", "trio")


@pytest.fixture
def run(backend: Backend) -> Program:
    """Run a program on the backend of the test, and return what it prints. It has to end well."""

    def run(program: str, *, stdin: int = subprocess.DEVNULL, status: int = 0) -> str:
        command = [sys.executable, "-c", START + dedent(program), backend.kernel, backend.name]
        done = subprocess.run(
            command, stdin=stdin, capture_output=True, text=True, timeout=20, check=False
        )
        assert done.returncode == status, done.stderr
        assert not done.stderr
        return done.stdout

    return run


# Portals


def test_a_portal_that_is_closed_by_atexit_lets_the_program_end(run: Program) -> None:
    program = """
        manager = start_blocking_portal(kernel, options)
        portal = manager.__enter__()
        prepare(portal)
        @atexit.register
        def close():
            print(portal.call(creche.to_thread.run_sync, str, "called at the end"))
            manager.__exit__(None, None, None)
            print("closed")
    """
    assert run(program).splitlines() == ["called at the end", "closed"]


def test_a_portal_that_nobody_closes_is_closed_and_its_tasks_clean_up(run: Program) -> None:
    program = """
        async def work():
            try:
                print("working", flush=True)
                started.set()
                await creche.sleep_forever()
            finally:
                with creche.CancelScope(shield=True):
                    await creche.sleep(0.1)
                    print(await to_thread.run_sync(str, "cleaned up in a thread"), flush=True)
        started = threading.Event()
        manager = start_blocking_portal(kernel, options)
        portal = manager.__enter__()
        prepare(portal)
        portal.start_task_soon(work)
        started.wait()
        atexit.register(print, "atexit", flush=True)
    """
    assert run(program).splitlines() == ["working", "atexit", "cleaned up in a thread"]


def test_a_portal_that_was_never_closed_waits_for_what_its_threads_do(run: Program) -> None:
    program = """
        def work():
            started.set()
            time.sleep(0.3)
            print("finished", flush=True)
        started = threading.Event()
        manager = start_blocking_portal(kernel, options)
        portal = manager.__enter__()
        portal.start_task_soon(to_thread.run_sync, work)
        started.wait()
    """
    assert run(program) == "finished\n"


def test_several_portals_and_a_shared_one_are_closed(run: Program) -> None:
    program = """
        async def work(number):
            try:
                await creche.sleep_forever()
            finally:
                print(number, flush=True)
        managers = [start_blocking_portal(kernel, options) for _ in range(3)]
        provider = from_thread.BlockingPortalProvider(kernel, options)
        for number, manager in enumerate([*managers, provider]):
            portal = manager.__enter__()
            portal.start_task_soon(work, number)
            portal.call(int)
            portal.call(creche.sleep, 0)
    """
    assert sorted(run(program).splitlines()) == ["0", "1", "2", "3"]


def test_a_portal_whose_main_thread_ends_with_an_error_ends_too(backend: Backend) -> None:
    program = """
        manager = start_blocking_portal(kernel, options)
        manager.__enter__().start_task_soon(creche.sleep_forever)
        raise SystemExit(3)
    """
    command = [sys.executable, "-c", START + dedent(program), backend.kernel, backend.name]
    assert subprocess.run(command, timeout=20, check=False).returncode == 3


# Calls that run when the main thread has ended


ABANDON = """
    async def main():
        with creche.move_on_after(0.1):
            await to_thread.run_sync({function}, abandon_on_cancel=True)
        print("left", flush=True)
    creche.run(main, backend=kernel, backend_options=options)
    atexit.register(print, "atexit")
"""


def test_a_program_ends_after_abandoned_calls_that_never_return(run: Program) -> None:
    program = """
        calls = [threading.Event().wait, lambda: time.sleep(100), lambda: os.read(ends[0], 1)]
        ends = os.pipe()
        async def call(function):
            await to_thread.run_sync(function, abandon_on_cancel=True)
        async def main():
            with creche.move_on_after(0.1):
                async with creche.create_task_group() as group:
                    for function in calls:
                        group.start_soon(call, function)
            print("left", flush=True)
        creche.run(main, backend=kernel, backend_options=options)
        atexit.register(print, "atexit")
    """
    assert run(program).splitlines() == ["left", "atexit"]


@pytest.mark.parametrize(
    ("function", "kind"),
    [("input", "pipe"), ("sys.stdin.buffer.read", "pipe"), ("input", "terminal")],
)
def test_a_program_ends_while_an_abandoned_call_reads_standard_input(
    run: Program, function: str, kind: str
) -> None:
    """The interpreter would die of a fatal error, for it closes that file and finds it in use."""
    program = """
        async def main():
            with creche.move_on_after(0.1):
                await to_thread.run_sync(FUNCTION, abandon_on_cancel=True)
            print("left", flush=True)
        creche.run(main, backend=kernel, backend_options=options)
        atexit.register(print, "atexit")
    """
    ends = os.pipe() if kind == "pipe" else pty.openpty()[::-1]
    try:
        output = run(program.replace("FUNCTION", function), stdin=ends[0])
    finally:
        for end in ends:
            os.close(end)
    assert output.splitlines() == ["left", "atexit"]


def test_a_call_that_was_not_abandoned_is_finished(run: Program) -> None:
    """In a thread of the program's own that is a daemon: its loop is cut off, the function is not."""
    program = """
        def work():
            started.set()
            time.sleep(0.3)
            print("finished", flush=True)
        async def main():
            await to_thread.run_sync(work)
        started = threading.Event()
        run = lambda: creche.run(main, backend=kernel, backend_options=options)
        threading.Thread(target=run, daemon=True).start()
        started.wait()
    """
    assert run(program) == "finished\n"


def test_a_call_that_is_abandoned_while_the_end_waits_for_it_is_not_waited_for(
    run: Program,
) -> None:
    program = """
        def work():
            started.set()
            time.sleep(100)
        async def main():
            with creche.move_on_after(0.5):
                await to_thread.run_sync(work, abandon_on_cancel=True)
            await creche.sleep_forever()
        started = threading.Event()
        run = lambda: creche.run(main, backend=kernel, backend_options=options)
        threading.Thread(target=run, daemon=True).start()
        started.wait()
    """
    assert run(program) == ""


def test_a_fork_has_none_of_our_threads_and_ends(run: Program) -> None:
    program = """
        import warnings
        warnings.simplefilter("ignore", DeprecationWarning)
        manager = start_blocking_portal(kernel, options)
        portal = manager.__enter__()
        release = threading.Event()
        portal.start_task_soon(to_thread.run_sync, release.wait)
        portal.call(to_thread.run_sync, int)
        child = os.fork()
        if child:
            print(os.waitpid(child, 0)[1])
            release.set()
        else:
            del manager, portal
    """
    assert run(program) == "0\n"


def test_one_ctrl_c_ends_a_program_that_reads_a_terminal_in_an_abandonable_call(
    backend: Backend,
) -> None:
    program = """
        async def main():
            print("ready", flush=True)
            await to_thread.run_sync(sys.stdin.readline, abandon_on_cancel=True)
        try:
            creche.run(main, backend=kernel, backend_options=options)
        except KeyboardInterrupt:
            print("interrupted", flush=True)
    """
    command = [sys.executable, "-c", START + dedent(program), backend.kernel, backend.name]
    master, slave = pty.openpty()
    try:
        with subprocess.Popen(command, stdin=slave, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            time.sleep(0.2)
            process.send_signal(signal.SIGINT)
            assert process.wait(10) == 0
            assert process.stdout.read() == "interrupted\n"
    finally:
        os.close(master)
        os.close(slave)


@pytest.mark.skipif(sys.version_info < (3, 13), reason="Creche has subinterpreters from 3.13 on")
def test_threads_work_where_a_subinterpreter_forbids_daemons(run: Program) -> None:
    program = """
        code = '''
        import threading, creche
        from creche import to_thread
        from creche.from_thread import start_blocking_portal
        async def main():
            return await to_thread.run_sync(threading.current_thread)
        thread = creche.run(main)
        manager = start_blocking_portal()
        portal = manager.__enter__()
        print(thread.daemon, portal.call(str, "portal"), flush=True)
        '''
        import _interpreters, textwrap
        other = _interpreters.create("isolated")
        failed = _interpreters.exec(other, textwrap.dedent(code))
        print(failed)
        _interpreters.destroy(other)
        print("ended")
    """
    assert run(program).splitlines() == ["False portal", "None", "ended"]
