"""`Nursery`: where the children of one task group live, on every kernel."""

from __future__ import annotations

from contextvars import ContextVar, copy_context

import pytest
from _kernel_parts import Group, Starting, cancel, caught, entered, let_run

from _harness import on_every_backend
from creche._kernel import current_task
from creche._kernel.contract import Task

pytestmark = on_every_backend

number: ContextVar[int] = ContextVar("number", default=0)


async def sleep_forever() -> None:
    await current_task().wait(current_task().make_waiter())


# spawn


async def test_a_child_takes_its_first_step_after_its_parent_has_let_others_run() -> None:
    group, steps = Group(), list[str]()

    async def child() -> None:
        steps.append("child")

    group.spawn(child)
    steps.append("parent")
    await let_run()
    assert steps == ["parent", "child"]
    await group.close()


async def test_a_child_runs_inside_the_scope_of_the_nursery() -> None:
    later = current_task().kernel.now() + 100
    group, deadlines = Group(deadline=later), list[float]()

    async def child() -> None:
        deadlines.append(current_task().effective_deadline())
        with entered(deadline=later + 100):
            deadlines.append(current_task().effective_deadline())

    group.spawn(child)
    await group.close()
    assert deadlines == [later, later]


async def test_a_nursery_notes_its_key_for_a_child_in_the_childs_label() -> None:
    group = Group()
    one, other = group.spawn(sleep_forever), group.spawn(sleep_forever)
    assert one._key is not None
    assert one._key != other._key
    group.cancel()
    await group.close()


async def test_a_child_has_a_copy_of_the_running_tasks_context() -> None:
    group, seen = Group(), list[int]()

    async def child() -> None:
        seen.append(number.get())
        number.set(3)

    number.set(1)
    group.spawn(child)
    number.set(2)
    await group.close()
    assert (seen, number.get()) == ([1], 2)
    number.set(0)


async def test_a_child_may_have_a_context_of_its_own_and_changes_that_one() -> None:
    group, seen, context = Group(), list[int](), copy_context()
    context.run(number.set, 5)

    async def child() -> None:
        seen.append(number.get())
        number.set(6)

    group.spawn(child, context=context)
    await group.close()
    assert (seen, context[number], number.get()) == ([5], 6, 0)


async def test_children_may_be_spawned_while_the_host_waits_for_the_last_one() -> None:
    group, steps = Group(), list[str]()

    async def last() -> None:
        steps.append("last")

    async def child() -> None:
        await let_run()
        group.spawn(last)

    group.spawn(child)
    assert await group.close() is None
    assert steps == ["last"]


# start


async def test_start_returns_when_the_child_has_moved_into_the_nursery() -> None:
    group, steps = Group(), list[str]()

    async def child(starting: Starting) -> None:
        steps.append("begun")
        assert starting._move is not None
        assert starting._move()
        await let_run()
        steps.append("went on")

    await group.start(child)
    assert steps == ["begun"]
    assert await group.close() is None
    assert steps == ["begun", "went on"]


async def test_start_returns_when_the_child_has_ended_without_moving() -> None:
    group = Group()

    async def child(_: Starting) -> None:
        await let_run()

    label = await group.start(child)
    assert label.ended
    assert await group.close() is None


async def test_a_child_is_in_the_scope_of_the_caller_until_it_moves() -> None:
    now = current_task().kernel.now()
    group, deadlines = Group(deadline=now + 200), list[float]()

    async def child(starting: Starting) -> None:
        deadlines.append(current_task().effective_deadline())
        assert starting._move is not None
        starting._move()
        deadlines.append(current_task().effective_deadline())

    with entered(deadline=now + 100):
        await group.start(child)
    await group.close()
    assert deadlines == [now + 100, now + 200]


async def test_the_scopes_that_a_child_has_entered_move_with_it() -> None:
    group, heard = Group(), list[str]()

    async def child(starting: Starting) -> None:
        with entered():
            assert starting._move is not None
            starting._move()
            try:
                await sleep_forever()
            except current_task().kernel.cancelled_class:
                heard.append("cancelled")
                raise

    with entered() as inner:
        await group.start(child)
        cancel(inner)
        await let_run()
    assert heard == []
    group.cancel()
    assert await group.close() is None
    assert heard == ["cancelled"]


