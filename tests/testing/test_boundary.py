"""What leads out of a simulated run raises EscapedSimulationError, and names the call."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import trio

import creche
from _harness import on_each_simulated_loop
from creche import from_thread, testing, to_process, to_thread

both = on_each_simulated_loop
Main = Callable[[], Awaitable[Any]]


pool = ThreadPoolExecutor(1)


@pytest.fixture
def idle_thread() -> Iterator[None]:
    """Have a thread that need not be started any more."""
    global pool
    pool = ThreadPoolExecutor(1)
    pool.submit(int).result()
    yield
    pool.shutdown()


async def connects() -> None:
    await creche.connect_tcp("127.0.0.1", 1)


async def listens() -> None:
    await creche.create_tcp_listener(local_host="127.0.0.1")


async def looks_up() -> None:
    await creche.getaddrinfo("localhost", 1)


async def makes_a_socket() -> None:
    socket.socket()


async def waits_for_a_descriptor() -> None:
    await creche.wait_readable(0)


async def runs_a_program() -> None:
    subprocess.run([sys.executable, "-V"], check=True)


async def starts_a_thread() -> None:
    threading.Thread(target=print).start()


async def opens_a_process() -> None:
    await creche.run_process([sys.executable, "-V"])


async def forks() -> None:
    if os.fork() == 0:
        os._exit(1)


async def asks_a_shell() -> None:
    os.system(":")


async def starts_a_python() -> None:
    multiprocessing.get_context("spawn").Process(target=int).start()


async def uses_a_worker_process() -> None:
    await to_process.run_sync(int)


async def uses_a_pool() -> None:
    pool.submit(int)


async def opens_a_portal() -> None:
    with from_thread.start_blocking_portal():
        pass


async def handles_a_signal() -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


async def receives_signals() -> None:
    with creche.open_signal_receiver(signal.SIGTERM):
        pass


async def sets_an_alarm() -> None:
    signal.setitimer(signal.ITIMER_REAL, 60)


async def asks_for_a_host() -> None:
    socket.gethostbyname("localhost")


async def opens_a_datagram_socket() -> None:
    await creche.create_udp_socket(local_host="127.0.0.1")


async def connects_to_a_path() -> None:
    await creche.connect_unix("socket")


async def calls_back_from_a_worker() -> None:
    await to_thread.run_sync(lambda: from_thread.run_sync(print))


@both
@pytest.mark.parametrize(
    ("main", "call"),
    [
        (connects, "creche.connect_tcp()"),
        (listens, "creche.create_tcp_listener()"),
        (looks_up, "creche.getaddrinfo()"),
        (makes_a_socket, "socket.socket()"),
        (waits_for_a_descriptor, "creche.wait_readable()"),
        (runs_a_program, "subprocess.run()"),
        (starts_a_thread, "threading.Thread.start()"),
        (opens_a_process, "creche.run_process()"),
        (forks, "os.fork()"),
        (asks_a_shell, "os.system()"),
        (starts_a_python, "multiprocessing.Process.start()"),
        (uses_a_worker_process, "creche.to_process.run_sync()"),
        (uses_a_pool, "concurrent.futures.ThreadPoolExecutor.submit()"),
        (opens_a_portal, "creche.start_blocking_portal()"),
        (handles_a_signal, "signal.signal()"),
        (receives_signals, "creche.open_signal_receiver()"),
        (sets_an_alarm, "signal.setitimer()"),
        (asks_for_a_host, "socket.gethostbyname()"),
        (opens_a_datagram_socket, "creche.create_udp_socket()"),
        (connects_to_a_path, "creche.connect_unix()"),
        (calls_back_from_a_worker, "creche.from_thread.run_sync()"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
@pytest.mark.usefixtures("idle_thread")
def test_a_door_is_shut_and_named(main: Main, call: str, loop: str) -> None:
    with pytest.raises(testing.EscapedSimulationError) as caught:
        testing.run(main, backend=loop)
    assert str(caught.value).startswith(f"{call} would leave the simulated run: ")


async def foreign_thread() -> None:
    await asyncio.to_thread(print)


async def foreign_connection() -> None:
    await asyncio.open_connection("127.0.0.1", 1)


async def foreign_signal() -> None:
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, print)


async def foreign_process() -> None:
    await asyncio.create_subprocess_exec(sys.executable, "-V")


async def foreign_executor() -> None:
    await asyncio.get_running_loop().run_in_executor(None, int)


@pytest.mark.parametrize(
    ("main", "call"),
    [
        (foreign_thread, "asyncio.to_thread()"),
        (foreign_connection, "asyncio.open_connection()"),
        (foreign_signal, "asyncio's loop.add_signal_handler()"),
        (foreign_process, "asyncio.create_subprocess_exec()"),
        (foreign_executor, "asyncio's loop.run_in_executor()"),
    ],
)
def test_the_doors_of_asyncio_are_shut(main: Main, call: str) -> None:
    with pytest.raises(testing.EscapedSimulationError) as caught:
        testing.run(main)
    assert str(caught.value).startswith(f"{call} would leave the simulated run: ")


async def trio_connection() -> None:
    await trio.open_tcp_stream("127.0.0.1", 1)


async def trio_process() -> None:
    await trio.run_process([sys.executable, "-V"])


async def trio_thread() -> None:
    await trio.to_thread.run_sync(int, limiter=trio.CapacityLimiter(1))


async def trio_signal() -> None:
    with trio.open_signal_receiver(signal.SIGTERM):
        pass


async def trio_descriptor() -> None:
    reader, writer = os.pipe()
    try:
        await trio.lowlevel.wait_readable(reader)
    finally:
        os.close(reader)
        os.close(writer)


@pytest.mark.parametrize(
    ("main", "call"),
    [
        (trio_connection, "trio.open_tcp_stream()"),
        (trio_process, "trio.run_process()"),
        (trio_thread, "trio.to_thread.run_sync()"),
        (trio_signal, "trio.open_signal_receiver()"),
        (trio_descriptor, "trio.lowlevel.wait_readable()"),
    ],
)
def test_the_doors_of_trio_are_shut(main: Main, call: str) -> None:
    trio.run(trio_thread)  # Trio has a thread then that need not be started.
    with pytest.raises(BaseException) as caught:
        testing.run(main, backend="trio")
    error = caught.value
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    assert isinstance(error, testing.EscapedSimulationError)
    assert str(error).startswith(f"{call} would leave the simulated run: ")


def test_the_doors_are_open_again_after_the_run() -> None:
    with pytest.raises(testing.EscapedSimulationError):
        testing.run(makes_a_socket)
    socket.socket().close()
    thread = threading.Thread(target=int)
    thread.start()
    thread.join()


@both
def test_other_threads_may_do_what_they_like(loop: str) -> None:
    begin, done = threading.Event(), threading.Event()

    def elsewhere() -> None:
        begin.wait()
        socket.socket().close()
        done.set()

    thread = threading.Thread(target=elsewhere)
    thread.start()

    async def main() -> None:
        begin.set()
        assert done.wait(10)

    testing.run(main, backend=loop)
    thread.join()


@both
def test_a_call_into_the_run_from_another_thread_is_refused_there(loop: str) -> None:
    begin, done = threading.Event(), threading.Event()
    raised: list[BaseException] = []
    tokens: list[Any] = []

    def elsewhere() -> None:
        begin.wait()
        try:
            from_thread.run_sync(print, token=tokens[0])
        except BaseException as exc:
            raised.append(exc)
        done.set()

    thread = threading.Thread(target=elsewhere)
    thread.start()

    async def main() -> None:
        tokens.append(creche.lowlevel.current_token())
        begin.set()
        assert done.wait(10)

    testing.run(main, backend=loop)
    thread.join()
    assert [type(exc) for exc in raised] == [testing.EscapedSimulationError]


@both
def test_to_thread_is_a_step_of_its_own_in_this_thread(loop: str) -> None:
    async def main() -> list[str]:
        got: list[str] = []

        def work(number: int) -> int:
            assert threading.current_thread() is threading.main_thread()
            got.append(f"work {number}")
            if number == 2:
                raise KeyError(number)
            return number

        async def caller(number: int) -> None:
            got.append(f"call {number}")
            assert await to_thread.run_sync(work, number) == number

        async with creche.create_task_group() as group:
            group.start_soon(caller, 0)
            group.start_soon(caller, 1)
        with pytest.raises(KeyError):
            await to_thread.run_sync(work, 2)
        return got

    assert testing.run(main, backend=loop) == ["call 0", "call 1", "work 0", "work 1", "work 2"]
    orders = {tuple(testing.run(main, backend=loop, seed=seed)) for seed in range(40)}
    assert len(orders) > 3


@both
def test_a_limiter_bounds_calls_that_run_inline(loop: str) -> None:
    async def main() -> int:
        limiter = creche.CapacityLimiter(1)
        async with creche.create_task_group() as group:
            for _ in range(5):
                group.start_soon(lambda: to_thread.run_sync(int, limiter=limiter))
        return limiter.borrowed_tokens

    assert testing.run(main, backend=loop, seed=4) == 0


@both
def test_runs_in_two_threads_shut_the_doors_for_both_and_leave_them_open(loop: str) -> None:
    originals = (socket.socket.__init__, threading.Thread.start, os.fork)
    meet = threading.Barrier(2, timeout=10)
    refused: list[str] = []

    async def main() -> None:
        meet.wait()
        try:
            socket.socket()
        except testing.EscapedSimulationError as exc:
            refused.append(str(exc).partition(" would")[0])
        meet.wait()

    threads = [threading.Thread(target=testing.run, args=(main,), kwargs={"backend": loop})
               for _ in range(2)]  # fmt: skip
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert refused == ["socket.socket()"] * 2
    assert (socket.socket.__init__, threading.Thread.start, os.fork) == originals
