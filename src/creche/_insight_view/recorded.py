"""A recording as one message for the page.

Owns the joining of a recording's spans, which say when, with its snapshots, which say where, held by whom,
and inside which scopes. Knows no files.

The message is a full one (`changes.py`) with two more keys: `recorded` is true, and `history` holds all
versions of each task, as `static/model.js` keeps them.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import Any

from .._insight.recording import RecordedTask, Recording, Span
from .changes import FRAME, Changes, Message
from .history import History

MOST_SPANS = 200_000
"""Spans that a page is given. Of more, the shortest are left out."""
HUNDREDS = 20_000
"""The parts of a recording's length below which a span is short."""


class RecordedSource:
    """A recording, as a source of messages."""

    def __init__(self, recording: Recording, history: History) -> None:
        self.pages = 0
        self._recording = recording
        self._history = history

    async def run(self) -> None:
        """Tell all there is."""
        for message in messages_of(self._recording):
            self._history.add(message)

    async def stack(self, task: int) -> object:
        """Return the stack of a task: None, for a recording has none."""
        return None


def messages_of(recording: Recording) -> list[Message]:
    """Return the messages that show a recording, the last of which ends it."""
    told = _Told(recording)
    return [told.message(), {"t": recording.time + recording.length, "end": told.why()}]


class _Told:
    """A recording while its message is made."""

    def __init__(self, recording: Recording) -> None:
        self._recording = recording
        self._seen: dict[int, list[tuple[float, Message]]] = {}
        """What the snapshots say of each task, in the order of time."""
        self._frames: list[Message] = []
        self._scopes: list[Message] = []
        self._resources: dict[int, Message] = {}
        self._by_name: dict[str, int] = {}
        self._loop = 0
        self._coarse = False

    def message(self) -> Message:
        recording = self._recording
        for moment in recording.snapshots:
            self._take(moment.time, Changes().next(moment.snapshot, full=True))
        if not self._frames:
            self._frames = [
                {**dict.fromkeys(FRAME, ()), "t": recording.time, "loops": [_LOOP], "missing": ""}
            ]
        self._frames[0]["t"] = recording.time
        self._by_name = {each["name"]: number for number, each in self._resources.items()}
        spans = recording.spans()
        shortest = self._shortest(spans)
        history = [
            self._task(task, spans.get(task.id, []), shortest) for task in recording.tasks.values()
        ]
        self._frames[-1]["missing"] = self._missing()
        return {
            "t": recording.time + recording.length,
            "full": True,
            "recorded": True,
            "begin": recording.time,
            "program": {
                "pid": recording.pid, "python": recording.python, "command": " ".join(recording.argv),
            },
            "history": [each for each in history if each["versions"]],
            "scopes": self._scopes,
            "resources": list(self._resources.values()),
            "frames": self._frames,
        }  # fmt: skip

    def why(self) -> str:
        """Say why the recording ends."""
        return (
            f"The recording ends: {self._recording.why}."
            if self._recording.why
            else "The recording ends."
        )

    def _missing(self) -> str:
        gaps: list[str] = []
        if not self._recording.steps:
            gaps.append("steps were not recorded: that needs Python 3.12")
        if self._recording.lost:
            gaps.append(f"the oldest {self._recording.lost} records had no room")
        if self._coarse:
            gaps.append("the shortest steps are left out")
        return "; ".join(gaps)

    def _take(self, time: float, told: Message) -> None:
        begin = self._recording.time
        for task in told.get("tasks", ()):
            self._seen.setdefault(task["id"], []).append((time, task))
        frame = {key: told[key] for key in FRAME}
        self._frames.append({"t": begin + time, **frame})
        self._scopes.extend({**scope, "t": begin + time} for scope in told.get("scopes", ()))
        self._resources.update({each["id"]: each for each in told.get("resources", ())})
        if told["loops"] and not self._loop:
            self._loop = told["loops"][0]["id"]

    def _shortest(self, spans: dict[int, list[Span]]) -> float:
        if sum(map(len, spans.values())) <= MOST_SPANS:
            return 0.0
        self._coarse = True
        return self._recording.length / HUNDREDS

    def _task(self, task: RecordedTask, spans: list[Span], shortest: float) -> Message:
        begin = self._recording.time
        seen = self._seen.get(task.id, [])
        base: Message = {
            "id": task.id, "loop": self._loop, "name": task.name, "full": task.name, "kind": "child",
            "parent": task.parent, "state": "waiting", "place": None,
        }  # fmt: skip
        if not spans and seen:  # It took no step.
            spans = [Span(task.began or 0.0, self._recording.length, seen[0][1]["state"])]
        versions: list[Message] = []
        for span in spans:
            if span.end - span.begin >= shortest or not versions:
                versions.append({"t": begin + span.begin, **self._version(base, seen, span)})
        gone = None if task.ended is None else begin + task.ended
        return {"id": task.id, "gone": gone, "versions": versions}

    def _version(self, base: Message, seen: list[tuple[float, Message]], span: Span) -> Message:
        """Return what a task was in a span: what a snapshot says, as far as it speaks of this wait."""
        at = min(bisect_left(seen, span.begin, key=_time), len(seen) - 1)
        known = seen[at][1] if seen else base
        made = {**known, "state": span.state, "since": self._recording.time + span.begin}
        inside = bool(seen) and span.begin <= seen[at][0] <= span.end
        if not inside:
            made.pop("wait", None)
            if span.text and span.state != "running":
                made["wait"] = self._wait(span.text)
            if span.state == "running":
                made["place"] = None
        return made

    def _wait(self, text: str) -> Message:
        resource = self._by_name.get(text)
        known: Message = {} if resource is None else {"resource": resource}
        return {"what": text, "takes": "", **known}


def _time(pair: tuple[float, Any]) -> float:
    return pair[0]


_LOOP = {"id": 0, "backend": "", "thread": "", "simulated": False, "state": "idle", "blocked": None}
