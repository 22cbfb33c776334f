"""`creche top`: rows, keys, causes, and all of it through a pseudo-terminal."""

from __future__ import annotations

import fcntl
import os
import re
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest
from _viewing import crowd, service, tell

from creche._insight.model import VERSION, Lint, Loop, Service, Snapshot, Task, Wait
from creche._insight_view.causes import chain_of
from creche._insight_view.keys import keys_in
from creche._insight_view.rows import Rows, View
from creche._insight_view.terminal import Top

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there are no UNIX sockets")


def task(number: int, name: str, parent: int | None = 1, **others: object) -> Task:
    made = Task(number, name, name, "child", "waiting", parent, None, None)
    return replace(made, **others)  # type: ignore[arg-type]  # whatever the test is about


def snapshot(*tasks: Task, time: float = 100.0) -> Snapshot:
    loop = Loop(7, "asyncio", "MainThread", False, "idle", None, tasks, (), ())
    return Snapshot(VERSION, time, 4711, "3.13", ("app.py",), (loop,))


def wait(what: str, *holders: int, complete: bool = False) -> Wait:
    return Wait(what, "release()", holders=holders, complete=complete)


MAIN = task(1, "main", None)
CROWD = [
    task(10 + n, f"client #{n}" if n else "client", since=float(n), busy=1 / (n + 1), age=50.0 - n)
    for n in range(6)
]


def names(rows: Rows) -> list[str]:
    return [f"{row.tasks[0].name} x{len(row.tasks)}" if row.tasks else "loop" for row in rows.list]


# Rows


def test_equal_siblings_are_one_row_until_it_is_opened() -> None:
    view = View()
    rows = Rows(snapshot(MAIN, task(2, "server"), *CROWD), view)
    assert names(rows) == ["main x1", "server x1", "client x6"]
    view.choices[rows.list[2].key] = True
    assert len(Rows(snapshot(MAIN, task(2, "server"), *CROWD), view).list) == 9
    view.choices[rows.list[0].key] = False
    assert names(Rows(snapshot(MAIN, *CROWD), view)) == ["main x1"]


@pytest.mark.parametrize(
    ("order", "first"), [("busy", "client"), ("waiting", "client #5"), ("age", "client")]
)
def test_sorted_rows_have_the_most_first(order: str, first: str) -> None:
    rows = Rows(snapshot(MAIN, *CROWD), View(order=order))
    assert rows.list[0].tasks[0].name == first and rows.list[-1].tasks[0].name == "main"


def test_what_is_found_stands_below_what_it_is_part_of() -> None:
    held = task(3, "worker", 2, wait=wait("Lock 'db'", 10))
    every = snapshot(MAIN, task(2, "pool"), held, *CROWD)
    assert names(Rows(every, View(query="LOCK"))) == ["main x1", "pool x1", "worker x1"]
    assert names(Rows(every, View(query="nothing"))) == []
    assert names(Rows(every, View(query="lock", order="busy"))) == ["worker x1"]


def test_compared_rows_tell_what_is_new_has_changed_and_has_ended() -> None:
    before = snapshot(MAIN, task(2, "pool"), task(3, "old"), *CROWD)
    now = snapshot(MAIN, task(2, "pool", state="ready"), task(4, "young"), *CROWD)
    rows = Rows(now, View(mark=before))
    assert [(row.tasks[0].name, row.change) for row in rows.list] == [
        ("main", ""), ("pool", "changed"), ("young", "new"), ("old", "ended"),
    ]  # fmt: skip


def test_two_loops_are_two_rows() -> None:
    one = snapshot(MAIN).loops[0]
    both = replace(snapshot(), loops=(one, replace(one, id=8, tasks=(task(9, "other", None),))))
    rows = Rows(both, View())
    assert names(rows) == ["loop", "main x1", "loop", "other x1"]
    rows.reveal(9)
    assert rows.view.choices["l8"]


# Causes


