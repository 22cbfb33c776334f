"""The spans of tasks: what each task was, from when to when. Made of the events of a recording.

Owns the rule by which one follows the other:

    running   from the begin of a step to its end
    waiting   from there to the wake, or to the next step where nobody has seen the wake
    ready     from the wake, or from the end of a step that gave way, to the next step
    cancelling  in the place of waiting, from a cancel of the task or of a scope that it is in
"""

from __future__ import annotations

from .recording import Event, Recording, Span


def spans_of(recording: Recording) -> dict[int, list[Span]]:
    """Return the spans of each task, by its number, in order."""
    made = _Spans(recording)
    for event in recording.events:
        made.take(event)
    for number, spans in made.found.items():
        if spans and spans[-1].state != "running" and recording.tasks[number].ended is None:
            spans[-1].end = recording.length
    return made.found


class _Spans:
    """The spans so far, and which tasks are in which scope."""

    def __init__(self, recording: Recording) -> None:
        self.found: dict[int, list[Span]] = {number: [] for number in recording.tasks}
        self._inside: dict[int | None, set[int]] = {}

    def take(self, event: Event) -> None:
        """Take the next event."""
        kind, number = event.kind, event.task
        if kind in ("cancel", "deadline") and event.subject is not None:
            for inside in self._inside.get(event.subject, ()):
                _turn(self.found[inside], event, "cancelling")
        if number is None or number not in self.found:
            return
        spans = self.found[number]
        if kind == "step":
            _step(spans, event)
        elif kind in ("wake", "cancel"):
            _turn(spans, event, "ready" if kind == "wake" else "cancelling")
        elif kind == "end":
            if spans and spans[-1].state != "running":
                spans.pop()
        elif kind == "leave":
            self._inside.get(event.subject, set[int]()).discard(number)
        elif kind in ("enter", "start"):
            self._inside.setdefault(event.subject, set()).add(number)


def _step(spans: list[Span], event: Event) -> None:
    until = event.time if event.until is None else event.until
    if spans and spans[-1].state != "running":
        spans[-1].end = event.time
        if spans[-1].end <= spans[-1].begin:
            spans.pop()
    spans.append(Span(event.time, until, "running"))
    spans.append(Span(until, until, "waiting" if event.text else "ready", event.text))


def _turn(spans: list[Span], event: Event, state: str) -> None:
    """What a task waited in has changed: another span begins, until its next step."""
    if not spans or spans[-1].state == "running":
        return
    last = spans[-1]
    if event.time < last.begin or last.state in (state, "ready"):
        return
    last.end = event.time
    if last.end <= last.begin:
        spans.pop()
    spans.append(Span(event.time, event.time, state, last.text, event.by))
