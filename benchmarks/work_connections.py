"""The row of idle connections: what a server keeps in memory for a client that says nothing.

A fresh process for each library and each sample (`connection_probe.py`).
"""

from __future__ import annotations

import subprocess
import sys
from functools import partial
from typing import Any

from .model import ASYNCIO, LOOPS, Backend, Settings, SpecialRow, Target
from .special import ENVIRONMENT, portable_names

CONNECTIONS = 2000


def bytes_each(module: str, backend: Backend, gauge: str) -> float:
    command = [sys.executable, "-m", f"{__package__}.connection_probe"]
    command += [module, backend, gauge, str(CONNECTIONS)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=ENVIRONMENT)
    if done.returncode:
        raise RuntimeError(done.stderr.strip().splitlines()[-1])
    return float(done.stdout)


def memory(gauge: str, backend: Backend, settings: Settings) -> dict[str, list[float]]:
    modules = portable_names(settings)
    native = LOOPS[backend].kernel
    modules[native] = f"native-{native}"
    figures: dict[str, list[float]] = {label: [] for label in modules}
    for _ in range(1 if settings.quick else 3):
        for label, module in modules.items():
            figures[label].append(bytes_each(module, backend, gauge))
    return figures


def row(gauge: str, title: str, **more: Any) -> SpecialRow:
    return SpecialRow(
        key=f"idle-{gauge}",
        title=f"memory per idle connection ({title})",
        label="memory per idle connection",
        unit="B",
        measure=partial(memory, gauge),
        **more,
    )


ROWS = (
    row("tracemalloc", "allocated", targets=(Target(ASYNCIO, 0.6),)),
    row("rss", "resident"),
)
