"""A primitive describes the waits of its tasks by one method, whoever has written it."""

from __future__ import annotations

import ast
import inspect
import re
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

import creche
from creche import debug, testing
from creche._introspection.waits import Waits
from creche._kernel import current_kernel
from creche._wait_description import WaitDescription

both = pytest.mark.parametrize("loop", ["asyncio", "trio"])


class Baton:
    """A primitive of somebody's, built on public names alone: one task holds it, others wait."""

    def __init__(self) -> None:
        self.holder: creche.TaskInfo | None = None
        self._passed = creche.Event()

    async def take(self) -> None:
        while self.holder is not None:
            await self._passed.wait()
        self.holder = creche.get_current_task()

    def give_back(self) -> None:
        self.holder = None
        self._passed.set()
        self._passed = creche.Event()

    def _describe_wait(
        self, task: creche.TaskInfo, inner: debug.WaitDescription | None
    ) -> debug.WaitDescription | None:
        assert task != self.holder
        holders = () if self.holder is None else (self.holder,)
        return debug.WaitDescription(("a turn with ", self), "give_back()", holders)


def deadlock_of(main: Callable[[], Awaitable[Any]], loop: str) -> tuple[debug.WaitingTask, ...]:
    with pytest.raises(testing.DeadlockError) as caught:
        testing.run(main, backend=loop)
    return caught.value.tasks


@both
def test_a_new_primitive_appears_in_a_deadlock_by_one_method(loop: str) -> None:
    async def take(first: Baton, second: Baton) -> None:
        await first.take()
        await creche.sleep(1)
        await second.take()

    async def main() -> None:
        red, green = Baton(), Baton()
        async with creche.create_task_group() as group:
            group.start_soon(take, red, green, name="a")
            group.start_soon(take, green, red, name="b")

    place = f"test_described_waits.py:{inspect.getsourcelines(take)[1] + 3}"
    a, b = deadlock_of(main, loop)
    assert a._replace(place="") == ("a", "a turn with Baton 'green'", ("b",), "", "give_back()")
    assert b._replace(place="") == ("b", "a turn with Baton 'red'", ("a",), "", "give_back()")
    # Where the program waits, not where the primitive does.
    assert a.place.endswith(place) and b.place.endswith(place)


async def test_find_deadlocks_knows_a_new_primitive() -> None:
    async def take(first: Baton, second: Baton) -> None:
        await first.take()
        await creche.wait_all_tasks_blocked()
        await second.take()

    red, green = Baton(), Baton()
    async with creche.create_task_group() as group:
        group.start_soon(take, red, green, name="a")
        group.start_soon(take, green, red, name="b")
        await creche.wait_all_tasks_blocked()
        await creche.wait_all_tasks_blocked()
        (found,) = debug.find_deadlocks()
        assert {(row.task, row.held_by) for row in found.tasks} == {("a", ("b",)), ("b", ("a",))}
        group.cancel_scope.cancel()


@both
def test_a_new_primitive_appears_in_the_trace_of_an_explored_run(loop: str) -> None:
    async def main() -> None:
        baton = Baton()
        await baton.take()
        async with creche.create_task_group() as group:
            group.start_soon(baton.take, name="waiter")
            await creche.sleep(1)
            raise KeyError

    with pytest.raises(BaseExceptionGroup) as caught:
        testing.explore(backends=[loop], runs=1)(main)()
    notes = "\n".join(caught.value.__notes__)
    assert "waits for a turn with Baton 'baton', which main holds" in notes


class Wrong:
    """A primitive whose description goes wrong."""

    def __init__(self, describe: Callable[[], Any]) -> None:
        self._describe = describe

    async def wait(self) -> None:
        await creche.Event(name="inside").wait()

    def _describe_wait(self, task: creche.TaskInfo, inner: Any) -> Any:
        return self._describe()


