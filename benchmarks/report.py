"""Prints the results as one table per backend: medians, ratios with quartiles, verdicts.

Colour only on a terminal, and never as the only bearer of a meaning.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from typing import Any

from .model import ANYIO, BACKENDS, CRECHE, TRIO, Backend
from .results import Result, native

GREEN, RED, DIM, BOLD, RESET = "\033[32m", "\033[31m", "\033[2m", "\033[1m", "\033[0m"
TITLE_WIDTH = 48
FIGURE_WIDTH = 9
RATIO_WIDTH = 21
TARGET_WIDTH = 13


def colourful() -> bool:
    return sys.stdout.isatty() and "NO_COLOR" not in os.environ


def painted(text: str, colour: str) -> str:
    return f"{colour}{text}{RESET}" if colourful() else text


def figure(value: float | None) -> str:
    """Three significant digits or so, without exponents."""
    if value is None:
        return "–"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.3g}"


def columns(backend: Backend) -> list[str]:
    shown = [CRECHE, ANYIO, native(backend)]
    return [*shown, TRIO] if backend == "asyncio" else shown


def comparison(result: Result, peer: str) -> str:
    """The ratio to a peer, its quartiles, and the target if there is one."""
    ratio = result.ratio(CRECHE, peer)
    shown = "–"
    if ratio:
        digits = 2 if ratio.high < 10 else 1
        low, high = f"{ratio.low:.{digits}f}", f"{ratio.high:.{digits}f}"
        shown = f"{ratio.median:.{digits}f} ({low}–{high})"
    return shown.rjust(RATIO_WIDTH) + target(result, peer, "")


def target(result: Result, peer: str | None, unit: str) -> str:
    verdict = result.verdict_on(peer)
    if verdict is None:
        return " " * TARGET_WIDTH
    word = {True: "ok", False: "miss", None: "?"}[verdict.met]
    text = f"  ≤ {verdict.at_most:g}{unit} {word}".ljust(TARGET_WIDTH)
    return painted(text, {True: GREEN, False: RED, None: DIM}[verdict.met])


def line(result: Result) -> str:
    unit = "" if result.unit == "µs" else f", {result.unit}"
    cells = [f"{result.title}{unit}".ljust(TITLE_WIDTH)]
    cells += [figure(result.median(label)).rjust(FIGURE_WIDTH) for label in columns(result.backend)]
    if result.verdict_on(None):
        cells.append(" " * RATIO_WIDTH + target(result, None, f" {result.unit}"))
    else:
        cells.append(comparison(result, native(result.backend)))
    cells.append(comparison(result, ANYIO))
    return "".join(cells).rstrip()


def header(backend: Backend, about: dict[str, Any]) -> list[str]:
    names = columns(backend)
    head = f"{backend} · {about['python']} · median µs per operation unless a unit is named"
    labels = "".join(name.rjust(FIGURE_WIDTH) for name in names)
    ratios = "".join(
        f"creche/{peer}".rjust(RATIO_WIDTH) + "  target".ljust(TARGET_WIDTH)
        for peer in (native(backend), ANYIO)
    )
    return ["", painted(head, BOLD), (" " * TITLE_WIDTH + labels + ratios).rstrip()]


def footnotes(results: Iterable[Result]) -> list[str]:
    notes = []
    for result in results:
        known = {*columns(result.backend)}
        others = {label: result.median(label) for label in result.figures if label not in known}
        notes += [
            painted(f"  also: {result.title}: {label} {figure(value)} {result.unit}", DIM)
            for label, value in others.items()
        ]
    return notes + [
        painted(f"  failed: {each.title}: {who}: {why}", RED)
        for each in results
        for who, why in each.errors.items()
    ]


def verdict_line(results: list[Result]) -> str:
    words = [verdict.met for result in results for verdict in result.verdicts]
    met, missed = words.count(True), words.count(False)
    text = f"targets: {met} met, {missed} missed"
    return text + (f", {words.count(None)} not measured" if None in words else "")


def about_line(about: dict[str, Any]) -> str:
    versions = ", ".join(f"{name} {number}" for name, number in about["versions"].items() if number)
    return f"{about['processor']}, {about['cores']} cores; {versions}"


def table(results: list[Result], about: dict[str, Any]) -> str:
    lines = [about_line(about)]
    for backend in BACKENDS:
        here = [result for result in results if result.backend == backend]
        if here:
            lines += [*header(backend, about), *map(line, here), *footnotes(here)]
    return "\n".join([*lines, "", verdict_line(results)])
