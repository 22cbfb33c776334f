"""A recording in the Trace Event Format: what ui.perfetto.dev and chrome://tracing load.

Owns the mapping. The format is that of the document "Trace Event Format" of the Chromium project, as JSON.

    task               a thread of the process "tasks", named after it, with its spans as complete events (`X`)
    scope              an asynchronous slice (`b`, `e`) on the track of its task
    wake, cancel       a flow (`s`, `f`) from the slice of who did it to that of whom it was done to
    cancel, deadline, mark   an instant event (`i`)
    call in a worker   a thread of the process "workers"
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeAlias

from .recording import Event, Recording, Span

Json: TypeAlias = dict[str, Any]

TASKS, WORKERS = 1, 2
"""The two processes."""
LOOP = 0
"""The track of what no task has done."""


def export_perfetto(recording: Recording, path: str | os.PathLike[str]) -> None:
    """Write a recording as a file for ui.perfetto.dev.

    :raises OSError: it cannot be written
    """
    Path(path).write_text(json.dumps(trace_of(recording)), encoding="utf-8")


def trace_of(recording: Recording) -> Json:
    """Return a recording as an object of the Trace Event Format."""
    made = _Trace(recording)
    events = [*made.names(), *made.body()]
    return {
        "traceEvents": events,
        "displayTimeUnit": "ms",
        "otherData": {
            "program": " ".join(recording.argv),
            "pid": recording.pid,
            "python": recording.python,
            "why": recording.why,
        },
    }


class _Trace:
    """The events of one trace."""

    def __init__(self, recording: Recording) -> None:
        self._recording = recording
        self._spans = recording.spans()
        self._flows = 0
        self._workers: list[float] = []
        """For each track of workers, when its last call has ended."""

    def names(self) -> Iterator[Json]:
        """Yield the names of the tracks."""
        yield _meta("process_name", TASKS, LOOP, "tasks")
        yield _meta("process_name", WORKERS, LOOP, "workers")
        yield _meta("thread_name", TASKS, LOOP, "event loop")
        for task in self._recording.tasks.values():
            yield _meta("thread_name", TASKS, task.id, task.name)
            yield {"ph": "M", "name": "thread_sort_index", "pid": TASKS, "tid": task.id,
                   "args": {"sort_index": task.id}}  # fmt: skip

    def body(self) -> Iterator[Json]:
        """Yield what has happened."""
        for number, spans in self._spans.items():
            for span in spans:
                yield _slice(number, span)
        open_scopes: dict[tuple[int, int], str] = {}
        for event in self._recording.events:
            yield from self._event(event, open_scopes)
        for (task, scope), name in open_scopes.items():
            yield _scope("e", task, scope, name, self._recording.length)

    def _event(self, event: Event, open_scopes: dict[tuple[int, int], str]) -> Iterator[Json]:
        kind, track = event.kind, event.task if event.task is not None else event.by
        track = LOOP if track is None else track
        if kind == "call":
            yield self._call(event)
        elif kind in ("enter", "leave") and event.subject is not None:
            key = track, event.subject
            if kind == "enter" and key not in open_scopes:
                open_scopes[key] = f"scope {event.text}".rstrip()
                yield _scope("b", *key, open_scopes[key], event.time)
            elif kind == "leave" and key in open_scopes:
                yield _scope("e", *key, open_scopes.pop(key), event.time)
        elif kind in ("cancel", "deadline", "mark"):
            yield {"ph": "i", "name": f"{kind}: {event.text}".rstrip(": "), "cat": kind, "s": "t",
                   "pid": TASKS, "tid": track, "ts": _micros(event.time)}  # fmt: skip
        if (
            kind in ("wake", "cancel")
            and event.by is not None
            and event.task not in (None, event.by)
        ):
            yield from self._flow(event)

    def _flow(self, event: Event) -> Iterator[Json]:
        """Yield an arrow from a moment in the step of one task to the next step of another."""
        assert event.task is not None and event.by is not None, "asked before"
        spans = self._spans.get(event.task, [])
        begin = next((span.begin for span in spans
                      if span.state == "running" and span.begin >= event.time), None)  # fmt: skip
        if begin is None:
            return
        self._flows += 1
        common = {"name": event.kind, "cat": event.kind, "id": self._flows, "pid": TASKS}
        yield {"ph": "s", "tid": event.by, "ts": _micros(event.time), **common}
        yield {"ph": "f", "bp": "e", "tid": event.task, "ts": _micros(begin), **common}

    def _call(self, event: Event) -> Json:
        until = self._recording.length if event.until is None else event.until
        for place, ended in enumerate(self._workers):
            if ended <= event.time:
                self._workers[place] = until
                break
        else:
            place = len(self._workers)
            self._workers.append(until)
        return {"ph": "X", "name": event.text or "call", "cat": "call", "pid": WORKERS,
                "tid": place + 1, "ts": _micros(event.time), "dur": _micros(until - event.time),
                "args": {"task": event.task}}  # fmt: skip


def _meta(name: str, process: int, thread: int, value: str) -> Json:
    return {"ph": "M", "name": name, "pid": process, "tid": thread, "args": {"name": value}}


def _slice(task: int, span: Span) -> Json:
    name = span.state if not span.text or span.state == "running" else f"{span.state}: {span.text}"
    return {"ph": "X", "name": name, "cat": span.state, "pid": TASKS, "tid": task,
            "ts": _micros(span.begin), "dur": _micros(max(span.end - span.begin, 0.0)),
            "args": {"for": span.text, "by": span.by}}  # fmt: skip


def _scope(phase: str, task: int, scope: int, name: str, time: float) -> Json:
    return {"ph": phase, "name": name, "cat": "scope", "id": f"{task}.{scope}", "pid": TASKS,
            "tid": task, "ts": _micros(time)}  # fmt: skip


def _micros(seconds: float) -> float:
    """Return a time in the unit of the format. Not below 0, which viewers refuse."""
    return round(max(seconds, 0.0) * 1e6, 3)
