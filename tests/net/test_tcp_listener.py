"""Listeners: where they listen, how they accept, and what they survive."""

from __future__ import annotations

import errno
import logging
import os
import resource
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import IPv4Address
from typing import Any

import pytest
from _ends import LOOPBACK, LOOPBACKS, echo, needs_ipv6, raw

from _harness import leaves
from creche import (
    BusyResourceError,
    CancelScope,
    ClosedResourceError,
    Event,
    connect_tcp,
    create_task_group,
    create_tcp_listener,
    sleep_forever,
    wait_all_tasks_blocked,
)
from creche._net import tcp
from creche._net.listener import DirectSocketListener
from creche.abc import SocketAttribute, SocketListener, SocketStream


async def one_listener() -> DirectSocketListener:
    listener = (await create_tcp_listener(local_host=LOOPBACK)).listeners[0]
    assert isinstance(listener, DirectSocketListener)
    return listener


def port_of(listener: Any) -> int:
    port: int = listener.extra(SocketAttribute.local_port)
    return port


# Where it listens


@needs_ipv6
async def test_without_a_host_it_listens_on_both_families_with_one_port() -> None:
    async with await create_tcp_listener() as listener, create_task_group() as group:
        families = {each.extra(SocketAttribute.family) for each in listener.listeners}
        assert families == {socket.AF_INET, socket.AF_INET6}
        assert len({port_of(each) for each in listener.listeners}) == 1
        group.start_soon(listener.serve, echo)
        for host in LOOPBACKS:
            async with await connect_tcp(host, port_of(listener)) as stream:
                await stream.send(b"hello")
                assert await stream.receive() == b"hello"
        group.cancel_scope.cancel()


