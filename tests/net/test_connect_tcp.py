"""`connect_tcp`: from where, to where, and what is left when it does not work out."""

from __future__ import annotations

import errno
import gc
import pickle
import socket
import weakref
from ipaddress import ip_address
from typing import Any

import pytest
from _ends import HAS_IPV6, LOOPBACK, LOOPBACKS, black_hole, echo, free_port, needs_ipv6

from creche import (
    ConnectionFailed,
    connect_tcp,
    create_task_group,
    create_tcp_listener,
    move_on_after,
    wait_all_tasks_blocked,
)
from creche._net import tcp
from creche.abc import SocketAttribute

# There is no TCP to many hosts at once. The system says so before it sends anything.
UNREACHABLE = ["255.255.255.255", "224.0.0.1", *["ff02::1"] * HAS_IPV6]


def resolves_to(monkeypatch: pytest.MonkeyPatch, *addresses: tuple[str, int]) -> None:
    """Have every name resolve to these addresses, in this order."""

    async def resolve(*args: Any, **kwargs: Any) -> list[tuple[Any, ...]]:
        return [
            (
                socket.AF_INET6 if ":" in host else socket.AF_INET,
                socket.SOCK_STREAM,
                socket.IPPROTO_TCP,
                "",
                (host, port, 0, 0) if ":" in host else (host, port),
            )
            for host, port in addresses
        ]

    monkeypatch.setattr(tcp, "resolve", resolve)


@pytest.mark.parametrize("host", [*LOOPBACKS, *map(ip_address, LOOPBACKS), "localhost"])
async def test_a_host_can_be_a_name_or_an_address(host: Any) -> None:
    async with await create_tcp_listener(local_host=host) as listener:
        async with create_task_group() as group:
            group.start_soon(listener.serve, echo)
            port = listener.extra(SocketAttribute.local_port)
            async with await connect_tcp(host, port) as stream:
                await stream.send(b"hello")
                assert await stream.receive() == b"hello"
            group.cancel_scope.cancel()


async def test_a_refused_connection_names_the_address_and_has_the_error_as_its_cause() -> None:
    port = free_port()
    words = f"All connection attempts failed, to 127.0.0.1 port {port}: .*Connection refused"
    with pytest.raises(ConnectionFailed, match=words) as caught:
        await connect_tcp(LOOPBACK, port)
    assert isinstance(caught.value, OSError)
    assert isinstance(caught.value.__cause__, ConnectionRefusedError)


@pytest.mark.parametrize("host", UNREACHABLE)
async def test_a_host_that_cannot_be_reached_is_named_and_has_the_error_as_its_cause(
    host: str,
) -> None:
    with pytest.raises(ConnectionFailed, match=f"to {host} port 9: .*unreachable") as caught:
        await connect_tcp(host, 9)
    assert isinstance(caught.value.__cause__, OSError)
    assert caught.value.__cause__.errno == errno.ENETUNREACH