@both
@pytest.mark.parametrize(
    ("describe", "text"),
    [
        (lambda: 1 // 0, "Wrong 'wrong' (Wrong._describe_wait() raised ZeroDivisionError("),
        (lambda: "a wait", "Wrong 'wrong' (Wrong._describe_wait() returned 'a wait', not a"),
        (lambda: None, "Event 'inside'"),
    ],
)
def test_a_description_that_goes_wrong_is_told_in_the_report(
    loop: str, describe: Callable[[], Any], text: str
) -> None:
    async def main() -> None:
        wrong = Wrong(describe)
        await wrong.wait()

    (row,) = deadlock_of(main, loop)
    assert row.waits_for.startswith(text)


@both
def test_a_primitive_on_whose_way_something_else_waits_is_not_blamed(loop: str) -> None:
    class LoggedLock(creche.Lock):
        async def acquire(self) -> None:
            await log.wait()
            await super().acquire()

    class LoggedGroup(type(creche.create_task_group())):  # type: ignore[misc]
        async def __aenter__(self) -> Any:
            await super().__aenter__()
            await log.wait()
            return self

    log = creche.Event(name="log")

    async def main() -> None:
        lock, logged_group = LoggedLock(), LoggedGroup()
        async with creche.create_task_group() as group:
            group.start_soon(lock.acquire)
            async with logged_group:
                pass

    assert [row.waits_for for row in deadlock_of(main, loop)] == ["Event 'log'", "Event 'log'"]


@both
def test_every_primitive_says_what_would_end_its_waits(loop: str) -> None:
    async def main() -> None:
        lock, news, answer = creche.Lock(), creche.Condition(), creche.Future[int]()
        send, receive = creche.create_memory_object_stream[int](0)
        await lock.acquire()

        async def notified() -> None:
            async with news:
                await news.wait()

        async def starts(*, task_status: Any) -> None:
            await answer

        async def group_in_group() -> None:
            async with creche.create_task_group() as inner:
                await inner.start(starts)

        async def waits_for(handle: creche.TaskHandle[None]) -> None:
            await handle

        with send, receive:
            async with creche.create_task_group() as group:
                for function in (
                    lock.acquire, notified, creche.Semaphore(0).acquire,
                    creche.CapacityLimiter(0).acquire, creche.Event().wait, answer.wait,
                    receive.receive, group_in_group,
                ):  # fmt: skip
                    group.start_soon(function)
                group.start_soon(waits_for, group.start_soon(creche.sleep_forever))
                await creche.sleep_forever()

    took = [row.takes for row in deadlock_of(main, loop)]
    assert took == [
        "", "release()", "notify()", "release()", "release()", "set()", "an outcome", "send()",
        "", "an outcome",
    ]  # fmt: skip


@both
def test_the_lock_of_a_condition_has_the_name_of_the_condition(loop: str) -> None:
    async def main() -> None:
        news = creche.Condition(name="news")

        async def notified() -> None:
            async with news:
                await news.wait()

        async with creche.create_task_group() as group:
            group.start_soon(notified, name="notified")
            await creche.sleep(1)
            async with news:
                news.notify()
                group.start_soon(news.acquire, name="late")
                await creche.sleep(1)
                group.start_soon(notified, name="later")
                await creche.sleep_forever()

    rows = [(row.task, row.waits_for, row.held_by) for row in deadlock_of(main, loop)]
    assert rows[1:] == [
        (name, "the lock of Condition 'news'", ("main",)) for name in ("notified", "late", "later")
    ]


def waits_of_all() -> dict[str, tuple[str, str, bool]]:
    waits = Waits(current_kernel())
    return {
        waits.name(wait.record.native): (wait.what, wait.takes, wait.needs_all)
        for wait in waits.all()
    }


async def test_waits_for_tasks_say_which_and_what_they_have_to_do() -> None:
    async def never(*, task_status: Any) -> None:
        await creche.sleep_forever()

    async def opens() -> None:
        async with creche.create_task_group() as inner:
            inner.start_soon(creche.sleep_forever, name="sleeps")

    async def starts() -> None:
        await group.start(never, name="never")

    async def awaits() -> None:
        await handle

    async with creche.create_task_group() as group:
        handle = group.start_soon(opens, name="opens")
        group.start_soon(starts, name="starts")
        group.start_soon(awaits, name="awaits")
        await creche.wait_all_tasks_blocked()
        waits = waits_of_all()
        assert waits["opens"] == ("the end of sleeps", "the end of all", True)
        assert waits["starts"] == ("started() from never", "started()", False)
        assert waits["awaits"] == ("the end of opens", "its end", False)
        group.cancel_scope.cancel()


async def test_a_receiver_of_signals_says_which() -> None:
    async def receive() -> None:
        with creche.open_signal_receiver(signal.SIGHUP) as signals:
            async for _ in signals:
                raise AssertionError("none is sent")

    async with creche.create_task_group() as group:
        group.start_soon(receive, name="receiver")
        await creche.wait_all_tasks_blocked()
        assert waits_of_all()["receiver"] == ("a signal: SIGHUP", "the signal", False)
        group.cancel_scope.cancel()


async def test_the_kernel_knows_which_tasks_are_blocked_and_their_state() -> None:
    kernel, event = current_kernel(), creche.Event()

    def blocked() -> dict[str, bool]:
        return {
            record.name: kernel.is_blocked(record.native)
            for record in kernel.tasks()
            if record.name in ("waits", "holds on", "me")
        }

    async def holds_on() -> None:
        with creche.CancelScope(shield=True):
            await event.wait()

    async def me() -> None:
        assert blocked()["me"] is False
        await creche.wait_all_tasks_blocked()
        assert blocked() == {"waits": True, "holds on": True, "me": False}
        group.cancel_scope.cancel()
        assert blocked()["holds on"] is True
        event.set()
        assert blocked() == {"waits": False, "holds on": False, "me": False}

    async with creche.create_task_group() as group:
        group.start_soon(event.wait, name="waits")
        group.start_soon(holds_on, name="holds on")
        group.start_soon(me, name="me")
    for record in kernel.tasks():
        task = kernel.task_of(record.native)
        assert task is None or task.info().native is record.native


async def test_groups_leave_no_labels_behind_in_the_kernel() -> None:
    kernel: Any = current_kernel()

    async def ready(*, task_status: creche.abc.TaskStatus[None]) -> None:
        assert {record.name for record in kernel.tasks() if record.label} == {"ready"}
        task_status.started()

    async def never(*, task_status: creche.abc.TaskStatus[None]) -> None:
        await creche.sleep_forever()

    async with creche.create_task_group() as group:
        await group.start(ready, name="ready")
        with creche.move_on_after(0.01):
            await group.start(never, name="never")
        group.start_soon(creche.sleep, 0)
        with creche.CancelScope() as scope:
            scope.cancel()
            await group.start(never, name="cancelled at once")
    assert not [record for record in kernel.tasks() if record.label]
    assert not getattr(kernel, "labels", None)


SOURCE = Path(debug.__file__).parent


def words_of(folder: str) -> set[str]:
    """Return the names and texts in the code of a package, without its docstrings."""
    words: set[str] = set()
    for path in (SOURCE / folder).rglob("*.py"):
        tree = ast.parse(path.read_text())
        docs = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        for node in ast.walk(tree):
            if isinstance(node, ast.Name):
                words.add(node.id)
            elif isinstance(node, ast.Attribute):
                words.add(node.attr)
            elif isinstance(node, ast.Constant) and id(node) not in docs:
                words.add(str(node.value))
    return words


def test_reports_know_no_primitive_and_no_local_variable_but_self() -> None:
    words = words_of("_introspection")
    assert not words & {
        "Lock", "Condition", "Event", "Semaphore", "CapacityLimiter", "Future", "TaskGroup",
        "TaskHandle", "MemoryObjectSendStream", "MemoryObjectReceiveStream", "_owner", "_queue",
        "_borrowers", "_nursery", "waiter", "handle", "host", "_run", "deadline_", "shield_",
    }  # fmt: skip
    assert {"self", "_describe_wait"} <= words


def test_kernels_do_not_match_names_of_upper_modules() -> None:
    names = [path.stem for path in SOURCE.iterdir() if path.stem not in ("_kernel", "__init__")]
    upper = re.compile(rf"creche\.({'|'.join(names)})\b|TaskGroup|\bto_thread\b|SignalReceiver")
    assert not [word for word in words_of("_kernel") if upper.search(word)]


def test_a_description_has_sensible_defaults() -> None:
    described = WaitDescription("a thing")
    assert (described.holders, described.tasks, described.complete) == ((), None, True)
