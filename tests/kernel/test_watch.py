"""`Watch` and `Descriptors`: readiness of sockets, on every kernel."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
from _kernel_parts import Group, cancel, entered, let_run

from _harness import Backend, on_every_backend
from creche import BusyResourceError, ClosedResourceError
from creche._kernel import current_task
from creche._kernel.contract import Watch

pytestmark = on_every_backend

Pair = tuple[socket.socket, socket.socket]


@pytest.fixture
def pair() -> Iterator[Pair]:
    """Two connected sockets that do not block."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        theirs.setblocking(False)
        yield ours, theirs


def fill(sock: socket.socket) -> None:
    """Write until the system takes no more."""
    try:
        while True:
            sock.send(b"x" * 65536)
    except BlockingIOError:
        pass


def drain(sock: socket.socket) -> None:
    try:
        while True:
            sock.recv(65536)
    except BlockingIOError:
        pass


class Reader:
    """A child that reads through a watch, or waits for the user's own descriptor."""

    def __init__(self, group: Group, act: Callable[[], Any]) -> None:
        self.steps: list[object] = []
        self._act = act
        self.label = group.spawn(self._run)

    async def _run(self) -> None:
        with entered() as self.scope:
            try:
                self.steps.append(await self._act())
            except current_task().kernel.cancelled_class:
                self.steps.append("cancelled")
                raise
            except Exception as exc:
                self.steps.append(type(exc))


# Watch: `attempt` runs when the descriptor is ready


async def test_a_read_waits_until_there_is_something_and_returns_what_the_attempt_does(
    pair: Pair,
) -> None:
    ours, theirs = pair
    group = Group()
    watch = group.kernel.watch(ours)
    reader = Reader(group, lambda: watch.when_readable(partial(ours.recv, 10)))
    await let_run()
    assert reader.steps == []
    theirs.send(b"hello")
    await group.close()
    assert reader.steps == [b"hello"]
    watch.close()


async def test_a_write_waits_until_there_is_room(pair: Pair) -> None:
    ours, theirs = pair
    fill(ours)
    group = Group()
    watch = group.kernel.watch(ours)
    writer = Reader(group, lambda: watch.when_writable(partial(ours.send, b"!")))
    await let_run()
    assert writer.steps == []
    drain(theirs)
    await group.close()
    assert writer.steps == [1]
    watch.close()


async def test_the_running_task_may_be_given(pair: Pair) -> None:
    ours, theirs = pair
    task = current_task()
    watch = task.kernel.watch(ours)
    theirs.send(b"hello")
    assert await watch.when_readable(partial(ours.recv, 10), task) == b"hello"
    assert await watch.when_writable(partial(ours.send, b"!"), task) == 1
    watch.close()


async def test_an_attempt_that_would_block_is_made_again(pair: Pair) -> None:
    ours, theirs = pair
    group, attempts = Group(), list[int]()
    watch = group.kernel.watch(ours)

    def attempt() -> bytes:
        attempts.append(len(attempts))
        data = ours.recv(10, socket.MSG_PEEK)
        if data != b"hello":
            ours.recv(10)
            raise BlockingIOError
        return ours.recv(10)

    reader = Reader(group, lambda: watch.when_readable(attempt))
    await let_run()
    theirs.send(b"not yet")
    while not attempts:
        await let_run()
    theirs.send(b"hello")
    await group.close()
    assert reader.steps == [b"hello"]
    assert len(attempts) >= 2
    watch.close()


async def test_what_an_attempt_raises_is_the_outcome(pair: Pair) -> None:
    ours, theirs = pair
    group = Group()
    watch = group.kernel.watch(ours)

    def attempt() -> bytes:
        raise LookupError

    reader = Reader(group, lambda: watch.when_readable(attempt))
    await let_run()
    theirs.send(b"hello")
    await group.close()
    assert reader.steps == [LookupError]
    watch.close()


async def test_there_may_be_a_reader_and_a_writer_at_the_same_time(pair: Pair) -> None:
    ours, theirs = pair
    fill(ours)
    group = Group()
    watch = group.kernel.watch(ours)
    reader = Reader(group, lambda: watch.when_readable(partial(ours.recv, 10)))
    writer = Reader(group, lambda: watch.when_writable(partial(ours.send, b"!")))
    await let_run()
    theirs.send(b"hello")
    while not reader.steps:
        await let_run()
    assert writer.steps == []
    drain(theirs)
    await group.close()
    assert (reader.steps, writer.steps) == ([b"hello"], [1])
    watch.close()


async def test_a_watch_may_wait_again_and_again(pair: Pair) -> None:
    ours, theirs = pair
    watch = current_task().kernel.watch(ours)
    for number in range(5):
        theirs.send(b"%d" % number)
        assert await watch.when_readable(partial(ours.recv, 10)) == b"%d" % number
    watch.close()


async def test_closing_a_watch_wakes_who_waits(pair: Pair) -> None:
    ours, _ = pair
    fill(ours)
    group = Group()
    watch = group.kernel.watch(ours)
    reader = Reader(group, lambda: watch.when_readable(partial(ours.recv, 10)))
    writer = Reader(group, lambda: watch.when_writable(partial(ours.send, b"!")))
    await let_run()
    watch.close()
    await group.close()
    assert reader.steps == writer.steps == [ClosedResourceError]