@pytest.mark.parametrize(("family", "host"), [(socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")])
async def test_a_family_can_be_asked_for(family: Any, host: str) -> None:
    async with (
        await create_tcp_listener(family=family) as by_family,
        await create_tcp_listener(local_host=host) as by_host,
    ):
        for listener in (by_family, by_host):
            addresses = [each.extra(SocketAttribute.local_address) for each in listener.listeners]
            assert addresses == [(host, port_of(listener))]


async def test_an_address_can_be_an_object() -> None:
    async with await create_tcp_listener(local_host=IPv4Address(LOOPBACK)) as listener:
        assert listener.extra(SocketAttribute.local_address)[0] == LOOPBACK


def without_ipv6(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    listen = tcp._listen

    def listen_on_ipv4(family: Any, *args: Any) -> socket.socket:
        if family == socket.AF_INET6:
            raise OSError(number, os.strerror(number))
        return listen(family, *args)

    monkeypatch.setattr(tcp, "_listen", listen_on_ipv4)


@pytest.mark.parametrize("number", [errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL])
async def test_a_machine_without_ipv6_listens_on_ipv4(
    monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    without_ipv6(monkeypatch, number)
    async with await create_tcp_listener() as listener:
        assert [each.extra(SocketAttribute.family) for each in listener.listeners] == [
            socket.AF_INET
        ]


async def test_ipv6_alone_on_a_machine_without_it_is_an_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    without_ipv6(monkeypatch, errno.EAFNOSUPPORT)
    with pytest.raises(OSError) as caught:
        await create_tcp_listener(family=socket.AF_INET6)
    assert caught.value.errno == errno.EAFNOSUPPORT


async def test_a_port_that_is_taken_is_an_error_that_names_the_address() -> None:
    with socket.create_server((LOOPBACK, 0)) as sock:
        port = sock.getsockname()[1]
        with pytest.raises(OSError, match=f"listening on 127.0.0.1 port {port}") as caught:
            await create_tcp_listener(local_host=LOOPBACK, local_port=port)
    assert caught.value.errno == errno.EADDRINUSE


@needs_ipv6
async def test_a_port_taken_in_one_family_only_is_an_error_too() -> None:
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as sock:
        with pytest.raises(OSError) as caught:
            await create_tcp_listener(local_port=sock.getsockname()[1])
    assert caught.value.errno == errno.EADDRINUSE


def taken_in_ipv6(monkeypatch: pytest.MonkeyPatch, times: int) -> list[int]:
    """Have the port that IPv4 got be taken in IPv6 that many times; records the ports."""
    listen, ports = tcp._listen, []

    def listen_with_bad_luck(family: Any, address: Any, *args: Any) -> socket.socket:
        if address[1]:
            ports.append(address[1])
            if len(ports) <= times:
                raise OSError(errno.EADDRINUSE, "taken")
        return listen(family, address, *args)

    monkeypatch.setattr(tcp, "_listen", listen_with_bad_luck)
    return ports


async def test_another_port_is_looked_for_until_one_is_free_in_every_family(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ports = taken_in_ipv6(monkeypatch, times=3)
    async with await create_tcp_listener() as listener:
        assert len(ports) == 4
        assert {port_of(each) for each in listener.listeners} == {ports[-1]}


async def test_the_search_for_a_port_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    taken_in_ipv6(monkeypatch, times=1000)
    words = "Could not create 2 listeners with a consistent port"
    with pytest.raises(OSError, match=words) as caught:
        await create_tcp_listener()
    assert caught.value.errno == errno.EADDRINUSE


async def test_two_listeners_share_a_port_if_both_allow_it() -> None:
    async with await create_tcp_listener(local_host=LOOPBACK, reuse_port=True) as first:
        port = port_of(first)
        async with await create_tcp_listener(
            local_host=LOOPBACK, local_port=port, reuse_port=True
        ) as second:
            assert port_of(second) == port


async def test_reuse_port_is_refused_where_the_system_lacks_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delattr(socket, "SO_REUSEPORT")
    with pytest.raises(ValueError, match="reuse_port is not supported"):
        await create_tcp_listener(local_host=LOOPBACK, reuse_port=True)


OPTIONS = ["SO_REUSEADDR", "IPV6_V6ONLY", "TCP_NODELAY"]


async def listens_and_connects() -> None:
    async with await create_tcp_listener(local_host=LOOPBACK) as listener:
        async with await connect_tcp(LOOPBACK, port_of(listener)) as stream:
            await stream.send(b"x")


@pytest.mark.parametrize("option", OPTIONS)
async def test_a_platform_without_an_option_does_without(
    option: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(socket, option)
    await listens_and_connects()


class Bare(socket.socket):
    """A socket of a system that knows the name of an option, and nothing behind it."""

    refusal = errno.ENOPROTOOPT

    def setsockopt(self, *args: Any) -> None:
        raise OSError(self.refusal, "no such option")


async def test_a_system_that_refuses_an_option_does_without(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(socket, "socket", Bare)
    await listens_and_connects()


async def test_what_else_a_system_says_of_an_option_is_raised(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(socket, "socket", Bare)
    monkeypatch.setattr(Bare, "refusal", errno.EACCES)
    with pytest.raises(PermissionError, match="no such option, listening on"):
        await create_tcp_listener(local_host=LOOPBACK)


async def test_a_port_out_of_range_is_refused() -> None:
    with pytest.raises(OverflowError, match="port must be 0-65535"):
        await create_tcp_listener(local_port=65536)


# Accepting


async def test_accept_waits_for_a_connection() -> None:
    async with await one_listener() as listener, create_task_group() as group:
        accepted: list[SocketStream] = []

        async def accept() -> None:
            accepted.append(await listener.accept())

        group.start_soon(accept)
        await wait_all_tasks_blocked()
        async with await connect_tcp(LOOPBACK, port_of(listener)) as client:
            await client.send(b"hello")
            while not accepted:
                await wait_all_tasks_blocked()
            async with accepted[0] as server:
                assert await server.receive() == b"hello"


async def test_a_second_task_in_accept_is_refused() -> None:
    async with await one_listener() as listener, create_task_group() as group:
        group.start_soon(listener.accept)
        await wait_all_tasks_blocked()
        with pytest.raises(BusyResourceError, match="already accepting connections from"):
            await listener.accept()
        group.cancel_scope.cancel()


async def test_closing_wakes_the_task_in_accept() -> None:
    listener = await one_listener()

    async def accept() -> None:
        with pytest.raises(ClosedResourceError):
            await listener.accept()

    async with create_task_group() as group:
        group.start_soon(accept)
        await wait_all_tasks_blocked()
        await listener.aclose()
    await listener.aclose()
    with pytest.raises(ClosedResourceError, match="create a new one"):
        await listener.accept()
    assert repr(listener) == "<DirectSocketListener closed listener>"


async def test_aclose_in_a_cancelled_scope_closes_the_listener_and_then_raises() -> None:
    listener = await one_listener()
    with CancelScope() as scope:
        scope.cancel()
        await listener.aclose()
    assert scope.cancelled_caught
    assert listener.extra(SocketAttribute.raw_socket).fileno() == -1


async def test_a_cancelled_accept_takes_no_connection() -> None:
    async with await one_listener() as listener:
        with CancelScope() as scope:
            async with create_task_group() as group:
                group.start_soon(listener.accept)
                await wait_all_tasks_blocked()
                scope.cancel()
        async with await connect_tcp(LOOPBACK, port_of(listener)) as client:
            with CancelScope() as scope:
                scope.cancel()
                await listener.accept()
            assert scope.cancelled_caught
            async with await listener.accept() as server:
                await server.send(b"here")
                assert await client.receive() == b"here"


class Stillborn(socket.socket):
    """A listening socket whose first connections are gone before they are accepted."""

    errors = (errno.ECONNABORTED, errno.EPROTO)
    tried = 0

    def accept(self) -> tuple[socket.socket, Any]:
        self.tried += 1
        if self.tried <= len(self.errors):
            number = self.errors[self.tried - 1]
            raise OSError(number, os.strerror(number))
        return super().accept()


async def test_connections_that_were_aborted_in_the_queue_are_passed_over() -> None:
    sock = Stillborn()
    sock.bind((LOOPBACK, 0))
    sock.listen()
    async with await SocketListener.from_socket(sock) as listener:
        async with await connect_tcp(*sock.getsockname()), await listener.accept() as server:
            assert server.extra(SocketAttribute.local_address) == sock.getsockname()
    assert sock.tried == 3


@contextmanager
def no_more_descriptors() -> Iterator[None]:
    """Let the process open nothing new."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest_free = os.dup(0)
    os.close(lowest_free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest_free, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def test_accept_reports_that_descriptors_have_run_out() -> None:
    async with await one_listener() as listener:
        address: Any = listener.extra(SocketAttribute.local_address)
        with socket.create_connection(address):
            with no_more_descriptors(), pytest.raises(OSError) as caught:
                await listener.accept()
            assert caught.value.errno == errno.EMFILE
            await (await listener.accept()).aclose()


class Warned(logging.Handler):
    """Sets an event when something is logged."""

    def __init__(self, event: Event) -> None:
        super().__init__(logging.WARNING)
        self.event = event
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(record.getMessage())
        self.event.set()


async def test_serve_logs_that_descriptors_have_run_out_and_goes_on() -> None:
    warned, served = Event(), Event()
    handler = Warned(warned)
    logging.getLogger("creche").addHandler(handler)

    async def serve_one(stream: SocketStream) -> None:
        await stream.aclose()
        served.set()

    try:
        async with await one_listener() as listener, create_task_group() as group:
            address: Any = listener.extra(SocketAttribute.local_address)
            with socket.create_connection(address):
                with no_more_descriptors():
                    group.start_soon(listener.serve, serve_one)
                    await warned.wait()
                    assert not served.is_set()
                await served.wait()
            group.cancel_scope.cancel()
    finally:
        logging.getLogger("creche").removeHandler(handler)
    words = f"listener on 127.0.0.1 port {address[1]} cannot accept a connection: Too many open"
    assert handler.texts[0].startswith(words)


# Serving


async def test_serve_without_a_group_waits_for_its_handlers_when_cancelled() -> None:
    cleaned_up: list[bool] = []

    async def handler(stream: SocketStream) -> None:
        async with stream:
            try:
                await stream.receive()
            finally:
                cleaned_up.append(True)

    async with await one_listener() as listener:
        async with create_task_group() as group:
            group.start_soon(listener.serve, handler)
            async with await connect_tcp(LOOPBACK, port_of(listener)) as client:
                await wait_all_tasks_blocked()
                group.cancel_scope.cancel()
                with CancelScope(shield=True):
                    await client.aclose()
        assert cleaned_up == [True]


async def test_an_error_of_a_handler_goes_to_the_group_of_its_tasks() -> None:
    async def handler(stream: SocketStream) -> None:
        async with stream:
            raise LookupError("of the handler")

    for own_group in (True, False):
        async with await one_listener() as listener:
            with pytest.raises(ExceptionGroup) as caught:
                async with create_task_group() as group:
                    args = () if own_group else (group,)
                    group.start_soon(listener.serve, handler, *args)
                    async with await connect_tcp(LOOPBACK, port_of(listener)):
                        await sleep_forever()
            assert [str(leaf) for leaf in leaves(caught.value)] == ["of the handler"]


async def test_handlers_run_in_the_group_that_was_given() -> None:
    async with await one_listener() as listener, create_task_group() as handlers:
        async with create_task_group() as group:
            group.start_soon(listener.serve, echo, handlers)
            stream = await connect_tcp(LOOPBACK, port_of(listener))
            await stream.send(b"1")
            assert await stream.receive() == b"1"
            group.cancel_scope.cancel()
        async with stream:  # listening has ended, the handler has not
            await stream.send(b"2")
            assert await stream.receive() == b"2"


async def test_a_handler_that_is_no_coroutine_function_leaves_no_stream_open() -> None:
    async with await one_listener() as listener:
        async with await connect_tcp(LOOPBACK, port_of(listener)):
            with pytest.raises(ExceptionGroup) as caught:
                await listener.serve(raw)
    assert [type(leaf) for leaf in leaves(caught.value)] == [TypeError]


async def test_serving_ends_when_the_listener_is_closed() -> None:
    listener = await one_listener()

    async def serve() -> None:
        with pytest.raises(ExceptionGroup) as caught:
            await listener.serve(echo)
        assert [type(leaf) for leaf in leaves(caught.value)] == [ClosedResourceError]

    async with create_task_group() as group:
        group.start_soon(serve)
        await wait_all_tasks_blocked()
        await listener.aclose()