async def test_a_host_that_cannot_be_reached_is_overtaken_without_waiting_for_the_delay(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with await create_tcp_listener(local_host=LOOPBACK) as listener:
        live = listener.extra(SocketAttribute.local_port)
        resolves_to(monkeypatch, *[(host, 9) for host in UNREACHABLE], (LOOPBACK, live))
        async with await connect_tcp("somewhere", 1, happy_eyeballs_delay=3600) as stream:
            assert stream.extra(SocketAttribute.remote_address) == (LOOPBACK, live)


async def test_a_name_that_does_not_resolve_is_an_error_that_names_it() -> None:
    with pytest.raises(socket.gaierror, match=r"'nowhere\.invalid', port 80"):
        await connect_tcp("nowhere.invalid", 80)


@needs_ipv6
async def test_when_all_addresses_fail_each_has_its_error_in_a_group(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    port = free_port()
    resolves_to(monkeypatch, (LOOPBACK, port), ("127.0.0.2", port), ("::1", port))
    with pytest.raises(OSError, match="All connection attempts failed, to somewhere port") as e:
        await connect_tcp("somewhere", port)
    group = e.value.__cause__
    assert isinstance(group, ExceptionGroup)
    assert all(isinstance(each, ConnectionRefusedError) for each in group.exceptions)
    hosts = [str(each).split()[-3] for each in group.exceptions]
    assert hosts == ["127.0.0.1", "::1", "127.0.0.2"]  # families take turns


@pytest.mark.parametrize("count", [1, 2])
async def test_a_failure_leaves_no_cycle(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    port = free_port()
    resolves_to(monkeypatch, *[(LOOPBACK, port), ("127.0.0.2", port)][:count])
    kept: list[weakref.ref[BaseException]] = []
    gc.collect()
    gc.disable()
    try:
        try:
            await connect_tcp("somewhere", port)
        except ConnectionFailed as exc:
            kept.append(weakref.ref(exc))
        assert [reference() for reference in kept] == [None]
    finally:
        gc.enable()


async def test_a_port_out_of_range_is_refused() -> None:
    for port in (-1, 65536):
        with pytest.raises(OverflowError, match="port must be 0-65535"):
            await connect_tcp(LOOPBACK, port)
        with pytest.raises(OverflowError, match="port must be 0-65535"):
            await connect_tcp(LOOPBACK, 1, local_port=port)


# The local end


async def test_the_local_host_is_honoured() -> None:
    async with await create_tcp_listener(local_host=LOOPBACK) as listener:
        port = listener.extra(SocketAttribute.local_port)
        async with await connect_tcp(LOOPBACK, port, local_host="127.0.0.3") as stream:
            assert stream.extra(SocketAttribute.local_address)[0] == "127.0.0.3"


@pytest.mark.parametrize("local_host", [None, LOOPBACK])
async def test_the_local_port_is_honoured_with_and_without_a_local_host(
    local_host: str | None,
) -> None:
    async with await create_tcp_listener(local_host=LOOPBACK) as listener:
        port, local_port = listener.extra(SocketAttribute.local_port), free_port()
        async with await connect_tcp(
            LOOPBACK, port, local_host=local_host, local_port=local_port
        ) as stream:
            assert stream.extra(SocketAttribute.local_port) == local_port


async def test_a_local_host_of_another_family_is_an_error_that_says_so() -> None:
    with pytest.raises(ConnectionFailed, match="no address of family AF_INET") as caught:
        await connect_tcp(LOOPBACK, free_port(), local_host="::1")
    assert isinstance(caught.value.__cause__, OSError)


async def test_a_local_port_in_use_is_an_error_that_says_so() -> None:
    with socket.create_server((LOOPBACK, 0)) as sock:
        address = sock.getsockname()
        words = f"binding to 127.0.0.1 port {address[1]}"
        with pytest.raises(ConnectionFailed, match=words):
            await connect_tcp(*address, local_host=LOOPBACK, local_port=address[1])


# What an error says


def told(exc: BaseException | None) -> list[str]:
    """Return what a traceback would show of an error, from the last to the first."""
    lines = []
    while exc is not None:
        lines.append(f"{type(exc).__name__}: {exc}")
        exc = exc.__cause__ or exc.__context__
    return lines


async def test_a_host_that_is_not_there_is_told_once() -> None:
    with pytest.raises(socket.gaierror, match=r"creche\.invalid") as caught:
        await connect_tcp("creche.invalid", 80)
    assert (caught.value.__cause__, caught.value.__context__) == (None, None)
    copied = pickle.loads(pickle.dumps(caught.value))
    assert (copied.errno, str(copied)) == (caught.value.errno, str(caught.value))


async def test_a_refusal_is_told_once() -> None:
    with pytest.raises(ConnectionFailed) as caught:
        await connect_tcp(LOOPBACK, free_port())
    text, cause = told(caught.value)
    assert text.startswith("ConnectionFailed: All connection attempts failed, to ")
    assert cause.startswith("ConnectionRefusedError: ")


async def test_each_of_several_refusals_is_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    addresses = [(host, free_port(host)) for host in ("127.0.0.2", "127.0.0.3")]
    resolves_to(monkeypatch, *addresses)
    with pytest.raises(ConnectionFailed) as caught:
        await connect_tcp("somewhere", 1, happy_eyeballs_delay=0)
    group = caught.value.__cause__
    assert isinstance(group, ExceptionGroup)
    assert [len(told(each)) for each in group.exceptions] == [1, 1]


async def test_a_port_that_is_taken_is_told_once() -> None:
    async with await create_tcp_listener(local_host=LOOPBACK) as listener:
        port = listener.extra(SocketAttribute.local_port)
        with pytest.raises(OSError, match=f"listening on {LOOPBACK} port {port}") as caught:
            await create_tcp_listener(local_host=LOOPBACK, local_port=port)
    assert len(told(caught.value)) == 1


# Addresses that do not answer


async def test_an_address_that_does_not_answer_is_overtaken_by_the_next(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with black_hole("127.0.0.2") as dead:
        async with await create_tcp_listener(local_host=LOOPBACK) as listener:
            live = listener.extra(SocketAttribute.local_port)
            resolves_to(monkeypatch, ("127.0.0.2", dead), (LOOPBACK, live))
            async with await connect_tcp("somewhere", 1, happy_eyeballs_delay=0.01) as stream:
                assert stream.extra(SocketAttribute.remote_address) == (LOOPBACK, live)


async def test_an_address_that_refuses_is_overtaken_without_waiting_for_the_delay(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with await create_tcp_listener(local_host=LOOPBACK) as listener:
        live = listener.extra(SocketAttribute.local_port)
        resolves_to(monkeypatch, ("127.0.0.2", free_port("127.0.0.2")), (LOOPBACK, live))
        async with await connect_tcp("somewhere", 1, happy_eyeballs_delay=3600) as stream:
            assert stream.extra(SocketAttribute.remote_address) == (LOOPBACK, live)


async def test_a_cancel_while_connecting_leaves_nothing_open(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with black_hole("127.0.0.2") as first, black_hole("127.0.0.3") as second:
        for addresses in ([("127.0.0.2", first)], [("127.0.0.2", first), ("127.0.0.3", second)]):
            resolves_to(monkeypatch, *addresses)
            async with create_task_group() as group:
                group.start_soon(connect_tcp, "somewhere", 1)
                await wait_all_tasks_blocked()
                group.cancel_scope.cancel()


async def test_a_deadline_ends_an_attempt_that_nobody_answers() -> None:
    with black_hole("127.0.0.2") as port, move_on_after(0.02) as scope:
        await connect_tcp("127.0.0.2", port)
    assert scope.cancelled_caught
