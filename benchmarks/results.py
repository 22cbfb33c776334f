"""From samples to medians, ratios and verdicts, and to and from JSON.

A ratio pairs the figures of the same round; its median and quartiles are kept. Knows nothing of
how the samples were taken or how the table looks.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import statistics
import sys
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from .model import CRECHE, LOOPS, Backend, Row

LOOP_PACKAGES = sorted(name for loop in LOOPS.values() for name in loop.packages[:1])
PACKAGES = ("creche", "anyio", *LOOP_PACKAGES)


@dataclass
class Ratio:
    """Creche's figure over a peer's: median and quartiles of the rounds."""

    median: float
    low: float
    high: float


@dataclass
class Verdict:
    """A target and what became of it; ``measured`` is None where Creche has no figure."""

    peer: str | None
    at_most: float
    measured: float | None

    @property
    def met(self) -> bool | None:
        return None if self.measured is None else self.measured <= self.at_most


@dataclass
class Result:
    """One row on one backend."""

    key: str
    title: str
    unit: str
    backend: Backend
    label: str
    in_chart: bool
    figures: dict[str, list[float]]
    errors: dict[str, str]
    verdicts: list[Verdict] = field(default_factory=list)

    def median(self, label: str) -> float | None:
        figures = self.figures.get(label)
        return statistics.median(figures) if figures else None

    def ratio(self, label: str, peer: str) -> Ratio | None:
        return paired_ratio(self.figures.get(label, []), self.figures.get(peer, []))

    def verdict_on(self, peer: str | None) -> Verdict | None:
        return next((each for each in self.verdicts if each.peer == peer), None)


def native(backend: Backend) -> str:
    """The library that owns the backend's loop."""
    return LOOPS[backend].kernel


def paired_ratio(figures: list[float], peers: list[float]) -> Ratio | None:
    if not figures or not peers:
        return None
    ratios = [mine / theirs for mine, theirs in zip(figures, peers, strict=True) if theirs > 0]
    if not ratios:
        return None
    if len(ratios) == 1:
        return Ratio(ratios[0], ratios[0], ratios[0])
    low, median, high = statistics.quantiles(ratios, n=4, method="inclusive")
    return Ratio(median, low, high)


def judge(
    row: Row, backend: Backend, figures: dict[str, list[float]], errors: dict[str, str]
) -> Result:
    result = Result(
        key=row.key,
        title=row.title,
        unit=row.unit,
        backend=backend,
        label=row.label or row.title,
        in_chart=backend in row.chart,
        figures=figures,
        errors=errors,
    )
    for target in row.targets:
        if backend not in target.backends:
            continue
        if target.peer is None:
            measured = result.median(CRECHE)
        else:
            ratio = result.ratio(CRECHE, target.peer)
            measured = ratio.median if ratio else None
        result.verdicts.append(Verdict(target.peer, target.at_most, measured))
    return result


# The machine and the versions


def processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def surroundings() -> dict[str, Any]:
    return {
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "build": " ".join(platform.python_build()),
        "system": platform.platform(),
        "machine": platform.machine(),
        "processor": processor(),
        "cores": os.cpu_count(),
        "load": list(os.getloadavg()) if sys.platform != "win32" else None,
        "versions": {package: version(package) for package in PACKAGES},
    }


# JSON


def to_json(results: list[Result], about: dict[str, Any]) -> str:
    rows = []
    for result in results:
        row = asdict(result)
        row["medians"] = {label: result.median(label) for label in result.figures}
        row["ratios"] = {
            peer: asdict(ratio)
            for peer in result.figures
            if peer != CRECHE and (ratio := result.ratio(CRECHE, peer))
        }
        for verdict, shown in zip(result.verdicts, row["verdicts"], strict=True):
            shown["met"] = verdict.met
        rows.append(row)
    return json.dumps({"about": about, "rows": rows}, indent=1) + "\n"


def from_json(text: str) -> tuple[list[Result], dict[str, Any]]:
    document = json.loads(text)
    results = []
    for row in document["rows"]:
        verdicts = [Verdict(v["peer"], v["at_most"], v["measured"]) for v in row["verdicts"]]
        kept = ("key", "title", "unit", "backend", "label", "in_chart", "figures", "errors")
        results.append(Result(**{name: row[name] for name in kept}, verdicts=verdicts))
    return results, document["about"]
