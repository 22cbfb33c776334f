"""What the rows cost in instructions: figures that repeat to 0.1 %, on a busy machine too.

Run ``python -m benchmarks.instructions --before TREE`` to compare this tree with another checkout, each with
its own rows; ``--peers`` adds asyncio, AnyIO and Trio. Needs valgrind on Linux.

A child process runs under callgrind and does the work of each row at two sizes; the figure is the
difference between the two, for one operation. So set-up does not count. What the kernel of the
system does, and time spent waiting, do not count either: sockets and threads cost more than shown.

``os.getloadavg`` divides the counts. Nothing else calls it, and callgrind writes a file when a
function that it was given the name of is entered.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import importlib
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
MODULES = "tasks,sync,streams"
"""The rows of these are counted unless others are asked for."""
SMALL = 200
"""Operations in the smaller sample of a row that does not say how many make a batch."""
WARM_UP = 3
"""Runs before the first count: until then the interpreter specialises what it runs."""
CALLGRIND = ("valgrind", "--tool=callgrind", "--dump-before=getloadavg")
ADDED = ("CRECHE_BUDGET", "PYTHONPATH")

Counts = dict[str, dict[str, float]]  # by row, then by library


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.instructions", description=__doc__)
    add = parser.add_argument
    add("--before", type=Path, metavar="TREE", help="another checkout, to compare this one with")
    add("--backend", action="append", choices=("asyncio", "uvloop", "trio"), help="(repeatable)")
    add("--modules", default=MODULES, help=f"whose rows, of benchmarks/work_*.py ({MODULES})")
    add("-k", dest="pattern", default="", metavar="WORDS", help="rows with one of these in the key")
    add("--size", type=int, default=SMALL, help=f"operations in the smaller sample ({SMALL})")
    add("--peers", action="store_true", help="count the same work on asyncio, AnyIO and Trio too")
    add("--order", help=argparse.SUPPRESS)  # what the child process is to do, as JSON
    return parser.parse_args()


# The child process


def count(order: dict[str, Any]) -> None:
    """Do the work of the rows, each between marks; print one line for each row and library."""
    for module in order["modules"]:
        for row in importlib.import_module(f"benchmarks.work_{module}").ROWS:
            words = order["words"]
            if hasattr(row, "portable") and (not words or any(word in row.key for word in words)):
                count_row(row, order)


def count_row(row: Any, order: dict[str, Any]) -> None:
    n = -(-order["size"] // row.batch) * row.batch
    for library, run, work in contestants(row, order):
        try:
            run(in_two_sizes, work, n)
        except Exception as error:  # A row that one library has not got: it is left out.
            print(json.dumps({"row": row.key, "failed": repr(error)}), flush=True)
            continue
        print(json.dumps({"row": row.key, "library": library, "n": n}), flush=True)


def contestants(row: Any, order: dict[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    """Yield the libraries that do a row: the name, what runs a loop, and the work."""
    backend: str = order["backend"]
    for name in ("creche", "anyio") if order["peers"] else ("creche",):
        library: Any = importlib.import_module(name)
        importlib.import_module(f"{name}.lowlevel")
        yield name, runner_of(library, backend), _portable(row, library)
    if order["peers"] and backend == "asyncio" and row.asyncio is not None:
        yield "asyncio", lambda func, *args: asyncio.run(func(*args)), row.asyncio
    if order["peers"] and backend == "trio" and row.trio is not None:
        yield "trio", importlib.import_module("trio").run, row.trio


def _portable(row: Any, library: Any) -> Callable[[int], Awaitable[float]]:
    return lambda n: row.portable(library, n)


def runner_of(library: Any, backend: str) -> Callable[..., Any]:
    kernel = "trio" if backend == "trio" else "asyncio"
    options = {"use_uvloop": True} if backend == "uvloop" else {}
    return lambda func, *args: library.run(func, *args, backend=kernel, backend_options=options)


async def in_two_sizes(work: Callable[[int], Awaitable[float]], n: int) -> None:
    for _ in range(WARM_UP):
        await work(n)
    gc.collect()
    gc.disable()
    try:
        os.getloadavg()
        await work(n)
        os.getloadavg()
        await work(2 * n)
        os.getloadavg()
    finally:
        gc.enable()


# The parent


def counts_of(tree: Path, backend: str, options: argparse.Namespace) -> Counts:
    """Count the instructions of an operation, of each row, in a tree."""
    order = {
        "backend": backend,
        "modules": options.modules.split(","),
        "words": [word for word in options.pattern.split(",") if word],
        "size": options.size,
        "peers": options.peers and tree == ROOT,
    }
    environment = {name: value for name, value in os.environ.items() if name not in ADDED}
    environment |= {"PYTHONPATH": f"{tree / 'src'}:{tree}", "PYTHONHASHSEED": "0"}
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "out")
        command = [*CALLGRIND, f"--callgrind-out-file={out}", sys.executable, __file__]
        command += ["--order", json.dumps(order)]
        done = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise SystemExit(f"{tree}, on {backend}:\n{done.stderr[-2000:]}")
        return collected([json.loads(line) for line in done.stdout.splitlines()], out)


def collected(lines: list[dict[str, Any]], out: Path) -> Counts:
    found: Counts = {}
    part = 0
    for line in lines:
        if "failed" in line:
            raise SystemExit(f"{line['row']} failed: {line['failed']}")
        small, large = total(out, part + 2), total(out, part + 3)
        part += 3
        found.setdefault(line["row"], {})[line["library"]] = (large - small) / line["n"]
    return found


def total(out: Path, part: int) -> int:
    match = re.search(
        r"^(?:totals|summary): (\d+)", Path(f"{out}.{part}").read_text(), re.MULTILINE
    )
    if match is None:
        raise SystemExit(f"callgrind wrote no total in part {part}")
    return int(match[1])


def report(backend: str, after: Counts, before: Counts) -> None:
    print(f"\n{backend}: instructions for one operation")
    peers = [
        name for name in ("asyncio", "trio", "anyio") if any(name in row for row in after.values())
    ]
    heads = ["creche", *(["before", "ratio"] if before else []), *peers]
    print(f"  {'':20}" + "".join(f"{head:>16}" for head in heads))
    for key, row in after.items():
        ours = row["creche"]
        cells = [f"{ours:,.0f}"]
        if before:
            old = before.get(key, {}).get("creche")
            cells += ["", "new"] if old is None else [f"{old:,.0f}", f"{ours / old:.3f}"]
        cells += [
            f"{row[peer]:,.0f} ({ours / row[peer]:.2f})" if peer in row else "" for peer in peers
        ]
        print(f"  {key:20}" + "".join(f"{cell:>16}" for cell in cells), flush=True)
    for key in before.keys() - after.keys():
        print(f"  {key:20}{'missing':>16}")


def main() -> None:
    options = parse()
    if options.order:
        count(json.loads(options.order))
        return
    for backend in options.backend or ("asyncio", "trio"):
        after = counts_of(ROOT, backend, options)
        before = counts_of(options.before.resolve(), backend, options) if options.before else {}
        report(backend, after, before)


if __name__ == "__main__":
    main()
