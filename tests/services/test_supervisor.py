"""Supervisors: OTP's scenarios for each strategy and each kind of restart, in virtual time."""

from __future__ import annotations

import logging
import math
from typing import Any

import pytest
from _services import Broken, Stage, deaf

from creche import (
    CancelScope,
    ClosedResourceError,
    create_task_group,
    current_time,
    fail_after,
    move_on_after,
    sleep,
    sleep_forever,
)
from creche.abc import TaskStatus
from creche.lowlevel import checkpoint
from creche.services import (
    RestartsExhausted,
    ServiceHandle,
    Supervisor,
    create_supervisor,
    exponential,
)
from creche.testing import settle, virtual_time


def quiet(handle: ServiceHandle, error: BaseException) -> None:
    """What the tests do with errors that they have planted."""


def supervised(strategy: Any = "one_for_one", **options: Any) -> Supervisor:
    return create_supervisor(strategy, **{"on_error": quiet, **options})


# Strategies


@virtual_time
async def test_one_for_one_restarts_the_one_that_failed() -> None:
    stage = Stage()
    async with supervised() as sv:
        a, b, c = [await sv.start(stage.service(name)) for name in "abc"]
        stage.take()
        stage.kick("b", Broken())
        await settle()
        assert stage.take() == ["!b", "+b"]
        assert (a.restarts, b.restarts, c.restarts) == (0, 1, 0)
        assert b.state == "running" and isinstance(b.last_error, Broken)
        assert b.start_value == "b2"
        sv.stop()


@virtual_time
async def test_one_for_all_stops_all_in_reverse_and_starts_all_in_order() -> None:
    stage = Stage()
    async with supervised("one_for_all") as sv:
        for name in "abcd":
            await sv.start(stage.service(name))
        stage.take()
        stage.kick("b", Broken())
        await settle()
        assert stage.take() == ["!b", "-d", "-c", "-a", "+a", "+b", "+c", "+d"]
        sv.stop()


@virtual_time
async def test_rest_for_one_restarts_those_that_were_started_later_in_order() -> None:
    stage = Stage()
    async with supervised("rest_for_one") as sv:
        for name in "abcd":
            await sv.start(stage.service(name))
        stage.take()
        stage.kick("b", Broken())
        await settle()
        assert stage.take() == ["!b", "-d", "-c", "+b", "+c", "+d"]
        sv.stop()


@pytest.mark.parametrize("strategy", ["one_for_one", "one_for_all", "rest_for_one"])
@virtual_time
async def test_the_end_of_the_block_stops_in_reverse_order(strategy: str) -> None:
    stage = Stage()
    async with supervised(strategy) as sv:
        for name in "abc":
            await sv.start(stage.service(name))
        stage.take()
        sv.stop()
    assert stage.take() == ["-c", "-b", "-a"]


# Kinds of restart


@pytest.mark.parametrize(
    ("restart", "error", "state", "lives"),
    [
        ("always", None, "running", 2),
        ("always", Broken(), "running", 2),
        ("on_failure", None, "finished", 1),
        ("on_failure", Broken(), "running", 2),
        ("never", None, "finished", 1),
        ("never", Broken(), "failed", 1),
    ],
)
@virtual_time
async def test_what_an_end_means(
    restart: Any, error: BaseException | None, state: str, lives: int
) -> None:
    stage = Stage()
    async with supervised() as sv:
        handle = await sv.start(stage.service("a"), restart=restart)
        stage.kick("a", error)
        await settle()
        assert handle.state == state
        assert stage.lives["a"] == lives
        assert handle.last_error is error
        assert handle.restarts == lives - 1
        sv.stop()


@virtual_time
async def test_a_service_that_is_never_restarted_is_not_when_a_sibling_fails() -> None:
    stage = Stage()
    async with supervised("one_for_all") as sv:
        await sv.start(stage.service("a"))
        once = await sv.start(stage.service("b"), restart="never")
        stage.take()
        stage.kick("a", Broken())
        await settle()
        assert stage.take() == ["!a", "-b", "+a"]
        assert once.state == "stopped"
        sv.stop()


