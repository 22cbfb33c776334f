"""Serves the built site to a browser in the same machine, with Pyodide beside it."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any


class Handler(SimpleHTTPRequestHandler):
    """Serves `site/`, what lies elsewhere, and what the test says; unknown addresses get the site's own 404 page."""

    extensions_map = {  # the base class reads it so
        **SimpleHTTPRequestHandler.extensions_map,
        ".mjs": "text/javascript",
        ".wasm": "application/wasm",
    }

    def __init__(
        self, request: Any, client: Any, server: Any, *, site: Path, pyodide: Path | None
    ) -> None:
        self._pyodide = pyodide
        super().__init__(request, client, server, directory=str(site))

    def translate_path(self, path: str) -> str:
        if path.startswith("/pyodide/") and self._pyodide is not None:
            return str(self._pyodide / path.removeprefix("/pyodide/").partition("?")[0])
        return super().translate_path(path)

    def do_GET(self) -> None:
        if self.path == "/assets/run.json":
            body = json.dumps({"pyodide": "/pyodide/"}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
        else:
            super().do_GET()

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        page = Path(self.directory) / "404.html"
        if code != 404 or not page.exists():
            super().send_error(code, message, explain)
            return
        body = page.read_bytes()
        self.send_response(404)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_args: object) -> None:
        """Say nothing."""


@contextmanager
def serving(site: Path, pyodide: Path | None = None) -> Iterator[str]:
    """Serve until the end of the block; give the address."""
    handler = partial(Handler, site=site, pyodide=pyodide)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, name="site")
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()
            thread.join()
