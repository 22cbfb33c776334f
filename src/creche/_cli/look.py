"""`creche tree` and `creche ps`: what the tasks of a running program do, from another process.

Owns what is printed. The program is found and asked by `_insight/ask.py`.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys

from .._insight.ask import TargetError, connect, programs
from .._insight.model import Snapshot, Task
from .._insight.text import text_of
from .colour import write_tree
from .screen import Mistake


def show_tree(options: argparse.Namespace) -> int:
    """Print one snapshot."""
    try:
        with connect(options.pid) as target:
            snapshot = target.snapshot(stacks=options.stacks)
    except TargetError as exc:
        raise Mistake(str(exc)) from None
    only = None if options.filter is None else matching(snapshot, options.filter)
    if options.json:
        shown = snapshot if only is None else filtered(snapshot, only)
        sys.stdout.write(shown.to_json(indent=2) + "\n")
    else:
        write_tree(text_of(snapshot, stacks=options.stacks, only=only))
    return 0


def control(options: argparse.Namespace) -> int:
    """Cancel a task, or ask the program to stop."""
    asked: dict[str, object] = {"reason": options.reason}
    if options.command == "cancel":
        asked["task"] = int(options.task) if options.task.isdecimal() else options.task
    else:
        asked["grace"] = options.grace
    try:
        with connect(options.pid) as target:
            answer = target.ask(options.command, **asked)
    except TargetError as exc:
        raise Mistake(str(exc)) from None
    if options.command == "cancel":
        print(f"cancelled: {answer['cancelled']}")
    else:
        print(f"asked to stop: {', '.join(answer['stopped'])}")
    return 0


def show_programs() -> int:
    """Print the programs that can be asked."""
    try:
        found = programs()
    except TargetError as exc:
        raise Mistake(str(exc)) from None
    for pid, command in found:
        print(f"{pid:>8}  {command}")
    if not found:
        print(
            "None of your programs can be asked. Start one with CRECHE_INSIGHT=1, or have it call "
            "creche.insight.serve()"
        )
    return 0


def matching(snapshot: Snapshot, text: str) -> set[int]:
    """Return the tasks that match a text, and those above them, by their numbers."""
    by_id = {task.id: task for task in snapshot.tasks}
    wanted: set[int] = set()
    for task in snapshot.tasks:
        place = f"{task.place.file}:{task.place.line} {task.place.function}" if task.place else ""
        what = task.wait.what if task.wait else ""
        if any(text in part for part in (task.full_name, task.name, what, place, task.state)):
            above: Task | None = task
            while above is not None and above.id not in wanted:
                wanted.add(above.id)
                above = by_id.get(above.parent or 0)
    return wanted


def filtered(snapshot: Snapshot, only: set[int]) -> Snapshot:
    """Return a snapshot with these tasks alone, and what is about them."""
    loops = tuple(
        dataclasses.replace(
            loop,
            tasks=tuple(task for task in loop.tasks if task.id in only),
            lints=tuple(lint for lint in loop.lints if lint.task in only),
        )
        for loop in snapshot.loops
    )
    workers = tuple(worker for worker in snapshot.workers if worker.task in only)
    return dataclasses.replace(snapshot, loops=loops, workers=workers)
