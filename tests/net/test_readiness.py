"""Waiting for sockets of the user's own."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from _ends import connected

from creche import (
    BusyResourceError,
    ClosedResourceError,
    NoEventLoopError,
    create_task_group,
    notify_closing,
    wait_all_tasks_blocked,
    wait_readable,
    wait_socket_readable,
    wait_socket_writable,
    wait_writable,
)
from creche.abc import SocketAttribute

Pair = tuple[socket.socket, socket.socket]


@pytest.fixture
def pair() -> Iterator[Pair]:
    left, right = socket.socketpair()
    left.setblocking(False)
    right.setblocking(False)
    with left, right:
        yield left, right


def fill(sock: socket.socket) -> None:
    """Send until the socket takes no more."""
    try:
        while True:
            sock.send(bytes(65536))
    except BlockingIOError:
        pass


def same(sock: socket.socket) -> socket.socket:
    return sock


def drain(sock: socket.socket) -> None:
    """Receive until there is nothing left."""
    try:
        while True:
            sock.recv(65536)
    except BlockingIOError:
        pass


@pytest.mark.parametrize("form", [same, socket.socket.fileno])
async def test_wait_readable_returns_when_there_is_something_to_read(
    pair: Pair, form: Callable[[socket.socket], Any]
) -> None:
    left, right = pair
    for _ in range(2):
        async with create_task_group() as group:
            group.start_soon(wait_readable, form(left))
            await wait_all_tasks_blocked()
            right.send(b"x")
        assert left.recv(10) == b"x"


async def test_wait_writable_returns_when_there_is_room(pair: Pair) -> None:
    left, right = pair
    await wait_writable(left)
    fill(left)
    async with create_task_group() as group:
        group.start_soon(wait_writable, left)
        await wait_all_tasks_blocked()
        drain(right)
    assert left.send(b"x") == 1


async def test_both_directions_can_be_waited_for_at_once(pair: Pair) -> None:
    left, right = pair
    fill(left)
    async with create_task_group() as group:
        group.start_soon(wait_readable, left)
        group.start_soon(wait_writable, left)
        await wait_all_tasks_blocked()
        drain(right)
        right.send(b"x")


async def test_a_second_task_waiting_for_the_same_is_refused(pair: Pair) -> None:
    left, _ = pair
    fill(left)
    async with create_task_group() as group:
        group.start_soon(wait_readable, left)
        group.start_soon(wait_writable, left)
        await wait_all_tasks_blocked()
        for wait, words in ((wait_readable, "reading from"), (wait_writable, "writing to")):
            with pytest.raises(BusyResourceError, match=f"already {words} this resource"):
                await wait(left)
        group.cancel_scope.cancel()


@pytest.mark.parametrize("form", [same, socket.socket.fileno])
async def test_notify_closing_wakes_whoever_waits(
    pair: Pair, form: Callable[[socket.socket], Any]
) -> None:
    left, _ = pair
    fill(left)
    woken: list[str] = []

    async def wait(call: Any, name: str) -> None:
        with pytest.raises(ClosedResourceError):
            await call(form(left))
        woken.append(name)

    async with create_task_group() as group:
        group.start_soon(wait, wait_readable, "reader")
        group.start_soon(wait, wait_writable, "writer")
        await wait_all_tasks_blocked()
        notify_closing(form(left))
        left.close()
    assert sorted(woken) == ["reader", "writer"]


async def test_notify_closing_is_fine_where_nobody_waits(pair: Pair) -> None:
    notify_closing(pair[0])


async def test_a_cancelled_wait_leaves_no_registration_behind(pair: Pair) -> None:
    left, right = pair
    async with create_task_group() as group:
        group.start_soon(wait_readable, left)
        await wait_all_tasks_blocked()
        group.cancel_scope.cancel()
    number = left.detach()
    with socket.socket(fileno=number) as again:  # the same number, waited for anew
        async with create_task_group() as group:
            group.start_soon(wait_readable, again)
            await wait_all_tasks_blocked()
            right.send(b"x")


@pytest.mark.parametrize(
    ("call", "name"),
    [(wait_socket_readable, "wait_readable"), (wait_socket_writable, "wait_writable")],
)
async def test_the_old_names_warn_and_work(pair: Pair, call: Any, name: str) -> None:
    left, right = pair
    right.send(b"x")
    with pytest.warns(DeprecationWarning, match=f"This function is deprecated; use `{name}`"):
        waiting = call(left)
    await waiting


@pytest.mark.parametrize("call", [wait_readable, wait_writable, notify_closing])
def test_outside_a_loop_the_call_itself_is_refused(pair: Pair, call: Any) -> None:
    with pytest.raises(NoEventLoopError):
        call(pair[0])


async def test_a_user_may_wait_on_the_socket_of_a_stream_and_the_stream_goes_on() -> None:
    async with connected() as (client, server):
        await client.send(b"one")
        assert await server.receive() == b"one"
        async with create_task_group() as group:
            group.start_soon(wait_readable, server.extra(SocketAttribute.raw_socket))
            await wait_all_tasks_blocked()
            await client.send(b"two")
        assert await server.receive() == b"two"
        async with create_task_group() as group:
            handle = group.start_soon(server.receive)
            await wait_all_tasks_blocked()
            with pytest.raises(BusyResourceError):
                await wait_readable(server.extra(SocketAttribute.raw_socket))
            await client.send(b"three")
        assert handle.return_value == b"three"