def test_the_cause_is_at_the_end_of_who_waits_for_whom() -> None:
    tasks = {
        1: task(1, "main", None, wait=Wait("the end of", tasks=(5, 2))),
        2: task(2, "second", wait=wait("Lock 'a'", 3)),
        3: task(3, "third", wait=wait("Lock 'b'", 4)),
        4: task(4, "fourth", state="running"),
        5: task(5, "fifth", wait=Wait("sleep()")),
    }
    chain = chain_of(1, tasks)
    assert chain.tasks == [1, 2, 3, 4] and not chain.circle and chain.cause == 4
    assert chain_of(4, tasks).cause == 4
    assert chain_of(99, {**tasks, 99: task(99, "x", wait=wait("Lock", 98))}).tasks == [99]


def test_a_circle_is_told_and_leads_round() -> None:
    tasks = {
        1: task(1, "a", wait=wait("Lock", 2)),
        2: task(2, "b", wait=wait("Lock", 1)),
        3: task(3, "c", wait=wait("Lock", 1)),
    }
    assert chain_of(1, tasks) == ([1, 2], True) and chain_of(1, tasks).cause == 2
    assert chain_of(3, tasks) == ([3, 1, 2], True)


# Keys


def test_keys_are_read_one_at_a_time() -> None:
    assert list(keys_in(b"a\x1b[B\x1b[5~\x1bOC\r\x7f/\xc3\xbc")) == [
        "a", "down", "page up", "right", "enter", "backspace", "/", "ü",
    ]  # fmt: skip
    assert list(keys_in(b"\x1b")) == ["escape"]
    assert list(keys_in(b"\x1b[200~x")) == ["x"]
    assert list(keys_in(b"\x1b[1;5C\x00\xffq\x1b[")) == ["q"]


def press(top: Top, *keys: str) -> None:
    for key in keys:
        assert top.press(key)


def chosen(top: Top) -> str:
    assert top.rows is not None
    row = top.rows.list[top.rows.place(top.view.chosen)]
    return row.tasks[0].name


def test_one_key_leads_to_the_cause_and_one_back() -> None:
    top = Top()
    held = [task(10 + n, f"client #{n}", wait=wait("Lock 'db'", 2)) for n in range(5)]
    top.take(snapshot(MAIN, task(2, "holder", wait=Wait("sleep()")), *held))
    press(top, "end")
    assert chosen(top) == "client #0"
    press(top, "right", "right", "r")
    assert chosen(top) == "holder"
    press(top, "u")
    assert chosen(top) == "client #0"


def test_what_looks_wrong_and_services_that_wait_have_their_lines() -> None:
    top = Top()
    seen = snapshot(MAIN, task(2, "feed"), task(3, "lone"))
    (loop,) = seen.loops
    loop.lints = tuple(
        Lint("held", f"feed holds lock {number}", 2, None, 9.0) for number in range(5)
    )
    loop.services = (
        Service("mail", "waiting", 1, "OSError('no')", 3, None),
        Service("feed", "running", 2, None, 1, 2),
    )
    top.take(seen)
    shown = "\n".join(map(str, top.lines(120, 30)))
    assert "held: feed holds lock 0" in shown and "2 more look wrong: see creche tree" in shown
    assert "mail service  waiting to be restarted, 1 restart, last OSError('no')" in shown
    (line,) = [line for line in shown.splitlines() if line.lstrip(" ").startswith("feed")]
    assert "2 restarts" in line
    press(top, "home", "end", "r", "right", "left")  # on the service, which has no task
    assert "mail" in "\n".join(map(str, top.lines(120, 30)))


def test_while_it_is_paused_nothing_moves() -> None:
    top = Top()
    top.take(snapshot(MAIN))
    press(top, "p")
    top.take(snapshot(MAIN, task(2, "young")))
    assert "young" not in "\n".join(map(str, top.lines(100, 30)))
    press(top, "p")
    assert "young" in "\n".join(map(str, top.lines(100, 30)))
    assert not top.press("q")


