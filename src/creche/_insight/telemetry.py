"""Spans of OpenTelemetry for tasks and groups: an instrument.

Owns the spans. Needs the API package of OpenTelemetry alone (extra `otel`); which spans are kept and where they go is
what the program has set up of its SDK. A span of a task is current in the task, so that spans of the program's own
are inside it.
"""

from __future__ import annotations

from typing import Any

from .._tasks.info import TaskInfo
from .._tasks.scope import CancelScope
from .instrument import Instrument


class TelemetryInstrument(Instrument):
    """Makes a span for each task and each task group, with OpenTelemetry.

    The span of a task is inside that of its group, and that is inside the span which was current where the group was
    opened. Cancels are events of the group's span; a task that fails gives its span the status of an error.

    :param tracer: an OpenTelemetry tracer; None for the one of the program's tracer provider
    :raises ModuleNotFoundError: `opentelemetry-api` is not installed
    """

    def __init__(self, tracer: Any = None) -> None:
        try:
            from opentelemetry import context, trace
        except ModuleNotFoundError as exc:
            raise ModuleNotFoundError(
                "TelemetryInstrument needs the package opentelemetry-api: pip install 'creche[otel]'"
            ) from exc
        self._context: Any = context
        self._trace: Any = trace
        self._tracer = trace.get_tracer("creche") if tracer is None else tracer
        self._groups: dict[int, Any] = {}
        self._tasks: dict[int, Any] = {}

    def group_opened(self, scope: CancelScope, host: TaskInfo) -> None:
        span = self._tracer.start_span(f"task group of {host.name}")
        self._groups[id(scope)] = span

    def group_closed(self, scope: CancelScope) -> None:
        span = self._groups.pop(id(scope), None)
        if span is not None:
            span.end()

    def scope_cancelled(self, scope: CancelScope, reason: str) -> None:
        span = self._groups.get(id(scope))
        if span is not None:
            span.add_event("cancelled", {"reason": reason})

    def task_started(self, task: TaskInfo) -> None:
        group = self._groups.get(_group_of(task))
        around = None if group is None else self._trace.set_span_in_context(group)
        span = self._tracer.start_span(task.name or "task", context=around)
        self._tasks[task.id] = span
        # In the task's own context, which ends with it: there is nothing to detach.
        self._context.attach(self._trace.set_span_in_context(span))

    def task_ended(self, task: TaskInfo, outcome: str) -> None:
        span = self._tasks.pop(task.id, None)
        if span is None:
            return
        span.set_attribute("outcome", outcome.partition(" ")[0])
        if outcome.startswith("failed"):
            status = self._trace.Status(
                self._trace.StatusCode.ERROR, outcome.removeprefix("failed ")
            )
            span.set_status(status)
        span.end()


def _group_of(task: TaskInfo) -> int:
    """Return what stands for the group of a task."""
    kernel, native = task._kernel, task._native  # pyright: ignore[reportPrivateUsage]  # of the package
    label = None if kernel is None else kernel.label_of(native)
    nursery = getattr(label, "_nursery", None)
    return 0 if nursery is None else id(nursery.scope)
