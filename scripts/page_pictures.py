"""Makes what "Debugging a hang" shows: pictures of `creche web`, and what the commands say, of a real program.

    .venv/bin/python scripts/page_pictures.py     writes docs/assets/page-*.png and docs/assets/shop-*.txt

The program is the shop below, whose orders come to a standstill. Needs a Chromium.
"""

from __future__ import annotations

import fcntl
import os
import re
import select
import shlex
import struct
import subprocess
import sys
import tempfile
import termios
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
ASSETS = ROOT / "docs" / "assets"
sys.path.insert(0, str(ROOT / "tests"))

from _harness._chromium import Browser, find_chromium  # noqa: E402  # after its folder is on the path

SHOP = """
import creche
from creche import insight


async def order(stock, books):
    async with stock:
        await creche.sleep(0.2)
        async with books:
            await creche.sleep(0.05)


async def invoice(stock, books):
    async with books:
        await creche.sleep(0.2)
        async with stock:
            await creche.sleep(0.05)


async def visit(pages):
    while True:
        await creche.sleep(0.3)
        async with pages:
            await creche.sleep(0.2)


async def newsletter():
    try:
        await creche.sleep(60)
    finally:
        with creche.CancelScope(shield=True):
            await creche.sleep(60)


async def main():
    stock, books = creche.Lock(name="stock"), creche.Lock(name="books")
    pages = creche.Semaphore(40)
    async with creche.create_task_group() as shop:
        for _ in range(120):
            shop.start_soon(visit, pages)
        await creche.sleep(6)
        shop.start_soon(invoice, stock, books)
        async with creche.create_task_group() as orders:
            for _ in range(8):
                orders.start_soon(order, stock, books)
            await creche.sleep(4)
            with creche.move_on_after(5) as mailing:
                async with creche.create_task_group() as letters:
                    letters.start_soon(newsletter)


if __name__ == "__main__":
    insight.serve(control=True)
    creche.run(main)
"""
SIZE = 24, 100
"""Rows and columns of the terminal."""


def main() -> int:
    executable = find_chromium()
    if executable is None:
        print("no Chromium was found", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        program = Path(folder) / "shop.py"
        program.write_text(SHOP, encoding="utf-8")
        environment = {**os.environ, "XDG_RUNTIME_DIR": folder}
        with subprocess.Popen([sys.executable, "shop.py"], cwd=folder, env=environment) as shop:
            try:
                take_pictures(shop.pid, Path(folder), executable, environment)
                write_outputs(str(shop.pid), environment)
            finally:
                shop.kill()
    return 0


def take_pictures(pid: int, folder: Path, executable: str, environment: dict[str, str]) -> None:
    time.sleep(1)
    command = [sys.executable, "-m", "creche", "web", str(pid)]
    with (
        subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as web,
        Browser(executable, folder / "profile") as browser,
    ):
        assert web.stdout is not None
        try:
            tab = browser.open(web.stdout.readline().strip(), size=(1280, 800))
            tab.wait_for_text("Deadlock")
            tab.wait_for_text("shielded, waiting")
            time.sleep(8)
            tab.press("/")
            tab.type("order")
            tab.press("Enter")
            tab.press("Escape")
            for _ in range(3):
                tab.press("+" if _ else "r")
            for name, dark in (("light", False), ("dark", True)):
                tab.be_dark(dark)
                time.sleep(0.5)
                tab.picture(ASSETS / f"page-{name}.png")
        finally:
            web.terminate()


def write_outputs(pid: str, environment: dict[str, str]) -> None:
    """Write what the commands say, with a number for the process that every run has."""

    def write(name: str, text: str) -> None:
        lines = [line.rstrip() for line in text.replace(pid, "4711").splitlines()]
        (ASSETS / f"shop-{name}.txt").write_text("\n".join(lines).rstrip() + "\n", "utf-8")

    def say(*arguments: str) -> str:
        command = [sys.executable, "-m", "creche", *arguments]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        return f"$ creche {shlex.join(arguments)}\n{done.stdout}"

    write("tree", say("tree", pid))
    write("top", top(pid, environment))
    told = say("cancel", pid, "invoice", "--reason", "a deadlock")
    time.sleep(3)  # The others go on, one after the other.
    write("cancel", f"{told}{say('tree', pid)}")


def top(pid: str, environment: dict[str, str]) -> str:
    """Return what `creche top` shows, after somebody has looked for the cause of what holds up an order."""
    keyboard, terminal = os.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", *SIZE, 0, 0))
    command = [sys.executable, "-m", "creche", "top", pid]
    environment = {**environment, "TERM": "xterm-256color"}
    with subprocess.Popen(
        command, stdin=terminal, stdout=terminal, stderr=terminal, env=environment
    ) as process:
        shown = b""
        for keys in (b"", b"/order #8\r", b"j", b"j", b"r", b"\x1b", b""):
            os.write(keyboard, keys)
            until = time.monotonic() + 3
            while select.select([keyboard], [], [], max(0.0, until - time.monotonic()))[0]:
                shown += os.read(keyboard, 65536)
        process.kill()
    os.close(terminal)
    os.close(keyboard)
    last = shown.decode("utf-8", "replace").split("\x1b[H")[-1]
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", last).replace("\r\n", "\n")


if __name__ == "__main__":
    sys.exit(main())
