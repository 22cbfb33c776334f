"""`SelectorThread` alone with a loop: what it calls, what it does not, and when its thread ends.

What Creche does on top of it is in ``test_readerless_loop.py``.
"""

from __future__ import annotations

import asyncio
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from _readerless import Pair, ReaderlessLoop, drain, ends_with_the_garbage, fill, selector_threads

from _harness import cpu_time
from _harness._leaks import LoopReports
from creche._kernel.asyncio import selector_thread
from creche._kernel.asyncio.readiness import _lacks_readers
from creche._kernel.asyncio.selector_thread import SelectorThread

WALL = 0.3
CPU_AT_MOST = 0.1


@pytest.fixture
def pair() -> Iterator[Pair]:
    left, right = socket.socketpair()
    left.setblocking(False)
    right.setblocking(False)
    with left, right:
        yield left, right


@pytest.fixture
def other() -> Iterator[Pair]:
    left, right = socket.socketpair()
    with left, right:
        yield left, right


@contextmanager
def alone() -> Iterator[tuple[ReaderlessLoop, SelectorThread]]:
    """A loop and the thread that reads for it."""
    loop = ReaderlessLoop()
    readers = SelectorThread(loop)
    try:
        yield loop, readers
    finally:
        readers.close()
        loop.close()


def run_until_read(readers: SelectorThread, sender: socket.socket, receiver: socket.socket) -> None:
    """Send something from one socket to the other, and run the loop until it is reported."""
    reported = readers.loop.create_future()

    def read() -> None:
        receiver.recv(10)
        reported.set_result(None)

    readers.add_reader(receiver.fileno(), read)
    sender.send(b"x")
    readers.loop.run_until_complete(reported)
    assert readers.remove_reader(receiver.fileno())


def test_the_stock_loops_do_without_the_thread() -> None:
    class Bare:
        pass

    bare: Any = Bare()
    assert _lacks_readers(bare)
    for factory, lacks in ((ReaderlessLoop, True), (asyncio.SelectorEventLoop, False)):
        loop = factory()
        assert _lacks_readers(loop) is lacks
        loop.close()


def test_a_reader_is_called_as_long_as_there_is_something_to_read(pair: Pair) -> None:
    with alone() as (loop, readers):
        left, right = pair
        read: list[bytes] = []
        done = loop.create_future()

        def take_one(size: int) -> None:
            assert threading.current_thread() is threading.main_thread()
            read.append(left.recv(size))
            if len(read) == 3:
                done.set_result(None)

        readers.add_reader(left.fileno(), take_one, 1)
        right.send(b"abc")
        loop.run_until_complete(done)
        assert read == [b"a", b"b", b"c"]


def test_a_reader_that_does_not_read_is_called_again_until_it_is_removed(pair: Pair) -> None:
    with alone() as (loop, readers):
        left, right = pair
        calls: list[int] = []
        done = loop.create_future()

        def look() -> None:
            calls.append(1)
            if len(calls) == 3:
                assert readers.remove_reader(left.fileno())
                done.set_result(None)

        readers.add_reader(left.fileno(), look)
        right.send(b"x")
        loop.run_until_complete(done)
        run_until_read(readers, left, right)  # the thread goes on, and says no more of this one
        assert len(calls) == 3


def test_a_writer_is_called_once_there_is_room(pair: Pair, other: Pair) -> None:
    with alone() as (loop, readers):
        left, right = pair
        fill(left)
        room = loop.create_future()

        def write() -> None:
            readers.remove_writer(left.fileno())
            room.set_result(left.send(b"x"))

        readers.add_writer(left.fileno(), write)
        run_until_read(readers, *other)
        assert not room.done()
        drain(right)
        assert loop.run_until_complete(room) == 1


