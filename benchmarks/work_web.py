"""The work of web frameworks: what a request costs on AnyIO, and on Creche in AnyIO's place.

One process for each library, both alive at once and asked in turns; each answers with the seconds
that it took (`web_probe` is what they run). Applications are called without a socket, one row has
uvicorn and a plain client on a connection that is kept, one has httpx and a plain server. The
plain ends are here, in the parent, so that they cost both sides the same. Figures are µs a request.
"""

from __future__ import annotations

import random
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from time import perf_counter
from typing import TypeAlias

from .model import ANYIO, BACKENDS, Backend, Settings, SpecialRow, Target
from .special import portable_names

HOST = "127.0.0.1"
SEED = 5
SAMPLE_TIMES = 5  # a request costs more than most operations: longer samples
REQUEST = b"GET / HTTP/1.1\r\nhost: 127.0.0.1\r\naccept: */*\r\n\r\n"
RESPONSE = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-type: text/plain\r\n\r\nhello"

Ask: TypeAlias = Callable[[int], float]  # a number of requests, to the seconds that they took


# ── The processes ─────────────────────────────────────────────────────────────────────────────────


@contextmanager
def probe(
    module: str,
    backend: Backend,
    kind: str,
    url: str = "",
    environment: Mapping[str, str] | None = None,
) -> Iterator[tuple[str, Ask]]:
    """Keep a process that answers; what it said first comes with the way to ask it."""
    command = [sys.executable, "-m", f"{__package__}.web_probe", module, backend, kind, url]
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        bufsize=1,
        env=environment,
    ) as child:
        assert child.stdin
        assert child.stdout
        to, answers = child.stdin, child.stdout

        def ask(n: int) -> float:
            to.write(f"{n}\n")
            return float(answers.readline())

        try:
            first = answers.readline().strip()
            if not first:
                raise RuntimeError(f"the process of {module} for {kind} did not start")
            yield first, ask
        finally:
            to.close()
            child.wait()


@contextmanager
def asking(module: str, backend: Backend, kind: str) -> Iterator[Ask]:
    with probe(module, backend, kind) as (_, ask):
        yield ask


@contextmanager
def asking_uvicorn(module: str, backend: Backend, kind: str) -> Iterator[Ask]:
    with probe(module, backend, kind) as (port, _):
        with socket.create_connection((HOST, int(port))) as sock:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            yield partial(requests_on, sock)


def requests_on(sock: socket.socket, n: int) -> float:
    began = perf_counter()
    for _ in range(n):
        sock.sendall(REQUEST)
        received = b""
        while not received.endswith(b"}"):  # the end of the JSON, in a packet of its own or not
            received += sock.recv(65536)
    return perf_counter() - began


@contextmanager
def asking_httpx(module: str, backend: Backend, kind: str) -> Iterator[Ask]:
    with socket.create_server((HOST, 0)) as listener:
        thread = threading.Thread(target=answer_one_client, args=(listener,), daemon=True)
        thread.start()
        url = f"http://{HOST}:{listener.getsockname()[1]}/"
        with probe(module, backend, kind, url) as (_, ask):
            yield ask
        thread.join()


def answer_one_client(listener: socket.socket) -> None:
    sock, _ = listener.accept()
    with sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        received = b""
        while data := sock.recv(65536):
            received += data
            if received.endswith(b"\r\n\r\n"):
                sock.sendall(RESPONSE)
                received = b""


# ── The rows ──────────────────────────────────────────────────────────────────────────────────────

WAYS = {"uvicorn": asking_uvicorn, "httpx": asking_httpx}


def requests(kind: str, backend: Backend, settings: Settings) -> dict[str, list[float]]:
    """Measure both libraries in turns, in rounds of equal numbers of requests."""
    way, order = WAYS.get(kind, asking), random.Random(SEED)
    with ExitStack() as stack:
        asks = {
            label: stack.enter_context(way(module, backend, kind))
            for label, module in portable_names(settings).items()
        }
        for ask in asks.values():
            ask(50)
        seconds = max(ask(50) for ask in asks.values())
        n = max(20, round(50 * settings.sample_seconds * SAMPLE_TIMES / seconds))
        figures: dict[str, list[float]] = {label: [] for label in asks}
        for _ in range(settings.rounds):
            turn = list(asks)
            order.shuffle(turn)
            for label in turn:
                figures[label].append(asks[label](n) / n * 1e6)
        return figures


def row(kind: str, title: str, at_most: float, backends: tuple[Backend, ...]) -> SpecialRow:
    return SpecialRow(
        key=f"web-{kind}",
        title=title,
        measure=partial(requests, kind),
        backends=backends,
        targets=(Target(ANYIO, at_most, backends),),
    )


LOOPS: tuple[Backend, ...] = ("asyncio", "uvloop")
FASTER = 0.83  # 1.2 times the requests in a second

ROWS = (
    row("starlette-middleware", "Starlette, one BaseHTTPMiddleware", FASTER, BACKENDS),
    row("fastapi-middleware", "FastAPI, one BaseHTTPMiddleware", FASTER, BACKENDS),
    row("starlette-sync", "Starlette, sync endpoint", FASTER, BACKENDS),
    row("fastapi-sync", "FastAPI, sync endpoint", FASTER, BACKENDS),
    row("starlette-stream", "Starlette, streaming response, 20 chunks", 1.0, BACKENDS),
    row("uvicorn", "Starlette with middleware under uvicorn", 1.0, LOOPS),
    row("httpx", "httpx to a local server", 1.0, BACKENDS),
)
