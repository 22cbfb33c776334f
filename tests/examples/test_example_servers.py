"""The examples that are servers, used by programs that are not ours."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import trustme

from creche._registry import names

FOLDER = Path(__file__).parents[2] / "examples"
CURL = shutil.which("curl") or "curl"
BACKENDS = pytest.mark.parametrize("backend_name", names())


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def running(name: str, backend_name: str, **environment: str) -> Iterator[None]:
    """Run an example until the end of the block; it is ready when it has printed a line."""
    command = [sys.executable, "-u", "-m", "creche", "run"]
    with subprocess.Popen(
        [*command, "--backend", backend_name, str(FOLDER / f"{name}.py")],
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as child:
        assert child.stdout is not None
        try:
            assert b"Ctrl-C" in child.stdout.readline()
            yield
        finally:
            child.kill()


def curl(*arguments: str, path: str = "/", port: int, scheme: str = "http") -> tuple[str, str]:
    """Return the status and the body that curl got; it tries again while nobody listens."""
    if shutil.which(CURL) is None:
        pytest.skip("curl is not installed on this machine")
    url = f"{scheme}://localhost:{port}{path}"
    more = ("--silent", "--show-error", "--noproxy", "*", "--max-time", "20")
    patient = ("--retry", "50", "--retry-connrefused", "--retry-delay", "0")
    status = ("--write-out", "\n%{http_code}")
    done = subprocess.run(
        [CURL, *more, *patient, *status, *arguments, url],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    body, _, code = done.stdout.rpartition("\n")
    return code, body


@BACKENDS
def test_curl_can_use_the_http_server(backend_name: str, tmp_path: Path) -> None:
    port = free_port()
    large = tmp_path / "large"
    large.write_bytes(b"x" * 900_000)
    with running("http_server", backend_name, PORT=str(port)):
        assert curl(port=port) == ("200", "<h1>Hello from the nursery</h1>\n")
        assert curl("--head", port=port)[0] == "200"
        assert curl("--data", "hello", path="/echo", port=port) == ("200", "hello")
        sent = curl("--data-binary", f"@{large}", path="/echo", port=port)
        assert sent == ("200", "x" * 900_000)  # with `Expect: 100-continue`
        chunked = ("--header", "Transfer-Encoding: chunked")
        assert curl("--data", "hello", *chunked, path="/echo", port=port) == ("200", "hello")
        assert curl(path="/nowhere", port=port)[0] == "404"
        large.write_bytes(b"x" * 1_100_000)
        assert curl("--data-binary", f"@{large}", path="/echo", port=port)[0] == "413"


@BACKENDS
def test_a_connection_to_the_http_server_is_kept_alive(backend_name: str) -> None:
    port = free_port()
    with running("http_server", backend_name, PORT=str(port)):
        curl(port=port)  # until it listens
        with socket.create_connection(("127.0.0.1", port), timeout=20) as client:
            client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\nGET /no HTTP/1.1\r\nHost: a\r\n\r\n")
            client.sendall(b"nonsense\r\n\r\n")
            with client.makefile("rb") as reader:
                said = reader.read()
    assert [line for line in said.splitlines() if line.startswith(b"HTTP/1.1")] == [
        b"HTTP/1.1 200 OK",
        b"HTTP/1.1 404 Not Found",
        b"HTTP/1.1 400 Bad Request",
    ]


def test_curl_reaches_the_http_server_through_the_tls_proxy(tmp_path: Path) -> None:
    authority = trustme.CA()
    trusted, pem = tmp_path / "ca.pem", tmp_path / "server.pem"
    authority.cert_pem.write_to_path(str(trusted))
    leaf = authority.issue_cert("localhost")
    leaf.private_key_and_cert_chain_pem.write_to_path(str(pem))
    behind, port = free_port(), free_port()
    backend = {"BACKEND": f"127.0.0.1:{behind}", "PORT": str(port), "CERTIFICATE": str(pem)}
    with (
        running("http_server", "asyncio", PORT=str(behind)),
        running("tls_proxy", "trio", **backend),
    ):
        curl(port=behind)  # until it listens
        arguments = ("--cacert", str(trusted), "--data", "hello")
        got = curl(*arguments, path="/echo", port=port, scheme="https")
        assert got == ("200", "hello")
