"""A wrong host, port or datagram is refused by its name, before anything is opened or sent."""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest

import creche
from creche import TCPConnectable, getaddrinfo
from creche.abc import Listener, SocketAttribute
from creche.streams.stapled import MultiListener
from creche.streams.tls import TLSListener

HERE = "127.0.0.1"
# To type checkers, what these tests do is as wrong as it is.
connect: Any = creche.connect_tcp
listen: Any = creche.create_tcp_listener
udp: Any = creche.create_udp_socket
connected_udp: Any = creche.create_connected_udp_socket


@contextmanager
def no_sockets() -> Iterator[None]:
    """Nothing is opened, and nothing is looked up."""

    def refuse(*_args: Any, **_options: Any) -> Any:
        raise AssertionError("too late: it is being done")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket, "socket", refuse)
        patch.setattr(socket, "getaddrinfo", refuse)
        yield


WRONG: list[tuple[Callable[[], Awaitable[object]], type[Exception], str]] = [
    (lambda: connect(HERE, None), TypeError, "remote_port must be a number in 0-65535, not None"),
    (lambda: connect(HERE, 80.5), TypeError, "remote_port must be a number .*, not float 80.5"),
    (lambda: connect(HERE, []), TypeError, "remote_port must be a number .*, not list"),
    (lambda: connect(HERE, 70000), OverflowError, "remote_port must be 0-65535, not 70000"),
    (lambda: connect(HERE, -1), OverflowError, "remote_port must be 0-65535, not -1"),
    (lambda: connect(None, 80), TypeError, "remote_host must be the name of a host .* not None"),
    (lambda: connect(b"localhost", 80), TypeError, "remote_host must be .* not bytes b'localhost'"),
    (lambda: connect(5, 80), TypeError, "remote_host must be .* not int 5"),
    (lambda: connect((HERE, 80), 80), TypeError, "remote_host must be .* not tuple"),
    (lambda: connect(HERE, 80, local_host=5), TypeError, "local_host must be .* not int 5"),
    (lambda: connect(HERE, 80, local_port=1.5), TypeError, "local_port must be .* not float 1.5"),
    (lambda: connect(HERE, 80, local_port=70000), OverflowError, "local_port must be 0-65535"),
    (lambda: connect(HERE, 80, happy_eyeballs_delay="1"), TypeError, "happy_eyeballs_delay as a"),
    (lambda: connect(HERE, 80, ssl_context=5), TypeError, "ssl_context must be an ssl.SSLContext"),
    (lambda: connect(HERE, 80, tls_hostname=5), TypeError, "tls_hostname must be a str, not 5"),
    (lambda: listen(local_host=5), TypeError, "local_host must be .* not int 5"),
    (lambda: listen(local_port=1.5), TypeError, "local_port must be a number .* not float 1.5"),
    (lambda: listen(local_port=70000), OverflowError, "local_port must be 0-65535"),
    (lambda: udp(local_host=5), TypeError, "local_host must be .* not int 5"),
    (lambda: udp(local_host=HERE, local_port=[]), TypeError, "local_port must be .* not list"),
    (lambda: connected_udp(None, 80), TypeError, "remote_host must be .* not None"),
    (lambda: connected_udp(HERE, None), TypeError, "remote_port must be .* not None"),
    (lambda: connected_udp(HERE, 70000), OverflowError, "remote_port must be 0-65535"),
    (lambda: connected_udp(HERE, 80, local_host=5), TypeError, "local_host must be .* not int 5"),
    (lambda: connected_udp(HERE, 80, local_port=1.5), TypeError, "local_port must be a number"),
]


@pytest.mark.parametrize(
    ("call", "error", "told"),
    WRONG,
    ids=[f"{number}: {told}" for number, (_, _, told) in enumerate(WRONG)],
)
async def test_what_is_no_host_or_port_is_named(
    call: Callable[[], Awaitable[object]], error: type[Exception], told: str
) -> None:
    with no_sockets(), pytest.raises(error, match=told):
        await call()


@pytest.mark.parametrize("make", [connect, connected_udp, getaddrinfo])
async def test_a_service_that_there_is_not_is_named(make: Callable[..., Any]) -> None:
    with pytest.raises(socket.gaierror, match=r"port 'x'\); give the port as a number"):
        await make(HERE, "x")


