"""The other end is a program that is not ours: bash and Python's own, and where the machine has them
curl, nc and socat.

Those of `SURE` are used on every machine, so no test is without a peer.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from _ends import LOOPBACK, free_port, receive_all
from _paths import folder as folder
from _paths import path as path

from creche import (
    connect_tcp,
    connect_unix,
    create_task_group,
    create_tcp_listener,
    create_udp_socket,
    create_unix_listener,
    sleep,
    to_thread,
)
from creche.abc import SocketAttribute, SocketStream
from creche.streams.buffered import BufferedByteStream

SURE = {"bash", sys.executable}
GREETING = b"who is there?\n"


def present(**commands: list[str]) -> pytest.MarkDecorator:
    """Run a test with each of these programs that this machine has."""
    there = {
        name: command
        for name, command in commands.items()
        if command[0] in SURE or shutil.which(command[0])
    }
    return pytest.mark.parametrize("command", there.values(), ids=there)


def filled_in(command: list[str], **words: object) -> list[str]:
    return [each.format(**words) for each in command]


@contextmanager
def running(command: list[str]) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program; it is killed at the end of the block."""
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        bufsize=0,
    ) as child:
        try:
            yield child
        finally:
            child.kill()


def say(command: list[str], line: bytes, lines: int) -> bytes:
    """Run a program, write it a line, and return so many lines of what it prints."""
    with running(command) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdin.write(line)
        return b"".join(child.stdout.readline() for _ in range(lines))


async def converse(stream: SocketStream) -> None:
    """Ask for a name, and greet."""
    async with BufferedByteStream(stream) as lines:
        await lines.send(GREETING)
        name = await lines.receive_until(b"\n", 100)
        await lines.send(b"welcome, " + name.strip().upper() + b"\n")


PYTHON_TCP = """
import socket, sys
with socket.create_connection(("127.0.0.1", {port})) as there, there.makefile("rb") as lines:
    there.sendall(sys.stdin.buffer.readline())
    for line in lines:
        sys.stdout.buffer.write(line)
"""
PYTHON_HTTP = """
import http.client, socket
there = http.client.HTTPConnection("there")
there.sock = socket.socket(socket.AF_UNIX)
there.sock.connect("{path}")
there.request("GET", "/hello")
print(there.getresponse().read().decode(), end="")
"""


@present(
    python=[sys.executable, "-c", PYTHON_TCP],
    curl=["curl", "--silent", "--no-buffer", "--noproxy", "*", "telnet://127.0.0.1:{port}"],
    nc=["nc", "127.0.0.1", "{port}"],
    socat=["socat", "-", "TCP:127.0.0.1:{port}"],
)
async def test_a_program_is_answered_by_our_server(command: list[str]) -> None:
    async with await create_tcp_listener(local_host=LOOPBACK) as listener:
        async with create_task_group() as group:
            group.start_soon(listener.serve, converse)
            ready = filled_in(command, port=listener.extra(SocketAttribute.local_port))
            said = await to_thread.run_sync(say, ready, b"a program\n", 2)
            group.cancel()
    assert said == GREETING + b"welcome, A PROGRAM\n"


async def answer_http(stream: SocketStream) -> None:
    async with BufferedByteStream(stream) as lines:
        request = await lines.receive_until(b"\r\n\r\n", 1000)
        path = request.split()[1]
        await lines.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (len(path) + 1))
        await lines.send(path + b"\n")


@present(
    python=[sys.executable, "-c", PYTHON_HTTP],
    curl=["curl", "--silent", "--noproxy", "*", "--unix-socket", "{path}", "http://there/hello"],
    socat=["socat", "-", "UNIX-CONNECT:{path}"],
)
async def test_a_program_is_answered_over_a_unix_socket(command: list[str], path: Path) -> None:
    async with await create_unix_listener(path) as listener:
        async with create_task_group() as group:
            http = command[0] != "socat"
            group.start_soon(listener.serve, answer_http if http else converse)
            ready = filled_in(command, path=path)
            said = await to_thread.run_sync(say, ready, b"a program\n", 1 if http else 2)
            group.cancel()
    assert said == (b"/hello\n" if http else GREETING + b"welcome, A PROGRAM\n")


BASH_UDP = "exec 3<>/dev/udp/127.0.0.1/{port}; read -r line; echo $line >&3; dd bs=999 count=1 <&3"


@present(
    bash=["bash", "-c", BASH_UDP + " 2>/dev/null"],
    nc=["nc", "-u", "127.0.0.1", "{port}"],
    socat=["socat", "-", "UDP:127.0.0.1:{port}"],
)
async def test_a_program_is_answered_with_a_datagram(command: list[str]) -> None:
    async with await create_udp_socket(local_host=LOOPBACK) as sock:

        async def answer() -> None:
            data, address = await sock.receive()
            await sock.send((data.upper(), address))

        ready = filled_in(command, port=sock.extra(SocketAttribute.local_port))
        async with create_task_group() as group:
            group.start_soon(answer)
            assert await to_thread.run_sync(say, ready, b"a datagram\n", 1) == b"A DATAGRAM\n"


async def arrived(
    connect: Callable[[], Awaitable[SocketStream]], child: subprocess.Popen[bytes]
) -> SocketStream:
    """Connect as soon as a program that was just started listens."""
    while True:
        assert child.poll() is None
        try:
            return await connect()
        except OSError:
            await sleep(0.01)


@present(
    python=[sys.executable, "-m", "http.server", "--bind", "127.0.0.1", "--directory", "{folder}",
            "{port}"],
    socat=["socat", "TCP-LISTEN:{port},bind=127.0.0.1",
           "SYSTEM:head -n 1 >/dev/null; cat {folder}/answer"],
)  # fmt: skip
async def test_a_program_answers_our_client(command: list[str], folder: Path) -> None:
    page = bytes(range(256)) * 4000
    (folder / "page").write_bytes(page)
    (folder / "answer").write_bytes(b"HTTP/1.0 200 OK\r\n\r\n" + page)
    port = free_port()
    with running(filled_in(command, port=port, folder=folder)) as child:
        async with await arrived(lambda: connect_tcp(LOOPBACK, port), child) as stream:
            await stream.send(b"GET /page HTTP/1.0\r\n\r\n")
            answer = await receive_all(stream)
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.split()[1] == b"200"
    assert body == page


PYTHON_UNIX = """
import socketserver, sys
class Shout(socketserver.StreamRequestHandler):
    def handle(self):
        self.wfile.write(self.rfile.readline().upper())
socketserver.UnixStreamServer(sys.argv[1], Shout).handle_request()
"""


@present(
    python=[sys.executable, "-c", PYTHON_UNIX, "{path}"],
    socat=["socat", "UNIX-LISTEN:{path}", "SYSTEM:read line; echo $line | tr a-z A-Z"],
)
async def test_a_program_answers_over_a_unix_socket(command: list[str], path: Path) -> None:
    with running(filled_in(command, path=path)) as child:
        async with await arrived(lambda: connect_unix(path), child) as stream:
            await stream.send(b"hello\n")
            assert await receive_all(stream) == b"HELLO\n"
