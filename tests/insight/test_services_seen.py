"""Services and stops, seen from outside: in a snapshot, in its text, and as JSON."""

from __future__ import annotations

from creche import create_task_group, sleep_forever, wait_all_tasks_blocked
from creche._insight.collect import snapshot
from creche._insight.model import Loop, Service, Snapshot
from creche._insight.text import text_of
from creche.abc import TaskStatus
from creche.services import ServiceHandle, Supervisor, create_supervisor


def quiet(handle: ServiceHandle, error: BaseException) -> None:
    pass


def supervised(seen: Snapshot) -> tuple[Loop, dict[str, Service]]:
    (loop,) = [loop for loop in seen.loops if loop.services]
    return loop, {service.name: service for service in loop.services}


async def test_services_are_in_the_snapshot_and_in_its_text() -> None:
    lives = 0

    async def feed(*, task_status: TaskStatus[None]) -> None:
        nonlocal lives
        lives += 1
        task_status.started()
        if lives < 3:
            raise ConnectionError("lost")
        await sleep_forever()

    async def down(*, task_status: TaskStatus[None]) -> None:
        task_status.started()
        raise ValueError("bad row")

    async with create_supervisor(on_error=quiet) as sv:
        await sv.start(feed, name="feed")
        await sv.start(down, name="down", backoff=[3600])
        await wait_all_tasks_blocked()
        seen = snapshot()
        sv.cancel()
    loop, services = supervised(seen)
    assert list(services) == ["feed", "down"]
    feeding = services["feed"]
    assert (feeding.state, feeding.restarts) == ("running", 2)
    assert feeding.last_error == "ConnectionError('lost')"
    (task,) = [task for task in loop.tasks if task.id == feeding.task]
    assert task.parent == feeding.supervisor and task.name == "feed"
    waiting = services["down"]
    assert (waiting.state, waiting.restarts, waiting.task) == ("waiting", 1, None)
    assert Snapshot.from_json(seen.to_json()) == seen
    lines = text_of(seen).splitlines()
    (line,) = [line for line in lines if "─ feed" in line]
    assert ", 2 restarts, last ConnectionError('lost')" in line
    (line,) = [line for line in lines if "─ down (service)" in line]
    assert "waiting to be restarted, 1 restart, last ValueError('bad row')" in line


async def test_the_end_of_a_supervisor_waits_for_its_services() -> None:
    shown: list[str] = []

    async def ready(*, task_status: TaskStatus[None]) -> None:
        task_status.started()
        await sleep_forever()

    async def supervises(*, task_status: TaskStatus[Supervisor]) -> None:
        async with create_supervisor() as sv:
            await sv.start(ready, name="ready")
            task_status.started(sv)

    async with create_task_group() as group:
        sv = await group.start(supervises, name="supervises")
        await wait_all_tasks_blocked()
        shown.extend(text_of(snapshot()).splitlines())
        sv.cancel()
    (line,) = [line for line in shown if "─ supervises" in line]
    assert "waiting for the end of ready" in line


async def test_a_supervisor_that_was_left_is_not_seen() -> None:
    async def ready(*, task_status: TaskStatus[None]) -> None:
        task_status.started()

    async with create_supervisor() as sv:
        await sv.start(ready, restart="never")
    assert not any(loop.services for loop in snapshot().loops)


async def test_a_stop_whose_grace_was_too_short_is_seen() -> None:
    async with create_task_group() as group:
        group.start_soon(sleep_forever, name="slow")
        await wait_all_tasks_blocked()
        group.stop("enough", grace=0.01)
    seen = snapshot()
    stop = seen.stops[-1]
    assert (stop.reason, stop.grace, stop.tasks) == ("enough", 0.01, 1)
    assert stop.overran[0].startswith("'slow' at ")
    assert Snapshot.from_json(seen.to_json()) == seen
    text = text_of(seen)
    assert "Stops whose grace was too short\n" in text
    assert "  enough, 10 ms: 1 task\n    'slow' at " in text


def test_a_snapshot_of_before_has_no_services() -> None:
    whole = snapshot().to_json()
    seen = Snapshot.from_json(whole.replace('"stops"', '"other"').replace('"services"', '"more"'))
    assert seen.stops == () and all(loop.services == () for loop in seen.loops)