async def test_a_port_may_be_text_or_a_number_of_another_type() -> None:
    class Number:
        def __init__(self, value: int) -> None:
            self.value = value

        def __index__(self) -> int:
            return self.value

    async with await listen(local_host=IPv4Address(HERE), local_port=None) as listener:
        port: Any = listener.extra(SocketAttribute.local_port)
        for each in (str(port), Number(port)):
            async with await connect(HERE, each) as stream:
                assert stream.extra(SocketAttribute.remote_port) == port


def test_a_connectable_wants_a_number_too() -> None:
    wrong: Any = "80"
    with pytest.raises(TypeError, match="port must be a number in 1-65535, not '80'"):
        TCPConnectable(HERE, wrong)


PACKETS: list[tuple[Any, str]] = [
    ("text", r"expected an item \(data, \(host, port\)\), not str 'text': for bytes to one peer"),
    (b"data", r"expected an item \(data, \(host, port\)\), not bytes b'data': for bytes to one"),
    (None, r"expected an item \(data, \(host, port\)\), not None"),
    ((b"data", HERE), "and the address in it is '127.0.0.1'"),
    ((b"data", (None, 9)), r"and the address in it is \(None, 9\)"),
    ((b"data", (HERE, "x")), "the port that a datagram goes to must be a number, not str 'x'"),
    (("text", (HERE, 9)), r"takes bytes, not str 'text': send text.encode\(\)$"),
    ((5, (HERE, 9)), "a bytes-like object is required, not 'int'"),
]


@pytest.mark.parametrize(("item", "told"), PACKETS, ids=[told for _, told in PACKETS])
async def test_a_wrong_datagram_is_named_and_the_socket_is_whole(item: Any, told: str) -> None:
    async with await udp(local_host=HERE) as sock:
        own = sock.extra(SocketAttribute.local_address)
        for _ in range(2):
            with pytest.raises(TypeError, match=told):
                await sock.send(item)
            await sock.send((b"data", own))
            assert await sock.receive() == (b"data", own)
        await sock.sendto(b"data", IPv4Address(HERE), own[1])
        assert await sock.receive() == (b"data", own)


async def test_text_to_a_peer_is_told_and_the_socket_is_whole() -> None:
    async with await udp(local_host=HERE) as other:
        port = other.extra(SocketAttribute.local_port)
        async with await connected_udp(HERE, port) as sock:
            with pytest.raises(TypeError, match="takes bytes, not str 'text'"):
                await sock.send("text")
            await sock.send(b"data")
            assert (await other.receive())[0] == b"data"


@pytest.mark.parametrize(
    ("item", "told"),
    [
        ("text", r"expected an item \(data, path\), not str 'text'"),
        (("text", "/nowhere"), "takes bytes, not str 'text'"),
        ((b"data", 5), "the path that a datagram goes to must be a str, not 5"),
    ],
)
async def test_a_wrong_datagram_over_a_unix_socket_is_named(
    item: Any, told: str, tmp_path: Path
) -> None:
    path = str(tmp_path / "socket")
    async with await creche.create_unix_datagram_socket(local_path=path) as sock:
        with pytest.raises(TypeError, match=told):
            await sock.send(item)
        await sock.send((b"data", path))
        assert await sock.receive() == (b"data", path)


async def handle(stream: Any) -> None:
    await stream.aclose()


@pytest.mark.parametrize("kind", ["tcp", "several", "tls"])
async def test_what_cannot_handle_connections_is_refused_before_any_comes(kind: str) -> None:
    async with await creche.create_tcp_listener(local_host=HERE) as both:
        wrap: dict[str, Callable[[], Listener[Any]]] = {
            "tcp": lambda: both.listeners[0],
            "several": lambda: MultiListener([both]),
            "tls": lambda: TLSListener(both, ssl_context=no_context),
        }
        no_context: Any = None
        listener: Any = wrap[kind]()
        with pytest.raises(TypeError, match=r"serve\(\) wants an async function, not int 5"):
            await listener.serve(5)
        with pytest.raises(TypeError, match=r"write serve\(handle, \.\.\.\), not serve\(handle"):
            await listener.serve(handle(None))
