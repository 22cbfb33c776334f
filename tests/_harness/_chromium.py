"""A real browser for tests: headless Chromium, driven over its DevTools protocol through two pipes.

Owns the process, its profile and the exchange. Knows no page. Needs no package and no port: Chromium reads
commands on its descriptor 3 and writes what happens on 4, as JSON that ends with a zero byte.
"""

from __future__ import annotations

import base64
import fcntl
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--disable-dev-shm-usage", "--hide-scrollbars", "--force-color-profile=srgb", "--remote-debugging-pipe",
)  # fmt: skip
LAUNCH = """
import os, sys
reads, writes, *command = sys.argv[1:]
os.dup2(int(reads), 3)
os.dup2(int(writes), 4)
os.execvp(command[0], command)
"""
TWO_FRAMES = (
    "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(1))))"
)
PATIENCE = 60.0
"""Seconds for anything that a test waits for: the machine may be busy."""


def find_chromium() -> str | None:
    """Return the path of a Chromium, None if there is none. `CRECHE_CHROMIUM` names one."""
    named = os.environ.get("CRECHE_CHROMIUM")
    return named or next((path for name in NAMES if (path := shutil.which(name))), None)


@contextmanager
def started(profile: Path) -> Iterator[Browser]:
    """Run a browser until the end of the block, for a test that needs one."""
    executable = find_chromium()
    if executable is None:
        pytest.fail(
            "no Chromium was found: install it (Debian's package is chromium), or set CRECHE_CHROMIUM"
        )
    with Browser(executable, profile) as browser:
        yield browser


class Browser:
    """One browser process."""

    def __init__(self, executable: str, profile: Path) -> None:
        reads, self._writes = _high_pipe()
        self._reads, writes = _high_pipe()
        self._process = subprocess.Popen(
            [sys.executable, "-c", LAUNCH, str(reads), str(writes), executable, *FLAGS,
             f"--user-data-dir={profile}", "about:blank"],
            pass_fds=(reads, writes), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        os.close(reads)
        os.close(writes)
        self._buffer = bytearray()
        self._number = 0
        self.events: list[dict[str, Any]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None:
        os.close(self._writes)
        os.close(self._reads)
        try:
            os.killpg(self._process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self._process.wait()

    def command(self, method: str, session: str | None = None, **params: Any) -> dict[str, Any]:
        """Have the browser do something; return its answer."""
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": params}
        if session is not None:
            message["sessionId"] = session
        os.write(self._writes, json.dumps(message).encode() + b"\0")
        until = time.monotonic() + PATIENCE
        while True:
            answer = self._next(until)
            if answer.get("id") == self._number:
                assert "error" not in answer, (method, answer["error"])
                result: dict[str, Any] = answer["result"]
                return result
            self.events.append(answer)

    def _next(self, until: float) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._reads], [], [], max(until - time.monotonic(), 0))
            assert ready, "the browser does not answer"
            part = os.read(self._reads, 1 << 20)
            assert part, "the browser has ended"
            self._buffer += part
        line, _, rest = self._buffer.partition(b"\0")
        self._buffer = bytearray(rest)
        message: dict[str, Any] = json.loads(line)
        return message

    def open(self, url: str, *, size: tuple[int, int] = (1600, 1000), dark: bool = False) -> Tab:
        """Open a page in a context of its own: nothing is shared with other tabs."""
        context = self.command("Target.createBrowserContext")["browserContextId"]
        target = self.command("Target.createTarget", url="about:blank", browserContextId=context)
        tab = Tab(self, target["targetId"])
        tab.resize(*size)
        tab.be_dark(dark)
        tab.go(url)
        return tab


class Tab:
    """One page."""

    def __init__(self, browser: Browser, target: str) -> None:
        self._browser = browser
        attached = browser.command("Target.attachToTarget", targetId=target, flatten=True)
        self._session: str = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.do(f"{domain}.enable")

    def do(self, method: str, **params: Any) -> dict[str, Any]:
        return self._browser.command(method, self._session, **params)

    def go(self, url: str) -> None:
        self.do("Page.navigate", url=url)

    def resize(self, width: int, height: int) -> None:
        self.do("Emulation.setDeviceMetricsOverride", width=width, height=height,
                deviceScaleFactor=1, mobile=False)  # fmt: skip

    def be_dark(self, dark: bool) -> None:
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.do("Emulation.setEmulatedMedia", features=[scheme])

    def evaluate(self, expression: str) -> Any:
        """Return the value of an expression of JavaScript; a promise is awaited."""
        answer = self.do("Runtime.evaluate", expression=expression, returnByValue=True,
                         awaitPromise=True)  # fmt: skip
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def wait_for(self, expression: str) -> Any:
        """Wait until an expression is true; return its value."""
        until = time.monotonic() + PATIENCE
        while True:
            value = self.evaluate(expression)
            if value:
                return value
            assert time.monotonic() < until, f"never true: {expression}\n{self.text()}"
            time.sleep(0.03)

    def wait_for_text(self, text: str, selector: str = "body") -> None:
        """Wait until an element shows a text."""
        self.wait_for(f"document.querySelector({json.dumps(selector)})?.innerText"
                      f".includes({json.dumps(text)})")  # fmt: skip

    def text(self, selector: str = "body") -> str:
        return str(
            self.evaluate(f"document.querySelector({json.dumps(selector)})?.innerText ?? ''")
        )

    def press(self, key: str) -> None:
        """Press and release one key, as a person does, and see what it does: `a`, `ArrowDown`, `Escape`."""
        text = {"text": key} if len(key) == 1 else {"text": "\r"} if key == "Enter" else {}
        code = {"ArrowDown": 40, "ArrowUp": 38, "ArrowLeft": 37, "ArrowRight": 39, "Enter": 13,
                "Escape": 27, "Tab": 9, "Home": 36, "End": 35}.get(key, ord(key.upper()[0]))  # fmt: skip
        self.do(
            "Input.dispatchKeyEvent", type="keyDown", key=key, windowsVirtualKeyCode=code, **text
        )
        self.do("Input.dispatchKeyEvent", type="keyUp", key=key, windowsVirtualKeyCode=code)
        self.evaluate(TWO_FRAMES)

    def type(self, text: str) -> None:
        for key in text:
            self.press(key)

    def complaints(self) -> list[str]:
        """Return what the console has: errors of scripts, what the policy has stopped, failed loads."""
        self.evaluate("1")
        found: list[str] = []
        for event in self._browser.events:
            if event.get("sessionId") != self._session:
                continue
            if event["method"] == "Runtime.exceptionThrown":
                found.append(str(event["params"]["exceptionDetails"]))
            elif event["method"] == "Log.entryAdded":
                found.append(str(event["params"]["entry"]["text"]))
        return found

    def requests(self) -> list[str]:
        """Return the addresses of all that the page has asked for."""
        self.evaluate("1")
        return [event["params"]["request"]["url"] for event in self._browser.events
                if event.get("sessionId") == self._session
                and event["method"] == "Network.requestWillBeSent"]  # fmt: skip

    def picture(self, path: Path) -> None:
        data = self.do("Page.captureScreenshot", format="png")["data"]
        path.write_bytes(base64.b64decode(data))


def _high_pipe() -> tuple[int, int]:
    """Make a pipe whose ends are not among the numbers that the browser wants."""
    ends = os.pipe()
    reads, writes = (fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10) for end in ends)
    for end in ends:
        os.close(end)
    return reads, writes
