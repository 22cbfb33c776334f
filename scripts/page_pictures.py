"""Makes the pictures of `creche web` for the documentation: a real program, the real page, a real browser.

    .venv/bin/python scripts/page_pictures.py     writes docs/assets/page-light.png and page-dark.png

The program is the shop below, whose orders come to a standstill. What `creche tree` says of it is printed, for
the chapter that shows it. Needs a Chromium.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
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
    insight.serve()
    creche.run(main)
"""


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
    tree = [sys.executable, "-m", "creche", "tree", str(pid)]
    print(subprocess.run(tree, env=environment, capture_output=True, text=True, check=True).stdout)


if __name__ == "__main__":
    sys.exit(main())
