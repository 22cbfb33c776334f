"""The files of UNIX sockets: their mode, when they are removed, and whose they are."""

from __future__ import annotations

import errno
import os
import socket
import stat
from pathlib import Path
from typing import Any

import pytest
from _paths import abstract_name, folder, path

from creche import (
    connect_unix,
    create_connected_unix_datagram_socket,
    create_unix_datagram_socket,
    create_unix_listener,
)
from creche.abc import AsyncResource, SocketListener

__all__ = ["folder", "path"]


async def listener(path: Any, mode: int | None = None) -> AsyncResource:
    return await create_unix_listener(path, mode=mode)


async def packets(path: Any, mode: int | None = None) -> AsyncResource:
    return await create_unix_listener(path, mode=mode, kind=socket.SOCK_SEQPACKET)


async def datagrams(path: Any, mode: int | None = None) -> AsyncResource:
    return await create_unix_datagram_socket(local_path=path, local_mode=mode)


async def connected(path: Any, mode: int | None = None) -> AsyncResource:
    name = abstract_name()
    async with await create_unix_datagram_socket(local_path=name):
        return await create_connected_unix_datagram_socket(name, local_path=path, local_mode=mode)


each_socket = pytest.mark.parametrize("create", [listener, packets, datagrams, connected])


def live_socket(path: Path, kind: socket.SocketKind) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX, kind)
    sock.bind(str(path))
    if kind != socket.SOCK_DGRAM:
        sock.listen()
    return sock


@each_socket
async def test_the_file_is_there_while_the_socket_is(path: Path, create: Any) -> None:
    async with await create(path):
        assert path.is_socket()
    assert not path.exists()


@each_socket
async def test_the_mode_is_that_of_the_file(path: Path, create: Any) -> None:
    umask = os.umask(0o077)
    try:
        for mode in (0o600, 0o666):
            async with await create(path, mode):
                assert stat.S_IMODE(path.stat().st_mode) == mode
    finally:
        os.umask(umask)


async def test_the_file_never_has_more_permissions_than_its_mode(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before: list[int] = []
    chmod = os.chmod

    def look_first(target: Any, mode: int) -> None:
        before.append(stat.S_IMODE(os.stat(target).st_mode))
        chmod(target, mode)

    monkeypatch.setattr(os, "chmod", look_first)
    async with await create_unix_datagram_socket(local_path=path, local_mode=0o600):
        assert len(before) == 1
        assert before[0] & 0o077 == 0


@each_socket
async def test_a_mode_that_cannot_be_set_leaves_no_file(
    path: Path, create: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(target: Any, mode: int) -> None:
        raise PermissionError(errno.EPERM, "no")

    monkeypatch.setattr(os, "chmod", refuse)
    with pytest.raises(PermissionError):
        await create(path, 0o600)
    assert not path.exists()


@each_socket
async def test_a_socket_file_that_was_left_behind_is_replaced(path: Path, create: Any) -> None:
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        live_socket(path, kind).close()
        assert path.is_socket()
        async with await create(path):
            pass
        assert not path.exists()


@each_socket
@pytest.mark.parametrize(
    "kind", [socket.SOCK_STREAM, socket.SOCK_SEQPACKET, socket.SOCK_DGRAM], ids=lambda k: k.name
)
async def test_a_path_where_a_socket_answers_is_in_use(
    path: Path, create: Any, kind: socket.SocketKind
) -> None:
    with live_socket(path, kind):
        inode = path.stat().st_ino
        with pytest.raises(OSError, match=f"binding to '{path}'") as caught:
            await create(path)
        assert caught.value.errno == errno.EADDRINUSE
        assert path.stat().st_ino == inode


async def test_a_busy_server_that_cannot_be_connected_to_keeps_its_path(path: Path) -> None:
    with live_socket(path, socket.SOCK_STREAM) as server, socket.socket(socket.AF_UNIX) as first:
        server.listen(0)
        first.connect(str(path))
        with pytest.raises(OSError, match="in use") as caught:
            await create_unix_listener(path)
        assert caught.value.errno == errno.EADDRINUSE


@each_socket
async def test_a_file_that_is_no_socket_is_not_touched(path: Path, create: Any) -> None:
    path.write_text("precious")
    with pytest.raises(OSError, match="in use") as caught:
        await create(path)
    assert caught.value.errno == errno.EADDRINUSE
    assert path.read_text() == "precious"


@each_socket
async def test_a_file_that_has_taken_the_place_of_ours_is_not_removed(
    path: Path, create: Any
) -> None:
    async with await create(path):
        path.unlink()
        path.write_text("precious")
    assert path.read_text() == "precious"
    path.unlink()
    async with await create(path):
        path.unlink()
        stranger = live_socket(path, socket.SOCK_STREAM)
    with stranger:
        assert path.is_socket()


@each_socket
async def test_a_file_that_is_gone_already_is_no_error(path: Path, create: Any) -> None:
    async with await create(path):
        path.unlink()


@each_socket
async def test_a_second_close_does_not_remove_the_file_of_another(path: Path, create: Any) -> None:
    first = await create(path)
    await first.aclose()
    async with await create(path):
        await first.aclose()
        assert path.is_socket()


async def test_a_relative_path_is_removed_also_from_another_directory(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    sock = await create_unix_listener("socket")
    await (await connect_unix("socket")).aclose()
    monkeypatch.chdir("/")
    await sock.aclose()
    assert not (folder / "socket").exists()


async def test_a_directory_that_does_not_exist_is_an_error_that_names_the_path(
    folder: Path,
) -> None:
    with pytest.raises(FileNotFoundError, match="nowhere/socket"):
        await create_unix_listener(folder / "nowhere" / "socket")


@each_socket
async def test_an_abstract_address_has_no_mode(create: Any) -> None:
    with pytest.raises(ValueError, match="abstract"):
        await create(abstract_name(), 0o600)


async def test_a_mode_needs_a_path() -> None:
    with pytest.raises(ValueError, match="local_path"):
        await create_unix_datagram_socket(local_mode=0o600)


async def test_the_file_of_an_adopted_socket_stays(path: Path) -> None:
    sock = live_socket(path, socket.SOCK_STREAM)
    async with await SocketListener.from_socket(sock):
        async with await connect_unix(path):
            pass
    assert path.is_socket()