@virtual_time
async def test_a_service_that_has_finished_stays_finished_when_a_sibling_fails() -> None:
    stage = Stage()
    async with supervised("one_for_all") as sv:
        await sv.start(stage.service("a"))
        done = await sv.start(stage.service("b"), restart="on_failure")
        stage.kick("b")
        await settle()
        stage.take()
        stage.kick("a", Broken())
        await settle()
        assert stage.take() == ["!a", "+a"]
        assert done.state == "finished"
        sv.stop()


@virtual_time
async def test_a_block_ends_when_all_its_services_have_ended_for_good() -> None:
    stage = Stage()
    async with supervised() as sv:
        await sv.start(stage.service("a"), restart="never")
        await sv.start(stage.service("b"), restart="on_failure")
        stage.kick("a", Broken())
        stage.kick("b")
    assert sorted(stage.take()) == ["!a", "!b", "+a", "+b"]


# Starting


@virtual_time
async def test_the_first_start_is_awaited_and_its_error_is_bare() -> None:
    async def refuses(*, task_status: TaskStatus[None]) -> None:
        await sleep(1)
        raise Broken("port taken")

    async with supervised() as sv:
        with pytest.raises(Broken, match="port taken"):
            await sv.start(refuses)
        assert sv.services == []
    assert current_time() == 1


@virtual_time
async def test_a_first_start_that_is_cancelled_leaves_nothing() -> None:
    async def slow(*, task_status: TaskStatus[None]) -> None:
        await sleep_forever()

    async with supervised() as sv:
        with move_on_after(1) as scope:
            await sv.start(slow)
        assert scope.cancelled_caught
        with pytest.raises(TimeoutError), fail_after(1):
            await sv.start(slow)
        assert sv.services == []


@virtual_time
async def test_a_service_that_never_calls_started_is_an_error_of_start() -> None:
    async def forgets(*, task_status: TaskStatus[None]) -> None:
        await checkpoint()

    async with supervised() as sv:
        with pytest.raises(RuntimeError, match="without calling"):
            await sv.start(forgets)


@virtual_time
async def test_a_restart_that_fails_to_start_counts_as_a_failure() -> None:
    stage = Stage()
    async with supervised(max_restarts=3) as sv:
        handle = await sv.start(stage.service("a"))
        stage.take()
        stage.failing_starts["a"] = 2
        stage.kick("a", Broken())
        await settle()
        assert stage.take() == ["!a", "a fails to start", "a fails to start", "+a"]
        assert handle.restarts == 3
        sv.stop()


@virtual_time
async def test_a_restart_that_returns_without_started_counts_as_a_failure() -> None:
    lives = 0

    async def forgets(*, task_status: TaskStatus[None]) -> None:
        nonlocal lives
        lives += 1
        if lives == 1:
            task_status.started()
            raise Broken

    with pytest.raises(RestartsExhausted) as caught:
        async with supervised(max_restarts=1) as sv:
            await sv.start(forgets, restart="on_failure")
    assert lives == 2
    assert "without calling task_status.started()" in str(caught.value.__cause__)


@virtual_time
async def test_a_start_that_fails_in_the_middle_of_a_restart_of_all() -> None:
    stage = Stage()
    async with supervised("one_for_all") as sv:
        for name in "abc":
            await sv.start(stage.service(name))
        stage.take()
        stage.failing_starts["b"] = 1
        stage.kick("c", Broken())
        await settle()
        assert stage.take() == [
            "!c", "-b", "-a", "+a", "b fails to start", "-a", "+a", "+b", "+c",
        ]  # fmt: skip
        sv.stop()


@virtual_time
async def test_a_service_may_fail_while_another_is_restarted() -> None:
    stage = Stage()
    async with supervised("rest_for_one") as sv:
        for name in "abc":
            await sv.start(stage.service(name), backoff=[5])
        stage.take()
        stage.kick("c", Broken())
        await sleep(1)
        stage.kick("a", Broken())
        await sleep(4.5)
        assert stage.take() == ["!c", "!a", "-b"], "its own backoff counts from its failure"
        await sleep(1)
        assert stage.take() == ["+a", "+b", "+c"]
        sv.stop()


