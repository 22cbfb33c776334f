"""The spans of tasks: what each task was, from when to when. Made of the events of a recording.

Owns the rule by which one follows the other:

    running   from the begin of a step to its end
    waiting   from there to the wake, or to the next step where nobody has seen the wake
    ready     from the wake, or from the end of a step that gave way, to the next step
    cancelling  in the place of waiting, from a cancel of the task or of a scope that it is in
    shielded    the same, where a shield keeps the cancel from it
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
    """The spans so far, and which tasks are in which scopes."""

    def __init__(self, recording: Recording) -> None:
        self.found: dict[int, list[Span]] = {number: [] for number in recording.tasks}
        self._scopes: dict[int, list[tuple[int, bool]]] = {}
        """By task, the scopes that it is in, outermost first: that of its group, and those it has entered.
        And whether they are shielded."""
        self._inside: dict[int, set[int]] = {}
        """By scope, the tasks that are in it directly."""

    def take(self, event: Event) -> None:
        """Take the next event."""
        kind, number = event.kind, event.task
        if kind in ("cancel", "deadline") and event.subject is not None:
            self._cancel(event, event.subject, shielded=False)
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
            for scope, _ in self._scopes.pop(number, ()):
                self._inside[scope].discard(number)
        elif event.subject is not None and kind in ("enter", "start"):
            self._scopes.setdefault(number, []).append((event.subject, event.shield))
            self._inside.setdefault(event.subject, set()).add(number)
        elif event.subject is not None and kind == "leave":
            self._leave(number, event.subject)

    def _leave(self, number: int, scope: int) -> None:
        """A task has left a scope, and with it those inside whose end was not seen."""
        scopes = self._scopes.get(number, [])
        while any(each == scope for each, _ in scopes):
            left, _ = scopes.pop()
            self._inside[left].discard(number)

    def _cancel(self, event: Event, scope: int, *, shielded: bool) -> None:
        """Turn the tasks in a scope, and in the groups that were opened in it."""
        for number in tuple(self._inside.get(scope, ())):
            kept_out, reached = shielded, False
            for each, shield in self._scopes.get(number, ()):
                if each == scope:
                    reached = True
                elif reached:
                    kept_out = kept_out or shield
                    if event.subject != each:
                        self._cancel_children(event, each, number, shielded=kept_out)
            _turn(self.found[number], event, "shielded" if kept_out else "cancelling")

    def _cancel_children(self, event: Event, group: int, host: int, *, shielded: bool) -> None:
        for child in tuple(self._inside.get(group, ())):
            if child != host and self._scopes.get(child, [(0, False)])[0][0] == group:
                kept_out = shielded
                for each, shield in self._scopes[child][1:]:
                    kept_out = kept_out or shield
                    self._cancel_children(event, each, child, shielded=kept_out)
                _turn(self.found[child], event, "shielded" if kept_out else "cancelling")


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
