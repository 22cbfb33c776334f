"""Recordings, as they are read: what the tasks of a program did, in order.

Owns the way from the records of a file (`layout.py`) to events with small numbers and times in seconds,
and to the spans of each task. Knows no loop, and nothing of how things are shown: the page, `creche
export` and tests read recordings through this.

    recording = read_recording("run.creche")
    recording.events          in the order of time
    recording.tasks           by number: the numbers that the snapshots in the file use, too
    recording.spans()         what each task was, from when to when
    recording.snapshots       whole snapshots, with the moment of each
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from . import layout
from .layout import NoRecordingError as NoRecordingError
from .model import Snapshot, from_dict


@dataclass(slots=True)
class Event:
    """Something that happened. Times are seconds since the recording began."""

    time: float
    kind: str
    """
    `start`     a task has begun; `by`: the task whose step it was, `group`
    `step`      a task ran from `time` to `until`; `text`: what it waits for then, `subject`: the resource;
                none if it only gave way
    `end`       a task has ended; `text`: `failed ...` or `cancelled`, else empty
    `wake`      a task was woken; `by`: who did it
    `cancel`    a scope (`subject`) or a task was cancelled; `by`: who did it, `text`: the reason
    `deadline`  the deadline of a scope (`subject`) has passed
    `enter`     `task` has entered a scope (`subject`); `text`: where
    `leave`     it has left it
    `call`      a worker made a call for `task`, from `time` to `until`; `text`: the function
    `mark`      something to know, in `text`: a lint, a deadlock, a note of the program
    """
    task: int | None = None
    by: int | None = None
    """The task that did it, None for the loop, a clock, a thread, or a task that nobody watched."""
    subject: int | None = None
    """The number of a scope, resource or call."""
    text: str = ""
    until: float | None = None
    lane: int = 0
    """Which thread it was in."""
    shield: bool = False
    """Of a scope that is entered: whether it is shielded."""


@dataclass(slots=True)
class RecordedTask:
    """A task of a recording."""

    id: int
    name: str
    parent: int | None = None
    """The task that its group belongs to."""
    group: int | None = None
    began: float | None = None
    """When it took its first step, None if that was before the recording."""
    ended: float | None = None
    outcome: str = ""
    """How it has ended: `returned`, `cancelled` or `failed ...`; empty if it has not."""


@dataclass(slots=True)
class Span:
    """What a task was for some time."""

    begin: float
    end: float
    state: str
    """`running`, `ready`, `waiting`, `cancelling` or `shielded`."""
    text: str = ""
    """What it waited for."""
    by: int | None = None
    """The task that ended the wait, where that is known."""


@dataclass(slots=True)
class Moment:
    """A snapshot, and when it was made, in seconds since the recording began."""

    time: float
    snapshot: Snapshot


@dataclass(slots=True)
class Recording:
    """What was recorded of a program."""

    time: float
    """When it began, in seconds since the epoch."""
    length: float = 0.0
    """Seconds from its beginning to its end."""
    pid: int = 0
    argv: tuple[str, ...] = ()
    python: str = ""
    steps: bool = True
    """Whether steps of tasks were recorded. They are left out on Python 3.11."""
    simulated: bool = False
    """Whether it is a simulated run: then each step takes a millisecond of its own."""
    why: str = ""
    """Why it ends: empty if it was simply ended, else what went wrong."""
    lost: int = 0
    """How many records had no room in the ring any more."""
    tasks: dict[int, RecordedTask] = field(default_factory=dict[int, RecordedTask])
    events: list[Event] = field(default_factory=list[Event])
    snapshots: list[Moment] = field(default_factory=list[Moment])

    def spans(self) -> dict[int, list[Span]]:
        """Return what each task was, in order, by its number."""
        from .spans import spans_of

        return spans_of(self)

    def to_dict(self) -> dict[str, Any]:
        """Return all of it as what JSON can hold; snapshots as `Snapshot.to_json` writes them."""
        moments, self.snapshots = self.snapshots, []
        try:
            data = asdict(self)
        finally:
            self.snapshots = moments
        data["snapshots"] = [
            {"time": moment.time, "snapshot": json.loads(moment.snapshot.to_json())}
            for moment in moments
        ]
        return data


def read_recording(path: str | os.PathLike[str]) -> Recording:
    """Read a recording that `record` has written.

    A file whose program was killed is read as far as it goes.

    :param path: the file
    :raises OSError: it cannot be read
    :raises ValueError: it is not a recording, or one of another version
    """
    try:
        return recording_of(Path(path).read_bytes())
    except NoRecordingError as exc:
        raise NoRecordingError(f"{os.fspath(path)!r}: {exc}") from None


def recording_of(data: bytes) -> Recording:
    """Make a recording of the bytes of a file."""
    from .decode import Decoder

    blocks = layout.blocks_of(data)
    try:
        head: Any = json.loads(blocks[0][1])
        recording = Recording(
            float(head["time"]),
            pid=int(head.get("pid", 0)),
            argv=tuple(map(str, head.get("argv", ()))),
            python=str(head.get("python", "")),
            steps=bool(head.get("steps", True)),
            simulated=bool(head.get("simulated", False)),
        )
        decoder = Decoder(recording, int(head["clock"]))
        for kind, payload in blocks[1:]:
            decoder.take(kind, payload)
        decoder.finish()
    except (KeyError, TypeError, ValueError, AttributeError, UnicodeDecodeError) as exc:
        raise NoRecordingError(f"the recording is damaged ({exc!r})") from None
    return recording


def event_of(data: dict[str, Any]) -> Event:
    """Make an event of its JSON."""
    return Event(**data)


def moment_of(time: float, data: Any) -> Moment:
    """Make a moment of the JSON of its snapshot."""
    return Moment(time, from_dict(data))