@virtual_time
async def test_calling_started_twice_is_an_error() -> None:
    async def twice(*, task_status: TaskStatus[None]) -> None:
        task_status.started()
        with pytest.raises(RuntimeError, match="twice"):
            task_status.started()

    async with supervised() as sv:
        await sv.start(twice, restart="never")


# Intensity


@virtual_time
async def test_too_many_restarts_stop_the_others_in_reverse_and_raise() -> None:
    stage = Stage()
    with pytest.raises(RestartsExhausted) as caught:
        async with supervised(max_restarts=2, within=5) as sv:
            for name in "abc":
                await sv.start(stage.service(name))
            for number in range(3):
                stage.take()
                stage.kick("b", Broken(number))
                await sleep(1)
    assert stage.take() == ["!b", "-c", "-a"]
    error = caught.value
    assert [exc.args for exc in error.errors] == [(0,), (1,), (2,)]
    assert error.__cause__ is error.errors[-1]
    assert "'b' failed: Broken(2)" in str(error) and "more than 2 restarts within 5 s" in str(error)


@virtual_time
async def test_restarts_that_are_long_apart_are_not_too_many() -> None:
    stage = Stage()
    async with supervised(max_restarts=1, within=5) as sv:
        handle = await sv.start(stage.service("a"))
        for _ in range(10):
            stage.kick("a", Broken())
            await sleep(5.1)
        assert handle.restarts == 10
        sv.stop()


@virtual_time
async def test_the_body_is_cancelled_when_restarts_are_exhausted() -> None:
    stage = Stage()
    with pytest.raises(RestartsExhausted):
        async with supervised(max_restarts=0) as sv:
            await sv.start(stage.service("a"))
            stage.kick("a")
            await sleep_forever()


@virtual_time
async def test_an_error_of_the_body_and_exhausted_restarts_leave_together() -> None:
    stage = Stage()
    with pytest.raises(ExceptionGroup, match="unhandled errors in a Supervisor") as caught:
        async with supervised(max_restarts=0) as sv:
            await sv.start(stage.service("a"))
            stage.kick("a", Broken())
            with CancelScope(shield=True):
                await sleep(1)
            raise KeyError
    assert [type(exc) for exc in caught.value.exceptions] == [KeyError, RestartsExhausted]


@virtual_time
async def test_the_errors_kept_are_bounded() -> None:
    lives = 0

    async def fails(*, task_status: TaskStatus[None]) -> None:
        nonlocal lives
        lives += 1
        task_status.started()
        raise Broken(lives)

    with pytest.raises(RestartsExhausted) as caught:
        async with supervised(max_restarts=500) as sv:
            await sv.start(fails)
    assert lives == 501
    assert [exc.args[0] for exc in caught.value.errors] == list(range(492, 502))


# Backoff


@virtual_time
async def test_backoff_waits_and_begins_again_after_a_good_run() -> None:
    stage = Stage()
    async with supervised(max_restarts=math.inf, within=5) as sv:
        handle = await sv.start(stage.service("a"), backoff=[1, 2])
        for expected in (1, 2, 2):
            stage.kick("a", Broken())
            await settle()
            states = [handle.state]
            await sleep(expected - 0.5)
            states.append(handle.state)
            await sleep(1)
            assert [*states, handle.state] == ["waiting", "waiting", "running"]
        await sleep(6)
        stage.kick("a", Broken())
        await sleep(1.25)
        assert handle.state == "running", "the series begins again"
        sv.stop()


@virtual_time
async def test_a_stop_interrupts_a_backoff() -> None:
    stage = Stage()
    async with supervised() as sv:
        handle = await sv.start(stage.service("a"), backoff=[100])
        stage.kick("a", Broken())
        await sleep(1)
        await handle.stop()
        assert handle.state == "stopped"
    assert current_time() == 1


@virtual_time
async def test_a_cancellation_interrupts_a_backoff() -> None:
    stage = Stage()
    with move_on_after(1):
        async with supervised() as sv:
            await sv.start(stage.service("a"), backoff=[100])
            stage.kick("a", Broken())
            await sleep_forever()
    assert current_time() == 1


