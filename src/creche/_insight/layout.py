r"""The file format of recordings: blocks, and records of four words. Both ends use it.

Owns the bytes. Knows neither who records nor who reads.

    b"creche recording 1\n"
    block*      kind (1 byte), length (4 bytes, little endian), payload

A block is one of

    H   JSON object: the head, once, first: "time" (seconds since the epoch at `clock`), "clock"
        (nanoseconds), "pid", "argv", "python", "creche", "steps" (whether steps are recorded), "simulated"
    T   JSON object: texts by number, before the records that use them
    E   records, 32 bytes each
    S   JSON object: "at" (nanoseconds), "keys" (the key of each task of the snapshot, by its number),
        "snapshot" (as `Snapshot.to_json`)
    V   JSON array of events as `recording.Event` has them, of a run whose time is not the machine's
    F   JSON object: the end: "at" (nanoseconds), "why", "lost" (records that were overwritten)

A file that was cut off is read up to its last whole block. Times are nanoseconds of one clock, and
signed 64-bit integers as all words are. A record is

    word 0     kind + lane * 2**8 + text * 2**24      a lane is a thread that runs a loop, or a worker
    word 1..3  by its kind, see below

A key stands for an object as long as that lives, and may then stand for another one: `TASK`, `GROUP`,
`ENTER` and `CALL` say that it does from now on. A step is written when it ends, so what a task does in a
step comes before the record of that step, in the same lane.
"""

from __future__ import annotations

import json
import struct
from typing import Any

MAGIC = b"creche recording 1\n"
BLOCK = struct.Struct("<cI")
WORDS = 4
RECORD = struct.Struct("<4q")
LANE = 8
"""The bit at which the lane begins."""
TEXT = 24
"""The bit at which the number of the text begins."""

STEP = 1
"""A step that has ended in a wait: task, begin, end. Text: what it waits for; none if it gave way."""
LAST = 2
"""A last step: task, begin, end. Text: how it has ended, if not by returning."""
TASK = 3
"""A task is there: task, time, group. Text: its name."""
GROUP = 4
"""A group is there: group, host task, scope. Text: where it was entered."""
WAITS = 5
"""What the next step of this lane ends in: resource, waiter, 0. Text: what it waits for."""
WAKES = 6
"""A waiter is granted: waiter, time, 0."""
CANCEL = 7
"""A scope is cancelled: scope, time, 0. Text: the reason."""
DEADLINE = 8
"""A deadline has passed: scope, time, 0. Text: whose."""
ENTER = 9
"""A scope is entered: scope, time, 1 if it is shielded. Text: where."""
LEAVE = 10
"""A scope was left: scope, time, 0."""
CALL = 11
"""A call in a worker begins: call, time, task. Text: the function."""
RETURN = 12
"""It has ended: call, time, 0."""
MARK = 13
"""Something to know: 0, time, task or 0. Text: what."""
CANCEL_TASK = 14
"""One task is cancelled, through its handle: task, time, 0."""

_MOST = 256 * 1024 * 1024
"""Bytes that a block may have."""


class NoRecordingError(ValueError):
    """A file is not a recording."""


def pack(kind: bytes, payload: bytes) -> bytes:
    """Return a block as bytes."""
    return BLOCK.pack(kind, len(payload)) + payload


def pack_json(kind: bytes, data: Any) -> bytes:
    """Return a block of JSON as bytes."""
    return pack(kind, json.dumps(data, ensure_ascii=False).encode("utf-8", "replace"))


def blocks_of(data: bytes) -> list[tuple[bytes, bytes]]:
    """Return the whole blocks of a file.

    :raises NoRecordingError: it is not a recording, or of a version that this Creche does not know
    """
    if not data.startswith(MAGIC):
        if data.startswith(MAGIC.rpartition(b" ")[0]):
            version = (
                data[: len(MAGIC) + 8]
                .split(b"\n")[0]
                .rpartition(b" ")[2]
                .decode("ascii", "replace")
            )
            raise NoRecordingError(
                f"this recording is of version {version!r}, and this Creche reads version 1: read it "
                f"with the Creche that made it"
            )
        raise NoRecordingError("this is not a recording: it does not begin as one")
    found: list[tuple[bytes, bytes]] = []
    at = len(MAGIC)
    while at + BLOCK.size <= len(data):
        kind, length = BLOCK.unpack_from(data, at)
        at += BLOCK.size
        if length > _MOST:
            raise NoRecordingError(f"the recording is damaged: a block says it has {length} bytes")
        if at + length > len(data):
            break
        found.append((kind, data[at : at + length]))
        at += length
    if not found or found[0][0] != b"H":
        raise NoRecordingError("the recording is damaged: it has no head")
    return found
