"""What leads out of a simulated run raises EscapedSimulationError, and names the call."""

from __future__ import annotations

import asyncio
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import trio

import creche
from creche import from_thread, testing, to_thread

both = pytest.mark.parametrize("loop", ["asyncio", "trio"])
Main = Callable[[], Awaitable[Any]]


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


async def handles_a_signal() -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


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
        (handles_a_signal, "signal.signal()"),
        (calls_back_from_a_worker, "creche.from_thread.run_sync()"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
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


@pytest.mark.parametrize("main", [foreign_thread, foreign_connection, foreign_signal])
def test_the_doors_of_asyncio_are_shut(main: Main) -> None:
    with pytest.raises(testing.EscapedSimulationError):
        testing.run(main)


async def trio_connection() -> None:
    await trio.open_tcp_stream("127.0.0.1", 1)


async def trio_process() -> None:
    await trio.run_process([sys.executable, "-V"])


@pytest.mark.parametrize("main", [trio_connection, trio_process])
def test_the_doors_of_trio_are_shut(main: Main) -> None:
    with pytest.raises(BaseException) as caught:
        testing.run(main, backend="trio")
    error = caught.value
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    assert isinstance(error, testing.EscapedSimulationError)


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