@virtual_time
async def test_a_restart_by_hand_interrupts_a_backoff() -> None:
    stage = Stage()
    async with supervised() as sv:
        handle = await sv.start(stage.service("a"), backoff=[100])
        stage.kick("a", Broken())
        await sleep(1)
        await handle.restart()
        assert handle.state == "running" and current_time() == 1
        sv.stop()


@virtual_time
async def test_a_backoff_that_gives_nonsense_ends_the_supervisor() -> None:
    stage = Stage()
    with pytest.raises(ValueError, match="numbers of seconds"):
        async with supervised() as sv:
            await sv.start(stage.service("a"), backoff=[-1])
            stage.kick("a", Broken())


def test_exponential_pauses() -> None:
    def first(count: int, **options: float) -> list[float]:
        return [pause for pause, _ in zip(exponential(**options), range(count), strict=False)]

    assert first(5, first=1, factor=2, limit=5, jitter=0) == [1, 2, 4, 5, 5]
    for pause, bare in zip(first(9, jitter=0.5), first(9, jitter=0), strict=True):
        assert bare * 0.5 <= pause <= bare * 1.5


@pytest.mark.parametrize(
    "options", [{"first": -1}, {"factor": 0.5}, {"limit": 0.01}, {"jitter": 2}, {"first": math.nan}]
)
def test_exponential_refuses_what_is_out_of_range(options: dict[str, float]) -> None:
    with pytest.raises(
        ValueError, match=next(iter(options)) if "limit" not in options else "limit"
    ):
        exponential(**options)


# Handles


@virtual_time
async def test_stop_waits_until_the_service_has_ended_and_it_stays_so() -> None:
    stage = Stage()
    async with supervised("one_for_all") as sv:
        a = await sv.start(stage.service("a", stopping=lambda: sleep(2)))
        await sv.start(stage.service("b"))
        stage.take()
        await a.stop()
        assert current_time() == 2 and a.state == "stopped" and stage.take() == ["-a"]
        await a.stop()
        stage.kick("b", Broken())
        await settle()
        assert stage.take() == ["!b", "+b"]
        sv.stop()


@virtual_time
async def test_a_service_that_does_not_stop_is_cancelled_when_its_grace_is_over() -> None:
    async with supervised() as sv:
        handle = await sv.start(deaf, stop_grace=3)
        await handle.stop()
        assert current_time() == 3
        assert handle.state == "stopped"


@virtual_time
async def test_restart_stops_and_starts_and_counts_as_no_failure() -> None:
    stage = Stage()
    async with supervised(max_restarts=0) as sv:
        handle = await sv.start(stage.service("a"))
        stage.take()
        await handle.restart()
        assert stage.take() == ["-a", "+a"]
        assert handle.restarts == 0 and handle.start_value == "a2"
        await handle.stop()
        await handle.restart()
        assert stage.take() == ["-a", "+a"] and handle.state == "running"
        sv.stop()


@virtual_time
async def test_stop_restart_and_a_failure_at_once() -> None:
    stage = Stage()
    async with supervised("one_for_all") as sv:
        a = await sv.start(stage.service("a", stopping=lambda: sleep(1)))
        b = await sv.start(stage.service("b"))
        stage.kick("b", Broken())
        async with create_task_group() as group:
            group.start_soon(a.stop)
            group.start_soon(b.restart)
        assert (a.state, b.state) == ("stopped", "running")
        sv.stop()


@virtual_time
async def test_restart_tells_when_the_service_was_stopped_meanwhile() -> None:
    stage = Stage()

    async def restart() -> None:
        with pytest.raises(RuntimeError, match="it is stopped"):
            await handle.restart()

    async with supervised() as sv:
        handle = await sv.start(stage.service("a", stopping=lambda: sleep(1)))
        async with create_task_group() as group:
            group.start_soon(restart)
            await settle()
            await handle.stop()


