"""A simulated run as a recording: what `creche web` and `creche export` open.

Owns the way from the lines of a `Trace` to events. Time there is the test's own, so each step of a task takes
`STEP` in the recording, and comes after the one before.
"""

from __future__ import annotations

import os
import platform
import sys
import time
from dataclasses import asdict
from pathlib import Path

from .._insight import layout
from .._insight.recording import Event
from ._trace import Line, Trace

STEP = 0.001
"""Seconds that each step takes."""


def write(trace: Trace, path: str | os.PathLike[str], why: str) -> None:
    """Write the run of a trace as a recording.

    :raises OSError: the file cannot be written
    """
    head = {
        "time": time.time(),
        "clock": 0,
        "pid": os.getpid(),
        "argv": list(sys.argv),
        "python": platform.python_version(),
        "steps": True,
        "simulated": True,
    }
    end = {"at": int(len(trace.lines) * STEP * 1e9), "why": why}
    events = [asdict(event) for event in events_of(trace.lines)]
    blocks = ((b"H", head), (b"V", events), (b"F", end))
    Path(path).write_bytes(
        layout.MAGIC + b"".join(layout.pack_json(kind, data) for kind, data in blocks)
    )


def events_of(lines: list[Line]) -> list[Event]:
    """Return the events of a run: a task starts with its first step."""
    numbers: dict[str, int] = {}
    events: list[Event] = []
    for place, line in enumerate(lines):
        begin, until = place * STEP, (place + 1) * STEP
        number = numbers.get(line.task)
        if number is None:
            number = numbers[line.task] = len(numbers) + 1
            events.append(Event(begin, "start", number, text=line.task))
        step = Event(begin, "step", number, until=until)
        events.append(step)
        if line.then == "has ended" or line.then.startswith("raises "):
            outcome = line.then.replace("raises ", "failed ") if "raises" in line.then else ""
            events.append(Event(until, "end", number, text=outcome))
        elif line.then != "gives way":
            step.text = f"{line.then.removeprefix('waits for ')} at {line.place}".removesuffix(
                " at "
            )
    return events
