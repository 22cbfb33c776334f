"""`open_signal_receiver`, with real signals: arrival, nesting, what is restored, what is refused."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from signal import SIGHUP, SIGTERM, SIGUSR1, SIGUSR2
from types import FrameType
from typing import Any

import pytest

import creche
from _harness import Backend, cancel_at_each_checkpoint, on_asyncio
from creche import (
    BusyResourceError,
    NoEventLoopError,
    create_task_group,
    fail_after,
    move_on_after,
    open_signal_receiver,
    wait_all_tasks_blocked,
)


@pytest.fixture
def handled() -> Iterator[list[int]]:
    """What the handlers outside get, which are there before the receivers and have to be after."""
    got: list[int] = []

    def handler(signum: int, frame: FrameType | None) -> None:
        got.append(signum)

    before = {signum: signal.signal(signum, handler) for signum in (SIGUSR1, SIGUSR2, SIGHUP)}
    yield got
    for signum, old in before.items():
        assert signal.getsignal(signum) is handler
        signal.signal(signum, old)


def send(*signals: signal.Signals) -> None:
    for signum in signals:
        os.kill(os.getpid(), signum)


async def nothing_comes(receiver: Any) -> bool:
    with move_on_after(0.01):
        await anext(receiver)
        return False
    return True


async def test_signals_come_in_the_order_of_their_arrival(handled: list[int]) -> None:
    with open_signal_receiver(SIGUSR1, SIGUSR2, SIGHUP) as receiver:
        send(SIGUSR2, SIGUSR1, SIGHUP)
        received = [await anext(receiver) for _ in range(3)]
    assert received == [SIGUSR2, SIGUSR1, SIGHUP]
    assert all(isinstance(signum, signal.Signals) for signum in received)
    assert handled == []


async def test_a_signal_wakes_the_task_that_waits(handled: list[int]) -> None:
    received: list[int] = []
    with open_signal_receiver(SIGUSR1) as receiver:
        async with create_task_group() as tg:

            async def receive() -> None:
                async for signum in receiver:
                    received.append(signum)
                    return

            tg.start_soon(receive)
            await wait_all_tasks_blocked()
            send(SIGUSR1)
    assert received == [SIGUSR1]


async def test_a_signal_from_another_process_is_received(handled: list[int]) -> None:
    with open_signal_receiver(SIGUSR1) as receiver, fail_after(10):
        await creche.run_process(["sh", "-c", "kill -USR1 $PPID"])
        assert await anext(receiver) == SIGUSR1


async def test_a_signal_that_hits_another_thread_wakes_a_sleeping_loop(handled: list[int]) -> None:
    # Python's handler runs in the main thread, which sleeps in the loop's system call.
    gone = threading.Event()
    hit = threading.Event()

    def other() -> None:
        gone.wait(10)
        signal.raise_signal(SIGUSR1)
        hit.set()

    thread = threading.Thread(target=other)
    thread.start()
    try:
        with open_signal_receiver(SIGUSR1) as outer, open_signal_receiver(SIGUSR1) as receiver:
            async with create_task_group() as tg:
                tg.start_soon(wait_and_set, gone)
                with fail_after(10) as scope:
                    assert await anext(receiver) == SIGUSR1
                assert not scope.cancel_called, "it was the deadline that woke the loop"
            assert await nothing_comes(outer)
    finally:
        gone.set()
        thread.join()
    assert hit.is_set()


async def wait_and_set(event: threading.Event) -> None:
    await wait_all_tasks_blocked()
    event.set()


async def test_a_signal_that_comes_again_before_it_is_received_comes_once(
    handled: list[int],
) -> None:
    with open_signal_receiver(SIGUSR1) as receiver:
        for _ in range(5):
            send(SIGUSR1)
        assert await anext(receiver) == SIGUSR1
        assert await nothing_comes(receiver)
        send(SIGUSR1)
        assert await anext(receiver) == SIGUSR1


async def test_the_handlers_before_are_back_after_the_block(handled: list[int]) -> None:
    with open_signal_receiver(SIGUSR1):
        pass
    send(SIGUSR1)
    assert handled == [SIGUSR1]


async def test_the_handlers_before_are_back_after_an_error(handled: list[int]) -> None:
    with pytest.raises(ZeroDivisionError), open_signal_receiver(SIGUSR1, SIGUSR2):
        raise ZeroDivisionError
    send(SIGUSR1, SIGUSR2)
    assert handled == [SIGUSR1, SIGUSR2]


@pytest.mark.parametrize("before", [signal.SIG_DFL, signal.SIG_IGN, signal.default_int_handler])
async def test_every_kind_of_handler_is_restored(before: Any) -> None:
    old = signal.signal(SIGTERM, before)
    try:
        with open_signal_receiver(SIGTERM) as receiver:
            send(SIGTERM)
            assert await anext(receiver) == SIGTERM
        assert signal.getsignal(SIGTERM) == before
    finally:
        signal.signal(SIGTERM, old)


async def test_what_was_not_received_goes_to_the_handlers_before(handled: list[int]) -> None:
    with open_signal_receiver(SIGUSR1, SIGUSR2) as receiver:
        send(SIGUSR1, SIGUSR2, SIGUSR1)
        assert await anext(receiver) == SIGUSR1
        send(SIGUSR1)
    assert handled == [SIGUSR2, SIGUSR1]


async def test_every_one_not_received_is_given_back_even_if_a_handler_raises(
    handled: list[int],
) -> None:
    def fail(signum: int, frame: FrameType | None) -> None:
        raise ZeroDivisionError

    old = signal.signal(SIGUSR1, fail)
    try:
        with pytest.raises(ZeroDivisionError), open_signal_receiver(SIGUSR1, SIGUSR2):
            send(SIGUSR1, SIGUSR2)
    finally:
        signal.signal(SIGUSR1, old)
    assert handled == [SIGUSR2]


async def test_sigint_is_received_rather_than_raised() -> None:
    with open_signal_receiver(signal.SIGINT) as receiver:
        send(signal.SIGINT)
        assert await anext(receiver) == signal.SIGINT


# Several receivers


async def test_the_receiver_opened_last_gets_the_signal(handled: list[int]) -> None:
    with open_signal_receiver(SIGUSR1, SIGUSR2) as outer:
        with open_signal_receiver(SIGUSR1) as inner:
            send(SIGUSR1, SIGUSR2)
            assert await anext(inner) == SIGUSR1
            assert await anext(outer) == SIGUSR2
            assert await nothing_comes(inner)
        send(SIGUSR1)
        assert await anext(outer) == SIGUSR1
    assert handled == []


async def test_what_the_inner_one_did_not_receive_the_outer_one_gets(handled: list[int]) -> None:
    with open_signal_receiver(SIGUSR1) as outer:
        with open_signal_receiver(SIGUSR1):
            send(SIGUSR1)
        assert await anext(outer) == SIGUSR1
    assert handled == []


@pytest.mark.parametrize("order", [(0, 1, 2), (1, 0, 2), (0, 2, 1), (2, 0, 1), (1, 2, 0)])
async def test_receivers_may_be_closed_in_any_order(
    order: tuple[int, ...], handled: list[int]
) -> None:
    managers = [open_signal_receiver(SIGUSR1) for _ in range(3)]
    receivers = [manager.__enter__() for manager in managers]
    left = [0, 1, 2]
    for number in order:
        send(SIGUSR1)
        assert await anext(receivers[left[-1]]) == SIGUSR1
        managers[number].__exit__(None, None, None)
        left.remove(number)
    send(SIGUSR1)
    assert handled == [SIGUSR1]


async def test_a_receiver_can_be_opened_again_but_not_while_it_is_open(handled: list[int]) -> None:
    manager = open_signal_receiver(SIGUSR1)
    for _ in range(2):
        with manager as receiver:
            send(SIGUSR1)
            assert await anext(receiver) == SIGUSR1
            with pytest.raises(RuntimeError, match="has already been entered"), manager:
                pass


@on_asyncio
async def test_a_handler_of_the_loop_is_not_lost(backend: Backend) -> None:
    import asyncio

    called = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(SIGUSR1, called.set)
    try:
        with open_signal_receiver(SIGUSR1) as receiver:
            send(SIGUSR1)
            assert await anext(receiver) == SIGUSR1
        called.clear()
        send(SIGUSR1)
        with fail_after(10):
            await called.wait()
    finally:
        loop.remove_signal_handler(SIGUSR1)


@on_asyncio
async def test_a_wakeup_descriptor_that_somebody_has_set_is_kept(handled: list[int]) -> None:
    import asyncio

    loop = asyncio.get_running_loop()
    loop.add_signal_handler(SIGUSR2, lambda: None)
    before = wakeup_descriptor()
    try:
        assert before != -1
        with open_signal_receiver(SIGUSR1) as receiver:
            assert wakeup_descriptor() == before
            send(SIGUSR1)
            assert await anext(receiver) == SIGUSR1
        assert wakeup_descriptor() == before
    finally:
        loop.remove_signal_handler(SIGUSR2)
        signal.signal(SIGUSR2, signal.getsignal(SIGUSR1))


async def test_a_wakeup_descriptor_of_ours_is_taken_back(handled: list[int]) -> None:
    before = wakeup_descriptor()
    with open_signal_receiver(SIGUSR1):
        with open_signal_receiver(SIGUSR1):
            assert wakeup_descriptor() != -1
        assert wakeup_descriptor() != -1
    assert wakeup_descriptor() == before


async def test_a_wakeup_descriptor_that_was_set_meanwhile_is_kept(handled: list[int]) -> None:
    before = signal.set_wakeup_fd(-1)
    reading, writing = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        with open_signal_receiver(SIGUSR1):
            signal.set_wakeup_fd(writing)
        assert wakeup_descriptor() == writing
    finally:
        signal.set_wakeup_fd(before, warn_on_full_buffer=False)
        os.close(reading)
        os.close(writing)


def wakeup_descriptor() -> int:
    found = signal.set_wakeup_fd(-1)
    signal.set_wakeup_fd(found, warn_on_full_buffer=False)
    return found


# Cancelling, and what is refused


async def test_a_cancelled_wait_loses_no_signal(handled: list[int]) -> None:
    with open_signal_receiver(SIGUSR1) as receiver:
        assert await nothing_comes(receiver)
        send(SIGUSR1)
        with creche.CancelScope() as scope:
            scope.cancel()
            await anext(receiver)
        assert scope.cancelled_caught
        assert await anext(receiver) == SIGUSR1


async def test_cancelled_at_each_await(handled: list[int]) -> None:
    async def operation() -> None:
        with open_signal_receiver(SIGUSR1, SIGUSR2) as receiver:
            send(SIGUSR1, SIGUSR2)
            await anext(receiver)
            await anext(receiver)

    before = signal.getsignal(SIGUSR1)
    assert await cancel_at_each_checkpoint(operation) >= 2
    assert signal.getsignal(SIGUSR1) is before


async def test_one_task_at_a_time(handled: list[int]) -> None:
    with open_signal_receiver(SIGUSR1) as receiver:
        async with create_task_group() as tg:

            async def receive() -> None:
                await anext(receiver)

            tg.start_soon(receive)
            await wait_all_tasks_blocked()
            with pytest.raises(BusyResourceError, match="already receiving from"):
                await anext(receiver)
            send(SIGUSR1)


async def test_a_receiver_is_used_inside_its_block(handled: list[int]) -> None:
    with open_signal_receiver(SIGUSR1) as receiver:
        pass
    with pytest.raises(RuntimeError, match="SignalReceiver closed, for SIGUSR1> is not open"):
        await anext(receiver)


async def test_leaving_the_block_ends_the_wait_of_another_task(handled: list[int]) -> None:
    async with create_task_group() as tg:
        with open_signal_receiver(SIGUSR1) as receiver:

            async def receive() -> None:
                with pytest.raises(RuntimeError, match="is not open"):
                    await anext(receiver)

            tg.start_soon(receive)
            await wait_all_tasks_blocked()


@pytest.mark.parametrize(
    ("signals", "error", "words"),
    [
        ((), TypeError, "No signals were provided"),
        (("SIGTERM",), TypeError, "not 'SIGTERM'"),
        ((SIGUSR1, 9999), ValueError, "there is no signal 9999"),
        ((SIGUSR1, 0), ValueError, "there is no signal 0"),
        ((SIGUSR1, signal.SIGKILL), OSError, "SIGKILL cannot be received"),
        ((signal.SIGSTOP,), OSError, "SIGSTOP cannot be received"),
    ],
)
async def test_what_is_no_signal_is_refused_and_changes_nothing(
    signals: tuple[Any, ...], error: type[Exception], words: str, handled: list[int]
) -> None:
    before = signal.getsignal(SIGUSR1)
    with pytest.raises(error, match=words):
        open_signal_receiver(*signals)
    assert signal.getsignal(SIGUSR1) is before


async def test_numbers_and_signals_without_a_name_will_do(handled: list[int]) -> None:
    nameless: Any = signal.SIGRTMIN + 1
    ten: Any = int(SIGUSR1)
    with open_signal_receiver(ten, SIGUSR1, nameless) as receiver:
        assert repr(receiver) == f"<SignalReceiver open, for SIGUSR1, {nameless}>"
        send(nameless, SIGUSR1)
        assert [await anext(receiver), await anext(receiver)] == [nameless, SIGUSR1]


def test_another_thread_is_refused(backend: Backend) -> None:
    errors: list[BaseException] = []

    async def main() -> None:
        before = signal.getsignal(SIGUSR1)
        try:
            with open_signal_receiver(SIGUSR1):
                pass
        except RuntimeError as exc:
            errors.append(exc)
        assert signal.getsignal(SIGUSR1) is before

    run: Callable[..., Any] = backend.run
    thread = threading.Thread(target=run, args=(main,))
    thread.start()
    thread.join()
    assert "only in the main thread" in str(errors[0])


def test_without_a_loop_it_is_refused() -> None:
    with pytest.raises(NoEventLoopError):
        open_signal_receiver(SIGUSR1)