@pytest.mark.parametrize(("width", "height"), [(20, 5), (80, 24), (300, 100)])
def test_it_fills_its_screen_and_no_more(width: int, height: int) -> None:
    top = Top()
    top.take(snapshot(MAIN, *(task(n, f"task number {n}", state="ready") for n in range(2, 300))))
    press(top, "right", "end")
    lines = top.lines(width, height)
    assert len(lines) == height and all(line.cell_len <= width for line in lines)


# The real thing


LOGIN = "import os, sys; os.login_tty(0); os.execv(sys.argv[1], sys.argv[1:])"
"""Makes standard input the terminal of the process, so that Ctrl-C is a signal."""


class Terminal:
    """A pseudo-terminal with a program in it; knows what its screen shows."""

    def __init__(self, command: list[str], rows: int = 40, columns: int = 120) -> None:
        self.fd, other = os.openpty()
        fcntl.ioctl(other, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        environment = {**os.environ, "TERM": "xterm-256color"}
        for name in ("NO_COLOR", "COLUMNS", "LINES"):
            environment.pop(name, None)
        self.process = subprocess.Popen(
            [sys.executable, "-c", LOGIN, *command],
            stdin=other,
            stdout=other,
            stderr=other,
            env=environment,
        )
        self.before = termios.tcgetattr(self.fd)
        os.close(other)
        self._data = b""

    def type(self, keys: str) -> None:
        os.write(self.fd, keys.encode())

    def screen(self) -> str:
        """Return what was drawn last, without colours."""
        last = self._data.decode("utf-8", "replace").split("\x1b[H")[-1]
        return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", last).replace("\r\n", "\n")

    def wait_for(self, *texts: str) -> str:
        """Wait until the screen shows texts."""
        until = time.monotonic() + 30
        while not all(text in self.screen() for text in texts):
            ready, _, _ = select.select([self.fd], [], [], max(until - time.monotonic(), 0))
            assert ready, f"{texts} never came:\n{self.screen()}"
            try:
                self._data += os.read(self.fd, 65536)
            except OSError:  # the program has ended
                break
        assert all(text in self.screen() for text in texts), self.screen()
        return self.screen()


@contextmanager
def top_of(pid: int) -> Iterator[Terminal]:
    terminal = Terminal([sys.executable, "-m", "creche", "top", str(pid)])
    try:
        yield terminal
    finally:
        terminal.process.kill()
        terminal.process.wait()
        os.close(terminal.fd)


@pytest.mark.parametrize("loop", ["asyncio", "uvloop", "trio"])
def test_a_person_finds_the_cause_in_a_terminal(loop: str) -> None:
    with crowd(loop) as target, top_of(target.pid) as terminal:
        terminal.wait_for(
            "request ×370", "Deadlock: 2 tasks wait for each other: forth → back", "live"
        )
        terminal.type("/ledger\r")
        terminal.wait_for("found: ledger", "forth")
        terminal.type("j")
        terminal.type("j")
        terminal.wait_for("in a circle: forth → back → forth")
        terminal.type("\x1b")
        terminal.wait_for("request ×370")
        terminal.type("d")
        terminal.wait_for("compared with")
        terminal.type("d")
        terminal.wait_for("request ×370")
        terminal.type("a")
        terminal.wait_for("sorted by age")
        terminal.type("q")
        assert terminal.process.wait(timeout=30) == 0
        assert termios.tcgetattr(terminal.fd)[3] == terminal.before[3]


def test_the_end_of_the_program_is_told_and_the_last_stays() -> None:
    with service("end") as target, top_of(target.pid) as terminal:
        terminal.wait_for("worker", "live")
        tell(target)
        target.wait()
        terminal.wait_for("the program has ended", "worker")
        terminal.type("\x03")
        assert terminal.process.wait(timeout=30) in (0, 130)


def test_without_a_terminal_it_says_what_to_do() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "creche", "top", str(os.getpid())], stdin=subprocess.DEVNULL,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2 and "'creche top' needs a terminal" in done.stderr
    assert "creche tree" in done.stderr
