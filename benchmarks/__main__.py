"""The command line: ``python -m benchmarks``.

Owns the options, the child processes and the files that are written. A full run writes the JSON
and the chart; a partial one (quick, filtered, one backend) writes the chart only if asked by name.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from . import chart, growth, million, report
from .model import ANYIO, BACKENDS, CRECHE, Backend, Settings
from .profiling import profile_row
from .registry import by_key, chosen
from .results import Result, from_json, judge, surroundings, to_json

ROOT = Path(__file__).resolve().parent.parent
JSON_PATH = ROOT / "benchmarks" / "results" / "latest.json"
CHART_PATH = ROOT / "docs" / "assets" / "benchmarks.svg"


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    add = parser.add_argument
    add("--quick", action="store_true", help="5 rounds of short samples")
    add("-k", dest="pattern", default="", metavar="SUBSTRING", help="rows with this in their name")
    add("--backend", action="append", choices=BACKENDS, help="only this one (repeatable)")
    add("--rounds", type=int, help="rounds of each row (11, or 5 when quick)")
    add("--json", type=Path, default=JSON_PATH, metavar="PATH", help="where the figures go")
    add("--chart", type=Path, metavar="PATH", help=f"where the chart goes ({CHART_PATH.name})")
    add("--load", type=Path, metavar="PATH", help="show the figures of an earlier run again")
    add("--profile", action="store_true", help="profile Creche's side of the rows instead")
    add("--growth", action="store_true", help="only what a unit costs at three sizes")
    add("--strict", action="store_true", help="exit with status 1 unless every target is met")
    add("--list", action="store_true", help="list the rows and stop")
    add("--only-peers", action="store_true", help="leave Creche out")
    add(
        "--subject",
        default=CRECHE,
        metavar="MODULE",
        help=f"measure this module in Creche's place; '{ANYIO}' shows the noise of the method",
    )
    return parser.parse_args(arguments)


def settings_from(options: argparse.Namespace) -> Settings:
    missing = importlib.util.find_spec(options.subject) is None
    if missing and not options.only_peers:
        note(f"{options.subject} is not installed: measuring its peers only\n")
    return Settings(
        rounds=options.rounds or (5 if options.quick else 11),
        sample_seconds=0.015 if options.quick else 0.03,
        quick=options.quick,
        subject=options.subject,
        only_peers=options.only_peers or missing,
    )


def note(text: str) -> None:
    sys.stderr.write(text)
    sys.stderr.flush()


# The child processes


def messages(backend: Backend, keys: list[str], settings: Settings) -> Iterator[dict[str, Any]]:
    order = {"backend": backend, "keys": keys, "settings": asdict(settings)}
    command = [sys.executable, "-m", f"{__package__}.worker"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8"
    ) as child:
        assert child.stdin
        assert child.stdout
        child.stdin.write(json.dumps(order))
        child.stdin.close()
        for text in child.stdout:
            yield json.loads(text)


def measure_backend(backend: Backend, pattern: str, settings: Settings) -> list[Result]:
    """Measure the rows of one backend; a row that kills its process costs only itself."""
    results: list[Result] = []
    left = [row.key for row in chosen(backend, pattern)]
    while left:
        for message in messages(backend, list(left), settings):
            if "begin" in message:
                note(f"\r\033[K{backend}: {message['begin']}")
                continue
            left.remove(message["end"])
            row = by_key(message["end"])
            results.append(judge(row, backend, message["figures"], message["errors"]))
        if left:
            row = by_key(left.pop(0))
            results.append(judge(row, backend, {}, {row.key: "the process died or hung here"}))
    note("\r\033[K")
    return results


def measure_all(options: argparse.Namespace) -> tuple[list[Result], dict[str, Any]]:
    settings = settings_from(options)
    about = {**surroundings(), "settings": asdict(settings)}
    results: list[Result] = []
    for backend in options.backend or BACKENDS:
        results += measure_backend(backend, options.pattern, settings)
    return results, about


# What is shown and written


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    print(f"wrote {path}")


def chart_path(options: argparse.Namespace) -> Path | None:
    partial = options.quick or options.pattern or options.backend or options.only_peers
    stand_in = options.subject != CRECHE
    unasked = None if partial or stand_in or options.load else CHART_PATH
    return options.chart or unasked


def growth_of(options: argparse.Namespace) -> bool:
    settings = settings_from(options)
    how = {"only_peers": settings.only_peers, "quick": settings.quick}
    met = growth.report(settings.subject, **how)
    return million.report(settings.subject, **how) and met


def main() -> int:
    options = parse()
    backends: list[Backend] = options.backend or list(BACKENDS)
    if options.list:
        rows = {row.key: row for each in backends for row in chosen(each, options.pattern)}
        print("\n".join(f"{key:20}{row.title}" for key, row in rows.items()))
        return 0
    if options.growth:
        return 0 if growth_of(options) or not options.strict else 1
    if options.profile:
        for backend in backends:
            for row in chosen(backend, options.pattern):
                profile_row(row, backend, settings_from(options))
        return 0
    if options.load:
        results, about = from_json(options.load.read_text(encoding="utf-8"))
    else:
        results, about = measure_all(options)
    if not results:
        note(f"no row has {options.pattern!r} in its name; --list shows them\n")
        return 2
    if not options.load:  # first of all: a long run is not lost to a fault in what follows
        write(options.json, to_json(results, about))
    print(report.table(results, about))
    if target := chart_path(options):
        write(target, chart.draw(results, about))
    missed = any(not verdict.met for each in results for verdict in each.verdicts)
    if not (options.load or options.pattern or options.backend):
        missed = not growth_of(options) or missed
    return 1 if options.strict and missed else 0


if __name__ == "__main__":
    sys.exit(main())