async def test_start_raises_if_its_caller_is_cancelled_once_the_child_has_ended() -> None:
    group, steps = Group(), list[str]()
    cancelled_class = group.kernel.cancelled_class

    async def child(_: Starting) -> None:
        try:
            await sleep_forever()
        finally:
            await let_run()
            steps.append("child ended")

    async def canceller() -> None:
        await let_run()
        cancel(inner)

    with entered() as inner:
        group.spawn(canceller)
        with pytest.raises(cancelled_class):
            await group.start(child)
        steps.append("start raised")
    assert steps == ["child ended", "start raised"]
    assert await group.close() is None


async def test_start_of_a_cancelled_caller_lets_the_child_begin_and_raises() -> None:
    group, steps = Group(), list[str]()

    async def child(_: Starting) -> None:
        steps.append("begun")
        await current_task().checkpoint()
        steps.append("never here")

    with entered() as inner:
        cancel(inner)
        with pytest.raises(group.kernel.cancelled_class):
            await group.start(child)
    assert steps == ["begun"]
    assert await group.close() is None


async def test_nothing_moves_once_the_caller_of_start_is_cancelled() -> None:
    group, answers = Group(), list[bool]()

    async def child(starting: Starting) -> None:
        try:
            await sleep_forever()
        finally:
            if starting._move is not None:
                answers.append(starting._move())

    async def canceller() -> None:
        await let_run()
        cancel(inner)

    with entered() as inner:
        group.spawn(canceller)
        with pytest.raises(group.kernel.cancelled_class):
            await group.start(child)
    assert not any(answers)
    assert await group.close() is None


# retire


async def test_a_nursery_is_empty_once_its_last_child_has_retired() -> None:
    group = Group()

    async def child() -> None:
        await let_run(2)

    group.spawn(child)
    group.spawn(child)
    assert len(group.nursery.children()) == 2
    await let_run()
    assert group.nursery.children() == []
    await group.close()


async def test_a_child_that_a_scope_around_the_group_cancelled_hands_that_on() -> None:
    group_cancelled = list[bool]()
    with entered() as outer:
        group = Group()
        label = group.spawn(sleep_forever)
        await let_run()
        cancel(outer)
        rest = await group.close()
        group_cancelled.append(group.scope._cancelled)
        assert isinstance(rest, group.kernel.cancelled_class)
        assert label.cancelled
        raise rest
    assert group_cancelled == [True]


# cancel_child


async def test_one_child_is_cancelled_and_the_others_go_on() -> None:
    group, steps = Group(), list[str]()

    async def other() -> None:
        await let_run(3)
        await current_task().checkpoint()
        steps.append("went on")

    label = group.spawn(sleep_forever)
    group.spawn(other)
    await let_run(2)
    group.cancel_child(label, "for a reason")
    await let_run()
    assert label.cancelled
    assert not group.nursery.cancelled()
    group.cancel()
    await group.close()
    assert steps == ["went on"]


async def test_a_cancelled_child_hears_of_it_at_each_checkpoint() -> None:
    group, heard = Group(), list[int]()

    async def child() -> None:
        for turn in range(3):
            try:
                await sleep_forever()
            except current_task().kernel.cancelled_class:
                heard.append(turn)
        await sleep_forever()

    label = group.spawn(child)
    await let_run()
    group.cancel_child(label)
    await let_run()
    assert heard == [0, 1, 2]
    assert label.cancelled
    group.cancel()
    await group.close()


async def test_a_shield_in_a_cancelled_child_holds() -> None:
    group, steps = Group(), list[str]()

    async def child() -> None:
        with entered(shield=True):
            await let_run(3)
            await current_task().checkpoint()
            steps.append("shielded")
        await current_task().checkpoint()

    label = group.spawn(child)
    await let_run(1)
    group.cancel_child(label)
    await let_run()
    assert steps == ["shielded"]
    assert label.cancelled
    group.cancel()
    await group.close()


