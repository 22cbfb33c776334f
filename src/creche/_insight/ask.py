"""The viewer's end: finds the programs that can be asked, and asks them.

Owns the connection to one target, and the ways in: its socket, or `sys.remote_exec` of CPython 3.14 for
a program that has none. Knows nothing of what is shown.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .answer import folder
from .model import Snapshot, from_dict
from .protocol import HEAD, length_of, pack_request
from .wake import wake

PATIENCE = 10.0
"""Seconds that a target has to answer."""
IDLE = 0.2
"""Seconds after which a target that has not run what was sent to it waits for events: it is woken once."""


class TargetError(Exception):
    """A program cannot be asked; the message says why, and what can be done."""


class Target:
    """A connection to a program."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock

    def ask(self, do: str, **options: Any) -> Any:
        """Ask for something.

        :raises TargetError: the program does not answer, or answers that it cannot
        """
        try:
            self._sock.sendall(pack_request(do, **options))
            answer = self._receive(length_of(self._receive(HEAD)))
        except TimeoutError:
            raise TargetError(
                f"the program does not answer within {PATIENCE:g} s: it is stopped, or in a long "
                f"call that keeps Python's lock"
            ) from None
        except (OSError, EOFError, ValueError):
            raise TargetError("the program has ended, or has closed the connection") from None
        data: Any = json.loads(answer)
        if "error" in data:
            raise TargetError(data["error"])
        return data

    def snapshot(self, *, stacks: bool = False) -> Snapshot:
        """Ask for a snapshot."""
        return from_dict(self.ask("snapshot", stacks=stacks))

    def _receive(self, size: int) -> bytes:
        data = bytearray()
        while len(data) < size:
            part = self._sock.recv(min(size - len(data), 1 << 20))
            if not part:
                raise EOFError
            data += part
        return bytes(data)


@contextmanager
def connect(pid: int) -> Generator[Target]:
    """Connect to the program that has a process number.

    :raises TargetError: it cannot be asked
    """
    _check_system()
    path = folder() / f"{pid}.sock"
    if not path.exists():
        _check_alive(pid)
        _open_from_outside(pid, path)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.settimeout(PATIENCE)
        try:
            _connect(sock, str(path))
        except OSError:
            _check_alive(pid)
            raise TargetError(f"process {pid} does not answer at {str(path)!r}") from None
        yield Target(sock)


def _connect(sock: socket.socket, path: str) -> None:
    """Connect, and wait while others that have come before fill the program's queue."""
    give_up = time.monotonic() + PATIENCE
    while True:
        try:
            return sock.connect(path)
        except BlockingIOError:  # A UNIX socket's way to say that the queue is full.
            if time.monotonic() > give_up:
                raise
        time.sleep(0.01)


def _check_system() -> None:
    """See that there are UNIX sockets here."""
    if not hasattr(socket, "AF_UNIX") or not hasattr(os, "getuid"):
        raise TargetError(
            "a program is asked through a UNIX socket, which Python does not have on Windows: there, "
            "insight.dump_on_signal() with Ctrl-Break and insight.print_tasks() show its tasks, and "
            "insight.record() writes a recording"
        )


def _check_alive(pid: int) -> None:
    if not is_alive(pid):
        raise TargetError(f"there is no process {pid}")
    try:
        os.kill(pid, 0)
    except PermissionError:
        raise TargetError(
            f"process {pid} is of another user: ask as that user, or as root"
        ) from None


_HOW = (
    "start it with CRECHE_INSIGHT=1, or have it call creche.insight.serve(); or send it SIGQUIT, if it "
    "was started by 'creche run' or has called creche.insight.dump_on_signal()"
)


def _open_from_outside(pid: int, path: Path) -> None:
    """Have a program open its socket that was started without one: CPython 3.14 and later."""
    execute: Any = getattr(sys, "remote_exec", None)
    if execute is None:
        raise TargetError(
            f"process {pid} has no door for viewers, and before CPython 3.14 none can be opened from "
            f"outside: {_HOW}"
        )
    with tempfile.NamedTemporaryFile("w", suffix=".py", delete=False) as script:
        script.write(
            "import sys\n"
            "if 'creche' in sys.modules:\n"
            "    from creche._insight.answer import serve_as_environment_says\n"
            "    serve_as_environment_says()\n"
        )
    os.chmod(script.name, 0o644)
    try:
        execute(pid, script.name)
        _wait_for(path, pid)
    except PermissionError:
        raise TargetError(
            f"the system does not let you look into process {pid}, as a debugger would: do it as "
            f"root, or with CAP_SYS_PTRACE; or {_HOW}"
        ) from None
    except (RuntimeError, OSError, ValueError) as exc:
        raise TargetError(
            f"process {pid} cannot be opened from outside ({exc}): it is not of this version of "
            f"CPython, or has remote debugging switched off; {_HOW}"
        ) from None
    finally:
        os.unlink(script.name)


def _wait_for(path: Path, pid: int) -> None:
    began = time.monotonic()
    woken = False
    while not path.exists():
        _check_alive(pid)
        waited = time.monotonic() - began
        if waited > IDLE and not woken:
            woken = True
            wake(pid)
        if waited > PATIENCE:
            raise TargetError(
                f"process {pid} did not open its socket within {PATIENCE:g} s: it does not use "
                f"Creche, or its main thread runs no Python meanwhile, as in a long call, or while a loop "
                f"of uvloop or outside of Linux is idle; {_HOW}"
            )
        time.sleep(0.02)


def programs() -> list[tuple[int, str]]:
    """Return the programs of this user that can be asked: process numbers and command lines.

    :raises TargetError: programs cannot be asked on this system
    """
    _check_system()
    numbers = [int(path.stem) for path in folder().glob("*.sock") if path.stem.isdecimal()]
    return [(pid, _command(pid)) for pid in sorted(numbers) if is_alive(pid)]


def is_alive(pid: int) -> bool:
    """Tell whether a process is there and has not ended."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return not _is_zombie(pid)


def _is_zombie(pid: int) -> bool:
    """Tell whether a process has ended and waits for its parent to hear of it."""
    try:
        status = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:  # not Linux
        return False
    return status.rpartition(b")")[2].split()[:1] == [b"Z"]


def _command(pid: int) -> str:
    try:
        line = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:  # not Linux
        return ""
    return line.replace(b"\0", b" ").decode(errors="replace").strip()
