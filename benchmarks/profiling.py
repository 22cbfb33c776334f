"""Where the time of a row goes: Creche's side of it alone, under cProfile.

The profiler taxes every call, so its figures show shares, not costs.
"""

from __future__ import annotations

import cProfile
import pstats

from .model import CRECHE, Backend, Row, Settings, TimedRow
from .runner import Outcome, contestants, size_of_sample

SECONDS = 0.3
LINES = 18


def profile_row(row: Row, backend: Backend, settings: Settings) -> None:
    if not isinstance(row, TimedRow):
        return
    sample = contestants(row, backend, settings, Outcome()).get(CRECHE)
    if sample is None:
        return
    n = size_of_sample(row, sample, SECONDS)
    profiler = cProfile.Profile()
    with profiler:
        sample(n)
    print(f"\n{row.title}, on {backend}, {n} operations")
    pstats.Stats(profiler).strip_dirs().sort_stats("tottime").print_stats(LINES)
