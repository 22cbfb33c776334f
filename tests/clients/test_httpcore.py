"""httpcore's connection pool against a server made of this library's own listeners.

The server counts its connections and can hold its answers back, so that the tests see what the
pool does: reuse, waiting for a free connection, giving up, TLS.
"""

from __future__ import annotations

import ssl
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import anyio
import h11
import httpcore
import pytest
import trustme
from anyio.streams.tls import TLSListener

HOST = "127.0.0.1"
AUTHORITY = trustme.CA()


class Site:
    """An HTTP server of this loop: ``/held`` is answered when `release` is set."""

    def __init__(self) -> None:
        self.connections = 0
        self.release = anyio.Event()
        self.held = 0
        self.waits = anyio.Event()
        self.url = ""

    async def handle(self, stream: Any) -> None:
        self.connections += 1
        async with stream:
            try:
                await self.talk(stream, h11.Connection(h11.SERVER))
            except (anyio.BrokenResourceError, anyio.EndOfStream):
                pass  # the client closed its side

    async def talk(self, stream: Any, connection: h11.Connection) -> None:
        while True:
            event = connection.next_event()
            if event is h11.NEED_DATA:
                connection.receive_data(await stream.receive())
            elif isinstance(event, h11.Request):
                await self.hold(event.target)
                await self.answer(stream, connection, event.target)
            elif isinstance(event, h11.EndOfMessage):
                connection.start_next_cycle()

    async def hold(self, target: bytes) -> None:
        if target == b"/held":
            self.held += 1
            self.waits.set()
            await self.release.wait()

    async def answer(self, stream: Any, connection: h11.Connection, target: bytes) -> None:
        response = h11.Response(status_code=200, headers=[("content-length", str(len(target)))])
        for event in (response, h11.Data(data=target), h11.EndOfMessage()):
            await stream.send(connection.send(event) or b"")


@asynccontextmanager
async def site(*, tls: bool = False) -> AsyncIterator[Site]:
    served = Site()
    listener: Any = await anyio.create_tcp_listener(local_host=HOST)
    port = listener.extra(anyio.abc.SocketAttribute.local_port)
    if tls:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        AUTHORITY.issue_cert(HOST).configure_cert(context)
        listener = TLSListener(listener, context, standard_compatible=False)
    served.url = f"{'https' if tls else 'http'}://{HOST}:{port}"
    async with listener, anyio.create_task_group() as group:
        group.start_soon(listener.serve, served.handle)
        yield served
        group.cancel_scope.cancel()


async def test_a_connection_is_kept_and_used_again() -> None:
    async with site() as served, httpcore.AsyncConnectionPool() as pool:
        for path in ("/a", "/b", "/c"):
            response = await pool.request("GET", served.url + path)
            assert (response.status, response.content) == (200, path.encode())
        assert served.connections == 1
        assert [connection.is_idle() for connection in pool.connections] == [True]


async def test_requests_wait_for_a_free_connection_in_a_small_pool() -> None:
    async def fetch(pool: httpcore.AsyncConnectionPool, url: str) -> None:
        answers.append((await pool.request("GET", url)).content)

    answers: list[bytes] = []
    async with site() as served, httpcore.AsyncConnectionPool(max_connections=2) as pool:
        async with anyio.create_task_group() as group:
            for number in range(20):
                group.start_soon(fetch, pool, f"{served.url}/{number}")
        assert served.connections == 2
    assert sorted(answers) == sorted(b"/%d" % number for number in range(20))


async def test_a_full_pool_times_out_and_frees_what_a_cancelled_request_held() -> None:
    timeout = {"timeout": {"pool": 0.05}}
    async with site() as served, httpcore.AsyncConnectionPool(max_connections=1) as pool:
        async with anyio.create_task_group() as group:
            group.start_soon(pool.request, "GET", f"{served.url}/held")
            await served.waits.wait()
            with pytest.raises(httpcore.PoolTimeout):
                await pool.request("GET", f"{served.url}/late", extensions=timeout)
            group.cancel_scope.cancel()
        response = await pool.request("GET", f"{served.url}/after")
        assert response.content == b"/after"
        assert served.connections == 2


async def test_a_read_that_times_out_is_told_as_such() -> None:
    extensions = {"timeout": {"read": 0.05}}
    async with site() as served, httpcore.AsyncConnectionPool() as pool:
        with pytest.raises(httpcore.ReadTimeout):
            await pool.request("GET", f"{served.url}/held", extensions=extensions)
        assert pool.connections == []
        served.release.set()


async def test_tls_is_spoken_through_a_stream_of_its_own() -> None:
    context = ssl.create_default_context()
    AUTHORITY.configure_trust(context)
    async with site(tls=True) as served, httpcore.AsyncConnectionPool(ssl_context=context) as pool:
        async with pool.stream("GET", f"{served.url}/secret") as response:
            content = b"".join([chunk async for chunk in response.aiter_stream()])
            network = response.extensions["network_stream"]
            assert network.get_extra_info("ssl_object").version().startswith("TLS")
        assert content == b"/secret"
    assert served.connections == 1


async def test_an_idle_connection_is_seen_to_be_gone_by_its_socket() -> None:
    async with httpcore.AsyncConnectionPool() as pool:
        async with site() as served:
            await pool.request("GET", f"{served.url}/a")
            (connection,) = pool.connections
            assert not connection.has_expired()
        with anyio.fail_after(20):
            while not connection.has_expired():  # the peer's end is on its way
                await anyio.sleep(0.001)


class Hello(BaseHTTPRequestHandler):
    """Answers in a thread, and keeps connections open."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "5")
        self.end_headers()
        self.wfile.write(b"hello")

    def log_message(self, *args: object) -> None:
        pass


def test_a_pool_that_outlives_its_event_loop_connects_anew(backend: str) -> None:
    options = {"use_uvloop": True} if backend == "uvloop" else {}
    name = "asyncio" if backend == "uvloop" else backend
    with ThreadingHTTPServer((HOST, 0), Hello) as server:
        threading.Thread(target=server.serve_forever).start()
        url = f"http://{HOST}:{server.server_port}/"
        pool = httpcore.AsyncConnectionPool()

        async def ask() -> bytes:
            with anyio.fail_after(20):
                content: bytes = (await pool.request("GET", url)).content
                return content

        answers = [
            anyio.run(ask, backend=name, backend_options=options),
            anyio.run(ask, backend=name, backend_options=options),
        ]
        anyio.run(pool.aclose, backend=name, backend_options=options)
        server.shutdown()
    assert answers == [b"hello", b"hello"]
