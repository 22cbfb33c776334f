"""The child process of one backend: measures the rows it is given, one JSON line for each.

Reads its order (backend, keys, settings) as JSON from standard input. Before a row it writes
``{"begin": key}``, so that the parent knows which row to blame if the process dies. A sample that
hangs ends the process with a traceback on standard error.
"""

from __future__ import annotations

import faulthandler
import gc
import json
import sys
from dataclasses import asdict
from functools import partial
from typing import Any

from .model import Backend, Row, Settings, SpecialRow, TimedRow
from .registry import by_key
from .runner import Outcome, describe, measure

SAMPLE_LIMIT = 60.0  # seconds; a sample takes a fraction of one
SPECIAL_LIMIT = 300.0


def say(message: dict[str, Any]) -> None:
    print(json.dumps(message), flush=True)


def guard(limit: float) -> None:
    faulthandler.dump_traceback_later(limit, exit=True)


def measure_row(row: Row, backend: Backend, settings: Settings) -> Outcome:
    if isinstance(row, TimedRow):
        return measure(row, backend, settings, partial(guard, SAMPLE_LIMIT))
    assert isinstance(row, SpecialRow)
    guard(SPECIAL_LIMIT)
    try:
        return Outcome(row.measure(backend, settings))
    except Exception as error:
        return Outcome(errors={row.key: describe(error)})


def main() -> None:
    order = json.load(sys.stdin)
    backend: Backend = order["backend"]
    settings = Settings(**order["settings"])
    gc.freeze()
    for key in order["keys"]:
        say({"begin": key})
        outcome = measure_row(by_key(key), backend, settings)
        faulthandler.cancel_dump_traceback_later()
        say({"end": key, **asdict(outcome)})


if __name__ == "__main__":
    main()
