"""Snapshots as messages: only what has changed is told, and time that passes is no change."""

from __future__ import annotations

from dataclasses import replace

from creche._insight.model import (
    VERSION,
    Lint,
    Loop,
    Place,
    Resource,
    Scope,
    Service,
    Snapshot,
    Task,
    Wait,
)
from creche._insight_view.changes import Changes, stack_of


def task(number: int, **others: object) -> Task:
    made = Task(number, f"task {number}", f"task {number}", "child", "waiting", None, None, None)
    return replace(made, **others)  # type: ignore[arg-type]  # whatever the test is about


def snapshot(time: float, *tasks: Task, resources: tuple[Resource, ...] = ()) -> Snapshot:
    loop = Loop(7, "asyncio", "MainThread", False, "idle", None, tasks, (), resources)
    return Snapshot(VERSION, time, 1, "3.13", ("app.py",), (loop,))


def test_the_first_message_is_full_and_the_next_tells_what_changed() -> None:
    changes = Changes()
    first = changes.next(snapshot(100, task(1), task(2)), full=True)
    assert first["full"] and [each["id"] for each in first["tasks"]] == [1, 2]
    assert first["program"] == {"pid": 1, "python": "3.13", "command": "app.py"}
    assert changes.next(snapshot(101, task(1), task(2)), full=False) == {"t": 101}
    second = changes.next(snapshot(102, task(1, state="ready"), task(3)), full=False)
    assert [(each["id"], each["state"]) for each in second["tasks"]] == [
        (1, "ready"),
        (3, "waiting"),
    ]
    assert second["gone"] == [2]


def test_time_that_passes_is_no_change() -> None:
    changes = Changes()

    def at(now: float) -> Snapshot:
        scope = Scope(5, "open", False, 160.0 - now + 0.1 * (now % 2), None, None, None)
        return snapshot(now, task(1, since=now - 90.0, scopes=(scope,)))

    first = changes.next(at(100), full=True)
    assert first["tasks"][0]["since"] == 90.0 and first["scopes"][0]["deadline"] == 160.0
    assert changes.next(at(101), full=False) == {"t": 101}


def test_scopes_resources_and_figures_are_told_once() -> None:
    changes = Changes()
    scope = Scope(5, "open", False, None, None, None, None)
    wait = Wait("Lock 'a'", "release()", resource=9, holders=(2,))
    lock = Resource(9, "Lock", "Lock 'a'", (2,), (1,))
    one = snapshot(1, task(1, scopes=(scope,), wait=wait, busy=0.5, steps=3), resources=(lock,))
    first = changes.next(one, full=True)
    assert first["tasks"][0]["wait"] == {
        "what": "Lock 'a'",
        "takes": "release()",
        "resource": 9,
        "holders": [2],
    }
    assert first["resources"][0]["holders"] == [2] and first["figures"] == [(1, 0.5, 3)]
    cancelled = replace(scope, state="cancelled", reason="because")
    two = snapshot(2, task(1, scopes=(cancelled,), wait=wait, busy=0.6, steps=4), resources=(lock,))
    second = changes.next(two, full=False)
    assert set(second) == {"t", "scopes", "figures"} and second["scopes"][0]["reason"] == "because"


def test_what_looks_wrong_and_services_are_told_as_a_whole() -> None:
    changes = Changes()
    first = changes.next(snapshot(1, task(1)), full=True)
    assert first["lints"] == first["services"] == []
    seen = snapshot(2, task(1))
    (loop,) = seen.loops
    place = Place("app.py", 3, "feed")
    loop.lints = (
        Lint("held", "feed holds a lock", 1, place, 9.0),
        Lint("circle", "told by the circles", 1, place, 9.0),
    )
    loop.services = (Service("mail", "waiting", 2, "OSError('no')", 1, None),)
    second = changes.next(seen, full=False)
    assert second["lints"] == [["held", "feed holds a lock", 1, ("app.py:3", "feed")]]
    assert second["services"] == [
        {
            "name": "mail",
            "text": "waiting to be restarted, 2 restarts, last OSError('no')",
            "supervisor": 1,
            "task": None,
        }
    ]
    assert changes.next(seen, full=False) == {"t": 2}


def test_a_stack_is_that_of_one_task() -> None:
    assert stack_of(1, [task(1)]) == []
    assert stack_of(2, [task(1)]) is None
