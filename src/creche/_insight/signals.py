"""The text of what a program does: on request, and when a signal comes.

Owns the handler of a signal. It runs in the main thread, between two of its bytecodes: also while
a loop is blocked by Python code there. It calls into no loop, and the program goes on after it.
"""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType
from typing import Any, TextIO

from .collect import snapshot
from .text import text_of


def print_tasks(file: TextIO | None = None, *, stacks: bool = False) -> None:
    """Print what every task of this process does, waits for and holds. From any thread.

    Equal tasks are shown as one line, so that thousands of them fit on a screen.

    :param file: where to print, `sys.stderr` if None
    :param stacks: whether to show the stack of each task
    """
    out = sys.stderr if file is None else file
    out.write(text_of(snapshot(stacks=stacks), stacks=stacks))
    out.flush()


DEFAULT = getattr(signal, "SIGQUIT", None) or getattr(signal, "SIGBREAK", None)
"""Ctrl-\\ on POSIX, Ctrl-Break on Windows."""


def dump_on_signal(signum: int | None = None) -> None:
    r"""Have a signal print what every task does to standard error; the program goes on.

    :param signum: the signal; None for SIGQUIT, which Ctrl-\ sends, on Windows SIGBREAK, which
        Ctrl-Break sends
    :raises RuntimeError: this is not the main thread, which alone may set handlers of signals
    """
    chosen = DEFAULT if signum is None else signum
    assert chosen is not None, "each platform has one of them"
    try:
        signal.signal(chosen, _on_signal)
    except ValueError as exc:
        if "main thread" not in str(exc):
            raise
        raise RuntimeError(
            "dump_on_signal() must be called in the main thread: only that may set handlers of "
            "signals. Call it before the loop of another thread is started"
        ) from None


def _on_signal(_number: int, _frame: FrameType | None) -> None:
    write_to_stderr(text_of(snapshot()))


def write_to_stderr(text: str) -> None:
    """Write to standard error, past its buffer: the handler may have come in the middle of a write."""
    descriptor = _descriptor(sys.stderr)
    if descriptor is None:
        return
    data = text.encode(errors="replace")
    while data:
        try:
            data = data[os.write(descriptor, data) :]
        except OSError:  # closed, or a pipe that nobody reads: there is nobody to tell
            return


def _descriptor(file: Any) -> int | None:
    try:
        return int(file.fileno())
    except (AttributeError, OSError, ValueError):
        return None