def test_a_writer_is_called_when_the_failure_of_a_connect_is_told_apart(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(selector_thread, "FAILURES_APART", True)
    with alone() as (loop, readers), socket.create_server(("127.0.0.1", 0)) as server:
        with socket.create_connection(server.getsockname()) as left, server.accept()[0] as right:
            left.setblocking(False)
            fill(left)
            told = loop.create_future()

            def tell() -> None:
                readers.remove_writer(left.fileno())
                told.set_result(None)

            readers.add_writer(left.fileno(), tell)
            right.send(b"!", socket.MSG_OOB)  # the one exceptional condition that can be made
            loop.run_until_complete(told)


def test_both_directions_of_a_descriptor_are_told_apart(pair: Pair) -> None:
    with alone() as (loop, readers):
        left, right = pair
        calls: list[str] = []
        read, written = loop.create_future(), loop.create_future()

        def reader() -> None:
            calls.append("reader")
            left.recv(10)
            read.set_result(None)

        def writer() -> None:
            calls.append("writer")
            readers.remove_writer(left.fileno())
            written.set_result(None)

        readers.add_reader(left.fileno(), reader)
        readers.add_writer(left.fileno(), writer)
        loop.run_until_complete(written)
        assert calls == ["writer"]
        right.send(b"x")
        loop.run_until_complete(read)
        assert calls == ["writer", "reader"]
        assert not readers.remove_writer(left.fileno())
        assert readers.remove_reader(left.fileno())
        assert not readers.remove_reader(left.fileno())


def test_a_reader_that_is_removed_while_its_event_is_under_way_is_not_called(pair: Pair) -> None:
    with alone() as (loop, readers):
        left, right = pair
        calls: list[int] = []
        readers.add_reader(left.fileno(), calls.append, 1)
        right.send(b"x")
        assert loop.queued.wait(5)
        readers.remove_reader(left.fileno())
        loop.passes()
        assert not calls


def test_an_event_under_way_is_not_taken_for_one_of_the_next_reader(pair: Pair) -> None:
    with alone() as (loop, readers):
        left, right = pair
        calls: list[str] = []
        readers.add_reader(left.fileno(), calls.append, "first")
        right.send(b"x")
        assert loop.queued.wait(5)
        drain(left)
        readers.add_reader(left.fileno(), calls.append, "second")  # replaces, as asyncio's does
        loop.passes()
        assert not calls
        run_until_read(readers, right, left)
        assert not calls


def test_a_reader_that_is_removed_while_the_thread_waits_is_not_called(
    pair: Pair, other: Pair
) -> None:
    with alone() as (loop, readers):
        left, right = pair
        calls: list[int] = []
        readers.add_reader(left.fileno(), calls.append, 1)
        run_until_read(readers, *other)
        readers.remove_reader(left.fileno())
        run_until_read(readers, *other)
        right.send(b"x")
        run_until_read(readers, *other)
        assert not calls
        assert left.fileno() not in loop.reported


def test_a_removed_descriptor_is_let_go_so_that_its_peer_sees_it_close(
    pair: Pair, other: Pair
) -> None:
    with alone() as (_, readers):
        left, right = pair
        readers.add_reader(left.fileno(), print)
        run_until_read(readers, *other)  # the thread is told of both, and waits for `left` now
        readers.remove_reader(left.fileno())
        left.close()
        right.settimeout(5)
        assert right.recv(1) == b""


def test_an_error_of_a_callback_goes_to_the_loop_and_the_reader_stays(
    pair: Pair, loop_reports: LoopReports
) -> None:
    with alone() as (loop, readers):
        left, right = pair
        done = loop.create_future()
        outcomes = [LookupError("in a callback"), None]

        def read() -> None:
            outcome = outcomes.pop(0)
            if outcome is not None:
                raise outcome
            left.recv(10)
            done.set_result(None)

        readers.add_reader(left.fileno(), read)
        right.send(b"x")
        loop.run_until_complete(done)
        assert [str(error) for error in loop_reports.errors()] == ["in a callback"]


def test_the_thread_does_not_spin_while_the_loop_is_busy(pair: Pair) -> None:
    with alone() as (loop, readers):
        left, right = pair
        calls: list[int] = []
        readers.add_reader(left.fileno(), calls.append, 1)
        right.send(b"x")
        assert loop.queued.wait(5)
        loop.queued.clear()
        with cpu_time() as spent:
            time.sleep(WALL)
        assert not loop.queued.is_set()
        assert spent.cpu <= CPU_AT_MOST
        loop.passes()
        assert calls


def test_a_descriptor_that_is_closed_without_a_word_does_not_stop_the_others(
    pair: Pair, other: Pair
) -> None:
    with alone() as (loop, readers):
        left, _ = pair
        number = left.fileno()
        told = loop.create_future()

        def find_out() -> None:
            with pytest.raises(OSError, match="Bad file descriptor"):
                os.fstat(number)
            readers.remove_reader(number)
            told.set_result(None)

        readers.add_reader(number, find_out)
        left.close()
        run_until_read(readers, *other)
        loop.run_until_complete(told)
        run_until_read(readers, *other)


def test_a_closed_descriptor_is_refused(pair: Pair) -> None:
    with alone() as (_, readers):
        number = pair[0].fileno()
        pair[0].close()
        for add in (readers.add_reader, readers.add_writer):
            with pytest.raises(OSError, match="Bad file descriptor"):
                add(number, print)
        assert not readers.remove_reader(number)
        assert not selector_threads()


def test_more_descriptors_than_select_takes_are_refused(
    pair: Pair, other: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    with alone() as (_, readers):
        monkeypatch.setattr(selector_thread, "MOST", 1)
        first, second = pair[0].fileno(), other[0].fileno()
        readers.add_reader(first, print)
        readers.add_reader(first, print)  # replaces
        readers.add_writer(second, readers.remove_writer, second)
        with pytest.raises(OSError, match="1 descriptors already, all that select"):
            readers.add_reader(second, print)
        readers.remove_reader(first)
        run_until_read(readers, *reversed(other))


def test_a_closed_one_begins_anew_with_the_readers_that_it_had(pair: Pair, other: Pair) -> None:
    with alone() as (loop, readers):
        left, right = pair
        read = loop.create_future()
        readers.close()  # before there is a thread

        def receive() -> None:
            read.set_result(left.recv(10))

        readers.add_reader(left.fileno(), receive)
        (thread,) = selector_threads()
        readers.close()
        readers.close()
        assert not thread.is_alive()
        right.send(b"x")
        run_until_read(readers, *other)
        assert loop.run_until_complete(read) == b"x"


def test_the_thread_ends_when_it_finds_its_loop_closed(pair: Pair) -> None:
    with alone() as (loop, readers):
        left, right = pair
        readers.add_reader(left.fileno(), print)
        (thread,) = selector_threads()
        loop.close()
        right.send(b"x")
        thread.join(5)
        assert not thread.is_alive()
        readers.remove_reader(left.fileno())


def test_the_thread_ends_when_its_loop_is_dropped_though_it_waits(pair: Pair) -> None:
    loop = ReaderlessLoop()
    readers = SelectorThread(loop)
    readers.add_reader(pair[0].fileno(), loop.stop)
    (thread,) = selector_threads()
    loop.close()
    del loop, readers
    assert ends_with_the_garbage(thread)


def test_no_sockets_are_left_if_no_thread_can_be_started(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    with alone() as (_, readers):

        def refuse(thread: threading.Thread) -> None:
            raise RuntimeError("can't start new thread")

        with monkeypatch.context() as patch:
            patch.setattr(threading.Thread, "start", refuse)
            with pytest.raises(RuntimeError, match="can't start new thread"):
                readers.add_reader(pair[0].fileno(), print)
        assert not readers.remove_reader(pair[0].fileno())


class _RemovedInBetween(dict[int, Any]):
    """The entries of one direction: a finaliser removes what was just found."""

    remove: Any = None

    def get(self, key: int, default: Any = None) -> Any:
        found = super().get(key, default)
        if found is not None and self.remove is not None:
            remove, self.remove = self.remove, None
            assert remove(key)
        return found


def test_a_reader_that_is_removed_as_it_is_armed_again_stays_gone(pair: Pair) -> None:
    _, right = pair
    with alone() as (_, readers):
        entries = _RemovedInBetween()
        readers._entries = (entries, {})
        readers.add_reader(right.fileno(), pytest.fail)
        interest = entries[right.fileno()][0]
        interest.armed = False  # As when it was reported, and its callback has run.
        entries.remove = readers.remove_reader
        readers._rearm(interest)
        assert entries == {}
        assert not interest.armed
