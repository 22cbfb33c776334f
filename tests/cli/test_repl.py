"""`creche repl`: lines that await, Ctrl-C, the group, and the end."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from _harness import on_each_command_line


def typed(text: str, *flags: str) -> tuple[int, str, str]:
    """Type a text, and return the status and what was printed, without the prompts."""
    done = subprocess.run(
        [sys.executable, "-m", "creche", "repl", *flags],
        capture_output=True,
        input=text,
        text=True,
        timeout=60,
    )
    return done.returncode, re.sub(r"(>>> |\.\.\. )+", "", done.stdout), done.stderr


@contextmanager
def console(*flags: str) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-u", "-m", "creche", "repl", *flags],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def backend(flags: list[str]) -> list[str]:
    return ["--backend", "uvloop"] if "--uvloop" in flags else flags


@on_each_command_line
def test_lines_await_and_share_names_and_context(flags: list[str]) -> None:
    lines = (
        "import contextvars; seen = contextvars.ContextVar('seen')\n"
        "await creche.sleep(0)\n"
        "token = seen.set(3)\n"
        "await creche.sleep(0); seen.get()\n"
        "seen.get() + 1\n"
    )
    status, out, err = typed(lines, *backend(flags))
    assert (status, out.split()) == (0, ["3", "4"])
    assert err.startswith("Creche ")
    assert "Traceback" not in err


def test_an_error_shows_the_line_and_the_console_goes_on() -> None:
    status, out, err = typed("1 / 0\n'after'\n")
    assert (status, out.split()) == (0, ["'after'"])
    assert "ZeroDivisionError" in err
    assert "_cli" not in err


@on_each_command_line
def test_a_background_task_that_fails_is_shown_and_there_is_a_new_group(flags: list[str]) -> None:
    lines = (
        "async def fail(): raise ValueError('a row')\n\n"
        "first = group; handle = group.start_soon(fail); await creche.sleep_forever()\n"
        "group is first\n"
    )
    status, out, err = typed(lines, *backend(flags))
    assert (status, out.split()) == (0, ["False"])
    assert "ValueError: a row" in err
    assert "_tasks" not in err


def test_what_runs_in_the_background_is_cancelled_at_the_end() -> None:
    lines = (
        "async def forever():\n"
        "    try: await creche.sleep_forever()\n"
        "    finally: print('cleaned')\n"
        "\n"
        "_ = group.start_soon(forever); await creche.sleep(0.01)\n"
    )
    status, out, _ = typed(lines)
    assert (status, out.split()) == (0, ["cleaned"])


def test_exit_ends_it_with_its_status() -> None:
    assert typed("raise SystemExit(7)\n")[0] == 7


@on_each_command_line
def test_ctrl_c_cancels_the_line_that_runs_and_waits_for_it(flags: list[str]) -> None:
    lines = (
        "async def wait():\n"
        "    print('it waits', flush=True)\n"
        "    try: await creche.sleep_forever()\n"
        "    finally: print('cleaned', flush=True)\n"
        "\n"
        "await wait()\n"
    )
    with console(*backend(flags)) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdin.write(lines)
        process.stdin.flush()
        assert "it waits" in process.stdout.readline()
        process.send_signal(signal.SIGINT)
        assert process.stdout.readline() == "cleaned\n"
        process.stdin.write("print('goes', 'on')\n")
        process.stdin.close()
        assert "goes on\n" in process.stdout.read()
        assert process.wait(timeout=30) == 0
        assert "\nKeyboardInterrupt\n" in process.stderr.read()


pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="sends SIGINT to a process")