@virtual_time
async def test_wait_returns_when_the_service_has_ended_for_good() -> None:
    stage = Stage()
    async with supervised() as sv:
        handle = await sv.start(stage.service("a"), restart="on_failure")
        async with create_task_group() as group:
            group.start_soon(handle.wait)
            stage.kick("a", Broken())
            await sleep(1)
            stage.kick("a")
        assert handle.state == "finished"


# Cancellation


@virtual_time
async def test_a_cancelled_block_cancels_all_services() -> None:
    stage = Stage()
    with move_on_after(1) as scope:
        async with supervised() as sv:
            handles = [await sv.start(stage.service(name)) for name in "ab"]
            stage.take()
            await sleep_forever()
    assert scope.cancelled_caught
    assert sorted(stage.take()) == ["xa", "xb"]
    assert [handle.state for handle in handles] == ["stopped", "stopped"]


@virtual_time
async def test_cancel_ends_the_block() -> None:
    stage = Stage()
    async with supervised() as sv:
        await sv.start(stage.service("a"))
        await sv.start(deaf)
        sv.cancel()
    assert current_time() == 0


@virtual_time
async def test_an_error_of_the_body_stops_the_services_and_leaves_bare() -> None:
    stage = Stage()
    error = Broken("body")
    with pytest.raises(Broken) as caught:
        async with supervised() as sv:
            await sv.start(stage.service("a"))
            raise error
    assert caught.value is error
    assert stage.take() == ["+a", "-a"]


# Trees


@virtual_time
async def test_a_supervisor_may_be_a_service_of_another() -> None:
    stage = Stage()

    async def subtree(*, task_status: TaskStatus[None]) -> None:
        stage.note("+tree")
        async with supervised(max_restarts=1) as inner:
            await inner.start(stage.service("b"))
            task_status.started()

    async with supervised("one_for_all") as sv:
        await sv.start(stage.service("a"))
        tree = await sv.start(subtree)
        stage.take()
        stage.kick("b", Broken())
        await settle()
        assert stage.take() == ["!b", "+b"]
        stage.kick("b", Broken())
        await settle()
        assert stage.take() == ["!b", "-a", "+a", "+tree", "+b"]
        assert isinstance(tree.last_error, RestartsExhausted)
        sv.stop()
    assert stage.take() == ["-b", "-a"]


@virtual_time
async def test_a_stop_from_outside_stops_in_reverse_order_within_the_grace() -> None:
    stage = Stage()
    async with create_task_group() as group:
        async with supervised() as sv:
            await sv.start(deaf, stop_grace=60)
            await sv.start(stage.service("b", stopping=lambda: sleep(3)))
            stage.take()
            group.stop(grace=10)
    assert stage.take() == ["-b"]
    assert current_time() == 10


@virtual_time
async def test_requests_that_fail_leave_the_others_be() -> None:
    heard: list[str] = []
    done: list[int] = []

    async def request(number: int, *, task_status: TaskStatus[None]) -> None:
        task_status.started()
        await sleep(number)
        if number % 2:
            raise Broken(number)
        done.append(number)

    async with create_supervisor(on_error=lambda who, exc: heard.append(f"{exc}")) as sv:
        for number in range(6):
            await sv.start(request, number, restart="never")
    assert (done, heard) == ([0, 2, 4], ["1", "3", "5"])


# What is told


def test_without_on_error_a_warning_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    @virtual_time
    async def run() -> None:
        stage = Stage()
        async with create_supervisor() as sv:
            await sv.start(stage.service("a"), backoff=[2], name="consumer")
            await sv.start(stage.service("b"), restart="never")
            stage.kick("a", Broken("lost"))
            stage.kick("b", Broken("bad"))
            await sleep(3)
            sv.stop()

    with caplog.at_level(logging.WARNING, "creche"):
        run()
    assert "'consumer' failed, and is restarted in 2 s: Broken('lost')" in caplog.text
    assert "'b' failed, and is not restarted: Broken('bad')" in caplog.text