async def test_a_cancelled_read_takes_nothing(pair: Pair) -> None:
    ours, theirs = pair
    group = Group()
    watch = group.kernel.watch(ours)
    reader = Reader(group, lambda: watch.when_readable(partial(ours.recv, 10)))
    await let_run()
    cancel(reader.scope)
    theirs.send(b"hello")
    await group.close()
    assert reader.steps == ["cancelled"]
    assert ours.recv(10) == b"hello"
    watch.close()


async def test_no_byte_is_lost_between_a_read_and_a_cancel(pair: Pair) -> None:
    """Whichever comes first, each byte is in the reader's hands or in the socket."""
    ours, theirs = pair
    for passes in range(6):
        group = Group()
        watch = group.kernel.watch(ours)
        reader = Reader(group, partial(read_ten, watch, ours))
        await let_run()
        theirs.send(b"hello")
        await let_run(passes)
        cancel(reader.scope)
        await group.close()
        if reader.steps == ["cancelled"]:
            assert ours.recv(10) == b"hello"
        else:
            assert reader.steps == [b"hello"]
        watch.close()


def read_ten(watch: Watch, sock: socket.socket) -> Any:
    return watch.when_readable(partial(sock.recv, 10))


async def test_a_wait_in_a_cancelled_scope_raises(pair: Pair) -> None:
    ours, _ = pair
    kernel = current_task().kernel
    watch = kernel.watch(ours)
    with entered() as scope:
        cancel(scope)
        for wait in (
            lambda: watch.when_writable(partial(ours.send, b"!")),
            lambda: watch.when_readable(partial(ours.recv, 1)),
            lambda: kernel.wait_readable(ours),
            lambda: kernel.wait_writable(ours),
        ):
            with pytest.raises(kernel.cancelled_class):
                await wait()
    watch.close()


# Descriptors of the user's


async def test_wait_readable_returns_once_there_is_something(pair: Pair) -> None:
    ours, theirs = pair
    group = Group()
    for obj in (ours, ours.fileno()):
        reader = Reader(group, partial(group.kernel.wait_readable, obj))
        await let_run()
        assert reader.steps == []
        theirs.send(b"!")
        while not reader.steps:
            await let_run()
        assert reader.steps == [None]
        assert ours.recv(10) == b"!"
    await group.close()


async def test_wait_writable_returns_once_there_is_room(pair: Pair) -> None:
    ours, theirs = pair
    fill(ours)
    group = Group()
    writer = Reader(group, partial(group.kernel.wait_writable, ours))
    await let_run()
    assert writer.steps == []
    drain(theirs)
    await group.close()
    assert writer.steps == [None]


async def test_a_second_one_who_waits_for_the_same_is_refused(pair: Pair) -> None:
    ours, _ = pair
    group = Group()
    reader = Reader(group, partial(group.kernel.wait_readable, ours))
    await let_run()
    with pytest.raises(BusyResourceError):
        await group.kernel.wait_readable(ours)
    group.cancel()
    await group.close()
    assert reader.steps == ["cancelled"]


async def test_no_registration_is_left_behind(pair: Pair) -> None:
    """The number of a descriptor that was closed is given to the next one."""
    ours, theirs = pair
    kernel = current_task().kernel
    for _ in range(3):
        reading, writing = os.pipe()
        os.write(writing, b"!")
        await kernel.wait_readable(reading)
        os.close(reading)
        os.close(writing)
    group = Group()
    reader = Reader(group, partial(kernel.wait_readable, ours))
    await let_run()
    cancel(reader.scope)
    await let_run()
    again = Reader(group, partial(kernel.wait_readable, ours))
    theirs.send(b"!")
    await group.close()
    assert (reader.steps, again.steps) == (["cancelled"], [None])


async def test_notify_closing_wakes_who_waits(pair: Pair) -> None:
    ours, _ = pair
    fill(ours)
    group = Group()
    reader = Reader(group, partial(group.kernel.wait_readable, ours))
    writer = Reader(group, partial(group.kernel.wait_writable, ours))
    await let_run()
    group.kernel.notify_closing(ours)
    await group.close()
    assert reader.steps == writer.steps == [ClosedResourceError]


async def test_notify_closing_does_nothing_where_nobody_waits(pair: Pair) -> None:
    current_task().kernel.notify_closing(pair[0])


# A loop that is not the watch's


def in_a_thread(func: Callable[[], object]) -> None:
    thread = threading.Thread(target=func)
    thread.start()
    thread.join()


@pytest.mark.parametrize("writing", [False, True])
def test_a_watch_of_a_loop_that_has_ended_is_closed(
    backend: Backend, pair: Pair, writing: bool
) -> None:
    ours, theirs = pair

    async def leave() -> Watch:
        watch = current_task().kernel.watch(ours)
        theirs.send(b"x")
        await watch.when_readable(partial(ours.recv, 10))
        return watch

    async def use() -> None:
        wait = left.when_writable if writing else left.when_readable
        with pytest.raises(ClosedResourceError, match="an event loop that has ended"):
            await wait(partial(ours.recv, 10))

    left = backend.run(leave)
    backend.run(use)


async def test_a_watch_of_another_loop_that_runs_is_an_error_that_says_so(
    backend: Backend, pair: Pair
) -> None:
    watch = current_task().kernel.watch(pair[0])

    async def use() -> None:
        with pytest.raises(RuntimeError, match="another event loop, which is still running"):
            await watch.when_readable(partial(pair[0].recv, 10))
        done.append(True)

    done: list[bool] = []
    in_a_thread(partial(backend.run, use))
    assert done
    watch.close()
