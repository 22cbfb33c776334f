"""What type checkers know of datagram sockets, UNIX sockets and connectables.

Each ignored error has to be there: an ignore that nothing needs is an error itself.
"""

from __future__ import annotations

from pathlib import Path
from socket import SocketKind, socket
from typing import assert_type

from creche import (
    TCPConnectable,
    UNIXConnectable,
    as_connectable,
    connect_unix,
    create_connected_udp_socket,
    create_connected_unix_datagram_socket,
    create_udp_socket,
    create_unix_datagram_socket,
    create_unix_listener,
)
from creche.abc import (
    ByteStreamConnectable,
    ConnectedUDPSocket,
    ConnectedUNIXDatagramSocket,
    SocketListener,
    SocketStream,
    UDPPacketType,
    UDPSocket,
    UNIXDatagramPacketType,
    UNIXDatagramSocket,
    UNIXSocketStream,
    UnreliableObjectStream,
)


async def datagrams() -> None:
    async with await create_udp_socket(local_host="127.0.0.1") as udp:
        assert_type(udp, UDPSocket)
        assert_type(await udp.receive(), tuple[bytes, tuple[str, int]])
        objects: UnreliableObjectStream[UDPPacketType] = udp
        await objects.send((b"x", ("127.0.0.1", 9)))
        await udp.send(b"x")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    async with await create_connected_udp_socket("127.0.0.1", 9) as connected:
        assert_type(connected, ConnectedUDPSocket)
        assert_type(await connected.receive(), bytes)


async def unix_datagrams(path: Path) -> None:
    async with await create_unix_datagram_socket(local_path=path) as sock:
        assert_type(sock, UNIXDatagramSocket)
        assert_type(await sock.receive(), tuple[bytes, str])
        objects: UnreliableObjectStream[UNIXDatagramPacketType] = sock
        await objects.send((b"x", "path"))
    async with await create_connected_unix_datagram_socket(bytes(path)) as connected:
        assert_type(connected, ConnectedUNIXDatagramSocket)
        assert_type(await connected.receive(), bytes)


async def unix_streams(path: Path) -> None:
    async with await create_unix_listener(path, kind=SocketKind.SOCK_SEQPACKET) as listener:
        assert_type(listener, SocketListener)
        assert_type(await listener.accept(), SocketStream)
    async with await connect_unix(path) as stream:
        assert_type(stream, UNIXSocketStream)
        assert_type(await stream.receive_fds(1, 1), tuple[bytes, list[int]])
        with path.open() as file:
            await stream.send_fds(b"x", [1])
            await stream.send_fds(b"x", [file.fileno()])
    await connect_unix(path, SocketKind.SOCK_DGRAM)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


async def adopted(sock: socket) -> None:
    assert_type(await UDPSocket.from_socket(sock), UDPSocket)
    assert_type(await ConnectedUDPSocket.from_socket(3), ConnectedUDPSocket)
    assert_type(await UNIXSocketStream.from_socket(sock), UNIXSocketStream)


async def connectables() -> None:
    assert_type(await TCPConnectable("localhost", 80).connect(), SocketStream)
    assert_type(await UNIXConnectable("/path").connect(), UNIXSocketStream)
    assert_type(as_connectable(("localhost", 80)), ByteStreamConnectable)
    as_connectable(3)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
