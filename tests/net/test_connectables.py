"""Connectables: what counts as one, what it connects to, and what it raises when it cannot."""

from __future__ import annotations

import os
import ssl
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from _ends import LOOPBACK, accept, free_port
from _paths import folder, path

from creche import (
    ConnectionFailed,
    TCPConnectable,
    UNIXConnectable,
    as_connectable,
    connect_unix,
    create_tcp_listener,
    create_unix_listener,
)
from creche.abc import ByteStream, ByteStreamConnectable, SocketAttribute, UNIXSocketStream
from creche.streams.tls import TLSConnectable

__all__ = ["folder", "path"]


@pytest.mark.parametrize("host", [LOOPBACK, ip_address(LOOPBACK)])
async def test_a_tcp_connectable_connects_as_often_as_it_is_asked(host: Any) -> None:
    async with await create_tcp_listener(local_host=LOOPBACK) as listener:
        connectable = TCPConnectable(host, listener.extra(SocketAttribute.local_port))
        for _ in range(2):
            async with await connectable.connect() as client, await accept(listener) as server:
                await client.send(b"hello")
                assert await server.receive() == b"hello"


@pytest.mark.parametrize("form", [str, bytes, Path], ids=["str", "bytes", "Path"])
async def test_a_unix_connectable_connects(path: Path, form: Any) -> None:
    async with await create_unix_listener(path) as listener:
        async with (
            await UNIXConnectable(form(path)).connect() as client,
            await listener.accept() as server,
        ):
            assert isinstance(client, UNIXSocketStream)
            await client.send(b"hello")
            assert await server.receive() == b"hello"


async def test_failures_are_of_one_type_with_the_system_s_as_the_cause(path: Path) -> None:
    cases: list[tuple[Any, type[OSError]]] = [
        (TCPConnectable(LOOPBACK, free_port()), ConnectionRefusedError),
        (TCPConnectable("no-such-host.invalid", 9), OSError),
        (UNIXConnectable(path), FileNotFoundError),
        (UNIXConnectable(str(path) + "x" * 150), OSError),
    ]
    for connectable, cause in cases:
        with pytest.raises(ConnectionFailed) as caught:
            await connectable.connect()
        assert isinstance(caught.value.__cause__, cause)


@pytest.mark.parametrize("port", [0, -1, 65536])
def test_a_port_that_cannot_be_connected_to_is_refused(port: int) -> None:
    with pytest.raises(ValueError, match="TCP port number out of range"):
        TCPConnectable(LOOPBACK, port)
    with pytest.raises(ValueError, match="TCP port number out of range"):
        as_connectable((LOOPBACK, port))


def test_connectables_are_compared_and_shown_by_what_they_connect_to() -> None:
    assert TCPConnectable("host", 80) == TCPConnectable("host", 80) != TCPConnectable("host", 81)
    assert UNIXConnectable("/a") == UNIXConnectable("/a") != UNIXConnectable(b"/a")
    assert repr(TCPConnectable("host", 80)) == "TCPConnectable(host='host', port=80)"
    assert repr(UNIXConnectable("/a")) == "UNIXConnectable(path='/a')"


@pytest.mark.parametrize(
    ("remote", "expected"),
    [
        (("host", 80), TCPConnectable("host", 80)),
        ((ip_address("::1"), 80), TCPConnectable(ip_address("::1"), 80)),
        ("/a/path", UNIXConnectable("/a/path")),
        (b"/a/path", UNIXConnectable(b"/a/path")),
        (Path("/a/path"), UNIXConnectable(Path("/a/path"))),
    ],
)
def test_a_host_and_port_or_a_path_becomes_a_connectable(remote: Any, expected: Any) -> None:
    found = as_connectable(remote)
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    "remote", [3, None, ("host",), ("host", 1, 2), ("host", "80"), ["host", 80], object()]
)
def test_anything_else_is_refused(remote: Any) -> None:
    with pytest.raises(TypeError, match=r"cannot convert .* to a connectable"):
        as_connectable(remote)


async def test_a_connectable_is_returned_as_it_is(path: Path) -> None:
    class Own(ByteStreamConnectable):
        async def connect(self) -> ByteStream:
            return await connect_unix(path)

    own = Own()
    assert as_connectable(own) is own
    assert as_connectable(own, tls=True) is own
    async with await create_unix_listener(path):
        async with await as_connectable(own).connect() as stream:
            assert os.fspath(path) == stream.extra(SocketAttribute.remote_address)


def test_tls_is_spoken_with_the_host_or_the_name_that_is_given() -> None:
    context = ssl.create_default_context()
    cases: list[tuple[Any, str | None, str | None]] = [
        (("host", 443), None, "host"),
        (("host", 443), "name", "name"),
        ((ip_address("::1"), 443), None, "::1"),
        ("/a/path", None, None),
        ("/a/path", "name", "name"),
    ]
    for remote, given, expected in cases:
        found = as_connectable(
            remote,
            tls=True,
            ssl_context=context,
            tls_hostname=given,
            tls_standard_compatible=False,
        )
        assert isinstance(found, TLSConnectable)
        assert found.connectable == as_connectable(remote)
        assert found.hostname == expected
        assert found.ssl_context is context
        assert not found.standard_compatible