@virtual_time
async def test_an_on_error_that_raises_ends_the_supervisor() -> None:
    def refuse(handle: ServiceHandle, error: BaseException) -> None:
        raise KeyError(handle.name)

    stage = Stage()
    with pytest.raises(KeyError):
        async with supervised(on_error=refuse) as sv:
            await sv.start(stage.service("a"))
            await sv.start(stage.service("b"))
            stage.kick("a", Broken())
            await sleep_forever()
    assert stage.take()[-1] == "-b"


@virtual_time
async def test_the_context_of_a_restart_is_that_of_the_start() -> None:
    from contextvars import ContextVar

    variable: ContextVar[int] = ContextVar("variable", default=0)
    seen: list[int] = []

    async def service(*, task_status: TaskStatus[None]) -> None:
        seen.append(variable.get())
        variable.set(99)
        task_status.started()
        raise Broken

    variable.set(7)
    with pytest.raises(RestartsExhausted):
        async with supervised() as sv:
            await sv.start(service)
            variable.set(8)
    assert seen == [7, 7, 7, 7]


# Misuse


@virtual_time
async def test_what_is_wrong_is_said_before_anything_is_started() -> None:
    stage = Stage()
    wrong: Any
    for wrong in ({"strategy": "all"}, {"max_restarts": -1}, {"max_restarts": 1.5}, {"within": 0}):
        with pytest.raises(ValueError):
            create_supervisor(**wrong)
    with pytest.raises(RuntimeError, match="was not entered"):
        await supervised().start(stage.service("a"))
    async with supervised() as sv:
        with pytest.raises(RuntimeError, match="already been entered"):
            await sv.__aenter__()
        for wrong in ({"restart": "sometimes"}, {"stop_grace": -1}):
            with pytest.raises(ValueError):
                await sv.start(stage.service("a"), **wrong)
        with pytest.raises(TypeError, match="iterable of seconds"):
            await sv.start(stage.service("a"), backoff=3)  # type: ignore[arg-type]  # on purpose
    assert stage.lines == []


@virtual_time
async def test_a_supervisor_that_closes_starts_nothing() -> None:
    stage = Stage()
    async with supervised() as sv:
        handle = await sv.start(stage.service("a"))
        sv.stop()
        with pytest.raises(ClosedResourceError, match="closing"):
            await sv.start(stage.service("b"))
        with pytest.raises(ClosedResourceError, match="closing"):
            await handle.restart()


async def test_a_supervisor_on_each_loop() -> None:
    """The same without virtual time: restarts, a pause and a stop."""
    stage = Stage()
    async with supervised("one_for_all") as sv:
        for name in "ab":
            await sv.start(stage.service(name), backoff=[0.01])
        stage.take()
        stage.kick("a", Broken())
        while stage.lives["b"] < 2:
            await sleep(0.005)
        assert stage.take() == ["!a", "-b", "+a", "+b"]
        sv.stop()
    assert stage.take() == ["-b", "-a"]


# Late comers


@virtual_time
async def test_nothing_is_restarted_once_the_block_is_on_its_way_out() -> None:
    lives = 0

    async def once(*, task_status: TaskStatus[None]) -> None:
        nonlocal lives
        lives += 1
        task_status.started()
        await sleep(1)
        assert lives == 1

    async def restarts(handle: ServiceHandle, sv: Supervisor) -> None:
        await handle.wait()
        with pytest.raises(ClosedResourceError):
            await handle.restart()
        with pytest.raises(ClosedResourceError):
            await sv.start(once)

    async with create_task_group() as group:
        async with supervised() as sv:
            handle = await sv.start(once, restart="never")
            group.start_soon(restarts, handle, sv)
    assert current_time() == 1 and handle.state == "finished"


@virtual_time
async def test_a_service_that_starts_while_the_block_is_left_is_stopped() -> None:
    stage = Stage()
    slow = stage.service("slow")

    async def starts_slowly(*, task_status: TaskStatus[str]) -> None:
        await sleep(5)
        await slow(task_status=task_status)

    async with create_task_group() as group:
        async with supervised() as sv:
            group.start_soon(sv.start, starts_slowly)
            await settle()
    assert stage.take() == ["+slow", "-slow"]
    assert current_time() == 5
