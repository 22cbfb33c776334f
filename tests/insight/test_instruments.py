"""Instruments are called for what tasks do, on every loop; and the two adapters beside them."""

from __future__ import annotations

import logging
import sys
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult

import creche
from creche import TaskInfo, insight

needs_monitoring = pytest.mark.skipif(
    sys.version_info < (3, 12), reason="steps are seen through sys.monitoring"
)


class Notes(insight.Instrument):
    """Writes everything down."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def task_started(self, task: TaskInfo) -> None:
        self.lines.append(f"{task.name} starts")

    def task_ended(self, task: TaskInfo, outcome: str) -> None:
        self.lines.append(f"{task.name} {outcome}")

    def before_step(self, task: TaskInfo) -> None:
        self.lines.append(f"{task.name} runs")

    def after_step(self, task: TaskInfo, waits_for: str) -> None:
        self.lines.append(
            f"{task.name} waits for {waits_for}" if waits_for else f"{task.name} yields"
        )

    def group_opened(self, scope: creche.CancelScope, host: TaskInfo) -> None:
        self.lines.append("opened")

    def group_closed(self, scope: creche.CancelScope) -> None:
        self.lines.append("closed")

    def scope_cancelled(self, scope: creche.CancelScope, reason: str) -> None:
        self.lines.append(f"cancelled: {reason}")

    def call_started(self, function: str, task: TaskInfo) -> None:
        self.lines.append(f"{function} for {task.name}")

    def call_ended(self, function: str, task: TaskInfo) -> None:
        self.lines.append(f"{function} done")


def of(notes: Notes, name: str) -> list[str]:
    return [line.removeprefix(f"{name} ") for line in notes.lines if line.startswith(f"{name} ")]


@needs_monitoring
async def test_a_task_is_told_of_from_its_start_to_its_end() -> None:
    async def child() -> None:
        await creche.sleep(0)
        await creche.sleep(0.001)

    notes = Notes()
    with insight.instrument(notes):
        async with creche.create_task_group() as group:
            group.start_soon(child, name="child")
    assert of(notes, "child") == ["starts", "runs", "yields", "runs", "waits for sleep()", "runs",
                                  "returned"]  # fmt: skip
    assert notes.lines[0] == "opened" and "closed" in notes.lines


@needs_monitoring
async def test_how_tasks_end_badly_is_told_once() -> None:
    async def fails() -> None:
        await creche.sleep(0.001)
        raise ValueError("no")

    notes = Notes()
    with insight.instrument(notes), pytest.raises(ExceptionGroup):
        async with creche.create_task_group() as group:
            group.start_soon(fails, name="fails")
            group.start_soon(creche.sleep_forever, name="victim")
    assert of(notes, "fails")[-1] == "failed ValueError: no"
    assert [line for line in of(notes, "victim") if line == "cancelled"] == ["cancelled"]
    assert [line for line in notes.lines if line.startswith("cancelled: by the failure of task")]
    assert "closed" in notes.lines


@needs_monitoring
async def test_calls_in_threads_are_told() -> None:
    notes = Notes()
    with insight.instrument(notes):
        await creche.to_thread.run_sync(sum, [1])
    name = creche.get_current_task().name
    assert [line for line in notes.lines if line.startswith("sum")] == [
        f"sum for {name}",
        "sum done",
    ]


@needs_monitoring
async def test_an_instrument_that_fails_is_not_called_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Broken(insight.Instrument):
        calls = 0

        def task_started(self, task: TaskInfo) -> None:
            Broken.calls += 1
            raise RuntimeError("out of order")

    notes = Notes()
    with insight.instrument(Broken()), insight.instrument(notes):
        async with creche.create_task_group() as group:
            group.start_soon(creche.sleep, 0, name="one")
            group.start_soon(creche.sleep, 0, name="two")
    assert Broken.calls == 1
    assert of(notes, "two")[-1] == "returned"
    assert "task_started of" in caplog.text and "out of order" in caplog.text


@needs_monitoring
async def test_nothing_is_called_after_the_block() -> None:
    notes = Notes()
    with insight.instrument(notes):
        pass
    async with creche.create_task_group() as group:
        group.start_soon(creche.sleep, 0)
    assert notes.lines == []


async def test_log_records_have_the_name_of_their_task() -> None:
    lines: list[str] = []

    class Lines(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(self.format(record))

    handler = Lines()
    handler.setFormatter(logging.Formatter("%(task)s: %(message)s"))
    handler.addFilter(insight.TaskFilter())
    logger = logging.getLogger("test_instruments")
    logger.addHandler(handler)
    logger.propagate = False

    async def child() -> None:
        logger.warning("hello")

    try:
        async with creche.create_task_group() as group:
            group.start_soon(child, name="greeter")
        await creche.to_thread.run_sync(logger.warning, "from a thread")
    finally:
        logger.removeHandler(handler)
        logger.propagate = True
    assert lines == ["greeter: hello", "-: from a thread"]


class Kept(SpanExporter):
    """Keeps the spans that have ended."""

    def __init__(self) -> None:
        self.spans: list[ReadableSpan] = []

    def export(self, spans: Any) -> SpanExportResult:
        self.spans.extend(spans)
        return SpanExportResult.SUCCESS


@needs_monitoring
async def test_tasks_and_groups_are_spans_inside_each_other() -> None:
    kept = Kept()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(kept))
    tracer = provider.get_tracer("test")

    async def child() -> None:
        with tracer.start_as_current_span("query"):
            await creche.sleep(0)

    async def fails() -> None:
        raise ValueError("no")

    with insight.instrument(insight.TelemetryInstrument(tracer)), pytest.raises(ExceptionGroup):
        with tracer.start_as_current_span("request"):
            async with creche.create_task_group() as group:
                group.start_soon(child, name="child")
                await creche.wait_all_tasks_blocked()
                group.start_soon(fails, name="fails")
    spans = {span.name: span for span in kept.spans}
    group_span = next(span for name, span in spans.items() if name.startswith("task group of"))

    def parent_of(span: ReadableSpan) -> Any:
        return None if span.parent is None else span.parent.span_id

    assert parent_of(group_span) == spans["request"].context.span_id
    assert parent_of(spans["child"]) == group_span.context.span_id
    assert parent_of(spans["query"]) == spans["child"].context.span_id
    assert spans["child"].attributes == {"outcome": "returned"}
    assert spans["fails"].status.status_code is trace.StatusCode.ERROR
    assert spans["fails"].status.description == "ValueError: no"
    assert [event.name for event in group_span.events] == ["cancelled"]