async def test_a_child_may_be_cancelled_before_its_first_step_and_still_begins() -> None:
    group, steps = Group(), list[str]()

    async def child() -> None:
        steps.append("begun")
        await current_task().checkpoint()

    label = group.spawn(child)
    group.cancel_child(label)
    await let_run()
    assert steps == ["begun"]
    assert label.cancelled
    group.cancel()
    await group.close()


# cancelled


async def test_a_nursery_is_cancelled_with_its_scope() -> None:
    group = Group()
    assert not group.nursery.cancelled()
    group.cancel()
    assert group.nursery.cancelled()
    await group.close()


@pytest.mark.parametrize("shield", [False, True])
async def test_a_nursery_is_cancelled_with_a_scope_around_it_shields_considered(
    shield: bool,
) -> None:
    with entered() as outer:
        group = Group(shield=shield)
        cancel(outer)
        assert group.nursery.cancelled() is not shield
        rest = await group.close()
    assert rest is None


# children


async def test_the_children_of_a_nursery_are_the_loops_own_objects() -> None:
    group, tasks = Group(), list[Task]()

    async def child() -> None:
        tasks.append(current_task())
        await sleep_forever()

    group.spawn(child)
    group.spawn(child)
    await let_run()
    children = group.nursery.children()
    assert [group.kernel.record(native).id for native in children] == [
        task.info().id for task in sorted(tasks, key=lambda t: children.index(t.info().native))
    ]
    assert len(children) == 2
    group.cancel()
    await group.close()


# close


async def test_close_waits_for_all_children_and_leaves_the_scope() -> None:
    task = current_task()
    group, steps = Group(), list[str]()

    async def child() -> None:
        await let_run()
        steps.append("ended")

    group.spawn(child)
    group.spawn(child)
    assert task.scope is group.scope
    assert await group.close() is None
    assert steps == ["ended"] * 2
    assert current_task().scope is None
    assert group.scope._host is None


async def test_close_returns_nothing_where_the_nurserys_own_scope_was_cancelled() -> None:
    group = Group()
    label = group.spawn(sleep_forever)
    await let_run()
    group.cancel()
    assert await group.close() is None
    assert label.cancelled
    assert caught(group.scope)


async def test_close_returns_the_cancellation_of_the_body_to_the_scopes_around() -> None:
    group_rest = list[object]()
    with entered() as outer:
        group = Group()
        cancel(outer)
        try:
            await current_task().checkpoint()
        except group.kernel.cancelled_class as exc:
            rest = await group.close(exc)
            assert isinstance(rest, group.kernel.cancelled_class)
            group_rest.append(rest)
            raise rest from None
    assert len(group_rest) == 1
    assert caught(outer)


async def test_close_catches_the_cancellation_of_the_body_by_the_nurserys_own_scope() -> None:
    group, rest = Group(), list[object]()
    group.cancel()
    try:
        await current_task().checkpoint()
    except group.kernel.cancelled_class as exc:
        rest.append(await group.close(exc))
    assert rest == [None]
    assert caught(group.scope)


async def test_the_wait_of_close_injects_no_cancellation() -> None:
    """Nobody was interrupted: the child has ended well, behind a shield."""

    async def child() -> None:
        with entered(shield=True):
            await let_run()

    with entered() as outer:
        group = Group()
        group.spawn(child)
        await let_run(1)
        cancel(outer)
        assert await group.close() is None
        with pytest.raises(group.kernel.cancelled_class):
            await current_task().checkpoint()


async def test_the_deadline_of_a_nursery_cancels_its_children() -> None:
    group = Group(deadline=current_task().kernel.now() + 0.01)
    label = group.spawn(sleep_forever)
    assert await group.close() is None
    assert label.cancelled
    assert caught(group.scope)


async def test_a_nursery_may_be_opened_in_a_scope_that_is_cancelled_already() -> None:
    with entered() as outer:
        cancel(outer)
        group = Group()
        label = group.spawn(sleep_forever)
        rest = await group.close()
        assert label.cancelled
        assert isinstance(rest, group.kernel.cancelled_class)
        raise rest
    assert caught(outer)
