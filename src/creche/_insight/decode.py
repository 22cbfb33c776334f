"""From the records of a file to events: the reader's inner part.

Owns the numbers of tasks and other objects, and who did what. What happens in a lane between the begin
and the end of a step was done by the task of that step, whose record comes after it.

    key --TASK, GROUP, ENTER, CALL--> a new number, until the same key comes again
"""

from __future__ import annotations

import json
from typing import Any

from .._introspection.naming import short
from . import layout
from .recording import Event, RecordedTask, Recording, event_of, moment_of

_UNKNOWN = -1


class Decoder:
    """Fills one recording."""

    def __init__(self, recording: Recording, clock: int) -> None:
        self._recording = recording
        self._clock = clock
        self._texts: dict[int, str] = {0: ""}
        self._next = -1
        """Numbers are negative until all snapshots, which may know better ones, are read."""
        self._keys: dict[int, int] = {}
        """The number of each task by its key."""
        self._better: dict[int, int] = {}
        self._things: dict[int, int] = {}
        self._next_thing = 1
        self._tasks = recording.tasks
        self._by_number: dict[int, RecordedTask] = {}
        self._waiters: dict[int, int] = {}
        """The task that waits, by the key of its waiter."""
        self._waits: dict[int, tuple[int, int, int]] = {}
        """By lane, what its next step ends in: resource, waiter, text."""
        self._pending: dict[int, list[Event]] = {}
        """By lane, what was done there since its last step."""
        self._calls: dict[int, Event] = {}
        self._groups: dict[int, tuple[int | None, set[int]]] = {}
        """By group: its host, and its tasks."""
        self._group_of: dict[int, int] = {}
        """The key of the group of each task."""
        self._held_by: dict[int, int] = {}
        """The group that a task waits for."""

    def take(self, kind: bytes, payload: bytes) -> None:
        """Take the next block."""
        if kind == b"E":
            records = layout.RECORD.iter_unpack(payload[: len(payload) // 32 * 32])
            for tag, first, second, third in records:
                self._take_record(tag, first, second, third)
            return
        if kind not in (b"T", b"S", b"V", b"F"):
            return  # Of a later Creche, which says that one need not know it.
        data: Any = json.loads(payload)
        if kind == b"T":
            self._texts.update((int(number), str(text)) for number, text in data.items())
        elif kind == b"S":
            self._take_snapshot(data)
        elif kind == b"V":
            self._take_events(data)
        else:
            self._recording.why = str(data.get("why", ""))
            self._recording.lost = int(data.get("lost", 0))
            self._reach(self._seconds(int(data["at"])))

    def finish(self) -> None:
        """All blocks were taken: give the tasks their last numbers, and put the events in order."""
        recording = self._recording
        highest = max((task.id for moment in recording.snapshots for task in moment.snapshot.tasks),
                      default=0)  # fmt: skip
        final: dict[int, int] = {}
        for number in self._by_number:
            better = self._better.get(number, 0)
            if number > 0:
                better = number
            elif not better:
                highest += 1
                better = highest
            final[number] = better
        for number, task in self._by_number.items():
            task.id = final[number]
            task.parent = None if task.parent is None else final.get(task.parent)
            self._tasks[task.id] = task
        for event in recording.events:
            if event.task is not None:
                event.task = final.get(event.task, event.task)
            if event.by is not None:
                event.by = final.get(event.by, event.by)
        recording.events.sort(key=_when)

    def _seconds(self, time: int) -> float:
        return (time - self._clock) / 1e9

    def _reach(self, seconds: float) -> None:
        self._recording.length = max(self._recording.length, seconds)

    # Tasks and other objects

    def _task(self, key: int) -> int:
        """Return the number of a task; one that nobody has told of was there before."""
        number = self._keys.get(key)
        if number is None:
            number = self._new_task(key, f"task {-self._next}")
        return number

    def _new_task(self, key: int, name: str) -> int:
        number, self._next = self._next, self._next - 1
        self._keys[key] = number
        self._by_number[number] = RecordedTask(number, short(name))
        return number

    def _thing(self, key: int) -> int:
        number = self._things.get(key)
        if number is None:
            number = self._things[key] = self._next_thing
            self._next_thing += 1
        return number

    def _new_thing(self, key: int) -> int:
        self._things.pop(key, None)
        return self._thing(key)

    # Blocks

    def _take_snapshot(self, data: Any) -> None:
        moment = moment_of(self._seconds(int(data["at"])), data["snapshot"])
        self._recording.snapshots.append(moment)
        self._reach(moment.time)
        known = {task.id: task for task in moment.snapshot.tasks}
        for text, key in data["keys"].items():
            task = known.get(int(text))
            if task is not None:
                number = self._task(int(key))
                self._better[number] = task.id
                self._by_number[number].name = task.name
        for task in known.values():
            if task.parent is not None and str(task.parent) in data["keys"]:
                mine = self._by_number[self._task(int(data["keys"][str(task.id)]))]
                if mine.parent is None:
                    mine.parent = self._task(int(data["keys"][str(task.parent)]))

    def _take_events(self, data: Any) -> None:
        for each in data:
            event = event_of(each)
            if event.task is not None and event.task not in self._by_number:
                self._by_number[event.task] = RecordedTask(event.task, f"task {event.task}")
            if event.kind == "start" and event.task is not None:
                task = self._by_number[event.task]
                task.name, task.began, task.parent = event.text, event.time, event.by
            elif event.kind == "end" and event.task is not None:
                task = self._by_number[event.task]
                task.ended, task.outcome = event.time, event.text or "returned"
            self._recording.events.append(event)
            self._reach(event.time if event.until is None else event.until)

    def _take_record(self, tag: int, first: int, second: int, third: int) -> None:
        kind, lane, text = tag & 0xFF, (tag >> layout.LANE) & 0xFFFF, tag >> layout.TEXT
        words = self._texts.get(text, "")
        if kind in (layout.STEP, layout.LAST):
            self._step(lane, first, second, third, words, last=kind == layout.LAST)
        elif kind == layout.WAITS:
            self._waits[lane] = first, second, text
        elif kind == layout.TASK:
            self._start(lane, first, second, third, words)
        elif kind == layout.GROUP:
            host = self._task(second) if second else None
            self._groups[first] = host, set()
        elif kind == layout.CALL:
            number = self._new_thing(first)
            event = Event(self._seconds(second), "call", self._task(third) if third else None)
            event.subject, event.text, event.lane = number, words, lane
            self._calls[first] = event
            self._note(event)
        elif kind == layout.RETURN:
            call = self._calls.pop(first, None)
            if call is not None:
                call.until = self._seconds(second)
                self._reach(call.until)
        else:
            self._moment(kind, lane, first, second, third, words)

    def _moment(self, kind: int, lane: int, first: int, second: int, third: int, text: str) -> None:
        """Take a record of what happens in no time."""
        name = _NAMES.get(kind)
        if name is None:
            return
        event = Event(self._seconds(second), name, text=text, lane=lane)
        if kind == layout.WAKES:
            event.task = self._waiters.pop(first, None)
            if event.task is None:
                return  # It was looked at, and not woken, or nobody has seen it wait.
        elif kind == layout.CANCEL_TASK:
            event.task = self._task(first)
        elif kind == layout.MARK:
            event.task = self._task(third) if third else None
        else:
            event.subject = self._new_thing(first) if kind == layout.ENTER else self._thing(first)
            event.shield = kind == layout.ENTER and third == 1
        self._note(event)
        if kind != layout.DEADLINE:
            self._pending.setdefault(lane, []).append(event)

    def _note(self, event: Event) -> None:
        self._recording.events.append(event)
        self._reach(event.time)

    def _start(self, lane: int, key: int, time: int, group: int, name: str) -> None:
        number = self._new_task(key, name)
        task = self._by_number[number]
        task.began = self._seconds(time)
        host, members = self._groups.get(group, (None, set[int]()))
        members.add(number)
        if group:
            task.parent, task.group = host, self._thing(group)
            self._group_of[number] = group
        event = Event(task.began, "start", number, host, task.group, name, lane=lane)
        self._note(event)

    def _step(self, lane: int, key: int, begin: int, end: int, text: str, *, last: bool) -> None:
        number = self._task(key)
        if self._by_number[number].ended is not None:
            return  # Its end was told before, for it might not have returned.
        event = Event(self._seconds(begin), "step", number, lane=lane)
        event.until = self._seconds(end)
        if begin == end:  # Its begin was not seen: it is older than what was done in it.
            event.time = min([event.time, *(each.time for each in self._pending.get(lane, ()))])
        self._note(event)
        self._reach(event.until)
        for done in self._pending.pop(lane, ()):
            if done.time >= event.time and done.kind != "deadline":
                done.by = number
                if done.kind in ("enter", "leave"):
                    done.task, done.by = number, None
                elif done.kind == "mark" and done.task is None:
                    done.task = number
        waits = self._waits.pop(lane, None)
        self._held_by.pop(number, None)
        if last:
            self._end(number, event.until, text, lane)
        elif waits is not None:
            resource, waiter, words = waits
            event.text = self._texts.get(words, "")
            event.subject = self._thing(resource) if resource else None
            if waiter:
                self._waiters[waiter] = number
            if resource in self._groups:
                self._held_by[number] = resource
        elif text:
            event.text = text

    def _end(self, number: int, time: float, text: str, lane: int) -> None:
        task = self._by_number[number]
        task.ended, task.outcome = time, text or "returned"
        self._note(Event(time, "end", number, text=text, lane=lane))
        group = self._group_of.pop(number, 0)
        host, members = self._groups.get(group, (None, set[int]()))
        members.discard(number)
        if host is not None and not members and self._held_by.get(host) == group:
            self._note(Event(time, "wake", host, number, lane=lane))


_NAMES = {
    layout.WAKES: "wake", layout.CANCEL: "cancel", layout.CANCEL_TASK: "cancel",
    layout.DEADLINE: "deadline", layout.ENTER: "enter", layout.LEAVE: "leave", layout.MARK: "mark",
}  # fmt: skip


def _when(event: Event) -> float:
    return event.time
