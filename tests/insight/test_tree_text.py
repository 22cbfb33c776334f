"""The text of a snapshot: folded, short, and with the circles of waits."""

from __future__ import annotations

import io

import creche
from creche import insight


def text() -> str:
    out = io.StringIO()
    insight.print_tasks(out)
    return out.getvalue()


async def request(lock: creche.Lock) -> None:
    async with lock:
        await creche.sleep_forever()


async def transfer(first: creche.Lock, second: creche.Lock) -> None:
    async with first:
        await creche.sleep(0)
        async with second:
            pass


async def test_equal_tasks_are_one_line() -> None:
    lock = creche.Lock(name="db")
    async with creche.create_task_group() as group:
        group.start_soon(request, lock, name="first")
        await creche.wait_all_tasks_blocked()
        for _ in range(371):
            group.start_soon(request, lock)
        await creche.wait_all_tasks_blocked()
        shown = text()
        (line,) = [line for line in shown.splitlines() if "request x371" in line]
        assert "waiting for Lock 'db', held by first" in line
        assert "test_tree_text.py:" in line and line.endswith("request")
        assert len(shown.splitlines()) < 10
        group.cancel_scope.cancel()


async def test_thousands_of_different_tasks_are_a_screen() -> None:
    async with creche.create_task_group() as group:
        for number in range(500):
            group.start_soon(creche.sleep_forever, name=f"task-{number}")
        await creche.wait_all_tasks_blocked()
        lines = text().splitlines()
        assert len(lines) < 70
        assert any("more lines" in line for line in lines)
        group.cancel_scope.cancel()


async def test_a_circle_of_waits_is_told_in_the_words_of_a_deadlock() -> None:
    accounts, ledger = creche.Lock(name="accounts"), creche.Lock(name="ledger")
    async with creche.create_task_group() as group:
        group.start_soon(transfer, accounts, ledger, name="a")
        group.start_soon(transfer, ledger, accounts, name="b")
        await creche.wait_all_tasks_blocked()
        shown = text()
        (deadlock,) = creche.debug.find_deadlocks()
        assert "Deadlock: 2 tasks wait for each other" in shown
        for line in str(deadlock).splitlines():
            assert line.strip() in shown
        group.cancel_scope.cancel()


async def test_a_circle_that_a_deadline_ends_is_no_deadlock() -> None:
    accounts, ledger = creche.Lock(), creche.Lock()
    with creche.move_on_after(60):
        async with creche.create_task_group() as group:
            group.start_soon(transfer, accounts, ledger)
            group.start_soon(transfer, ledger, accounts)
            await creche.wait_all_tasks_blocked()
            shown = text()
            assert "Deadlock" not in shown
            assert " left" in shown
            group.cancel_scope.cancel()


async def test_the_reason_of_a_cancel_is_shown() -> None:
    async with creche.create_task_group() as group:
        group.start_soon(creche.sleep_forever, name="sleeper")
        await creche.wait_all_tasks_blocked()
        group.cancel_scope.cancel("closing time")
        (line,) = [line for line in text().splitlines() if "sleeper" in line and "cancell" in line]
        assert "(closing time)" in line


def test_without_a_loop_it_says_so() -> None:
    assert text() == "No event loop of this process uses Creche.\n"
