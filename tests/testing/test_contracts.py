"""How suites are run: what is made and closed, what is left out, what is said of a broken rule."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import _flawed_bytes
import pytest
from _flawed_locks import FlawedLock

import creche
from _harness import on_each_simulated_loop
from creche import testing
from creche.testing import contracts
from creche.testing.contracts import _byte_rules

Duplex = _flawed_bytes.Duplex


async def test_a_contract_error_names_what_it_is_about_the_rules_and_what_happened() -> None:
    others = {*_byte_rules.ONE_WAY.rules, *_byte_rules.BOTH_WAYS.rules}
    with pytest.raises(contracts.ContractError) as caught:
        await contracts.check_byte_stream(
            lambda: _flawed_bytes.two_way("receive_gives_at_most_max_bytes"),
            without=others - {"receive_gives_at_most_max_bytes"},
        )
    assert str(caught.value).splitlines() == [
        "Duplex breaks 2 rules of a byte stream:",
        "  receive_gives_at_most_max_bytes: (first to second) receive(3) returned 10 bytes",
        "  receive_gives_at_most_max_bytes: (second to first) receive(3) returned 10 bytes",
    ]
    first = caught.value.broken[0]
    assert first.rule == "receive_gives_at_most_max_bytes"
    assert first.what == "(first to second) receive(3) returned 10 bytes"
    assert isinstance(caught.value, AssertionError)
    assert isinstance(caught.value.__cause__, AssertionError)


async def test_other_errors_are_told_with_their_type() -> None:
    class Loud(FlawedLock):
        async def acquire(self) -> None:
            raise OSError("on fire")

    with pytest.raises(contracts.ContractError, match="one_task_at_a_time: OSError: on fire"):
        await contracts.check_lock(lambda: Loud(""))


@on_each_simulated_loop
def test_a_rule_that_does_not_end_is_ended(loop: str) -> None:
    class Deaf(FlawedLock):
        async def acquire(self) -> None:
            await creche.Event().wait()

    async def main() -> float:
        with pytest.raises(contracts.ContractError, match="not over after 3 seconds") as caught:
            await contracts.check_lock(lambda: Deaf(""), seconds=3)
        return creche.current_time() / len(caught.value.broken)

    assert 3 <= testing.run(main, backend=loop) <= 3.001


async def test_without_takes_names_of_rules_and_nothing_else() -> None:
    def never() -> Any:
        raise AssertionError("made, though the call is wrong")

    with pytest.raises(ValueError, match=r"which is not a rule\. The rules are: one_task"):
        await contracts.check_lock(never, without=["no_such_rule"])
    with pytest.raises(TypeError, match=r"write without=\('one_task_at_a_time',\)"):
        await contracts.check_lock(never, without="one_task_at_a_time")
    with pytest.raises(ValueError, match="names 'one_task_at_a_time', which is not"):
        await contracts.check_byte_stream(never, without=["one_task_at_a_time"])


async def test_what_is_left_out_is_not_run() -> None:
    def make() -> FlawedLock:
        return FlawedLock("acquire_is_a_checkpoint")

    checked = await contracts.check_lock(make, without=["acquire_is_a_checkpoint"])
    assert "acquire_is_a_checkpoint" not in checked
    assert len(checked) == 14


async def test_ends_may_be_returned_awaited_or_entered_and_are_closed_after_each_rule() -> None:
    made: list[tuple[Duplex, Duplex]] = []

    def plain() -> tuple[Duplex, Duplex]:
        made.append(_flawed_bytes.two_way(""))
        return made[-1]

    async def awaited() -> tuple[Duplex, Duplex]:
        return plain()

    @asynccontextmanager
    async def entered() -> AsyncIterator[tuple[Duplex, Duplex]]:
        yield plain()
        left.append(made[-1])

    left: list[Any] = []
    kept = {
        "use_after_aclose_is_an_error",
        "receive_waits_for_bytes",
        "aclose_ends_both_directions",
    }
    others = {*_byte_rules.ONE_WAY.rules, *_byte_rules.BOTH_WAYS.rules} - kept
    for make in (plain, awaited, entered):
        made.clear()
        await contracts.check_byte_stream(make, without=others)
        assert len(made) == 2 + 2 + 1
        for pair in made:
            for end in pair:
                assert end.sender.pipe.sender_closed and end.receiver.pipe.receiver_closed
    assert left == made


async def test_a_maker_that_fails_is_no_broken_rule() -> None:
    async def make() -> Any:
        raise ConnectionRefusedError("nobody there")

    with pytest.raises(ConnectionRefusedError, match="nobody there"):
        await contracts.check_byte_stream(make)


async def test_what_closes_badly_is_told_by_the_rules_only() -> None:
    with pytest.raises(contracts.ContractError) as caught:
        await contracts.check_one_way_byte_stream(
            lambda: _flawed_bytes.one_way("aclose_twice_does_nothing")
        )
    assert [rule for rule, _ in caught.value.broken] == ["aclose_twice_does_nothing"]
