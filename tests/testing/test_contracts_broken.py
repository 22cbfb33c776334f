"""Each rule of each contract is broken by something that was made to break it, and only then."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import _flawed_bytes
import _flawed_locks
import _flawed_objects
import _flawed_operations
import pytest
from _flawed_listeners import FlawedListener

import creche
from _harness import on_each_simulated_loop
from creche import testing
from creche.testing.contracts import (
    ContractError,
    _byte_rules,
    _object_rules,
    check_byte_stream,
    check_listener,
    check_lock,
    check_object_stream,
    check_one_way_byte_stream,
    check_one_way_object_stream,
    check_operation,
)
from creche.testing.contracts._listeners import LISTENER
from creche.testing.contracts._locks import LOCK
from creche.testing.contracts._operations import OPERATION

Check = Callable[..., Awaitable[tuple[str, ...]]]


def reception(flaw: str) -> Any:
    @asynccontextmanager
    async def make() -> AsyncIterator[Any]:
        listener = FlawedListener(flaw)
        async with creche.create_task_group() as listener.forgotten:
            yield listener, listener.connect
            listener.forgotten.cancel_scope.cancel()

    return make()


CHECKS: list[tuple[Check, Callable[[str], Any], list[str]]] = [
    (check_one_way_byte_stream, _flawed_bytes.one_way, [*_byte_rules.ONE_WAY.rules]),
    (check_byte_stream, _flawed_bytes.two_way, [*_byte_rules.ONE_WAY.rules, *_byte_rules.BOTH_WAYS.rules]),
    (check_one_way_object_stream, _flawed_objects.one_way, [*_object_rules.ONE_WAY.rules]),
    (check_object_stream, _flawed_objects.two_way, [*_object_rules.ONE_WAY.rules, *_object_rules.BOTH_WAYS.rules]),
    (check_lock, _flawed_locks.FlawedLock, [*LOCK.rules]),
    (check_operation, _flawed_operations.offered, [*OPERATION.rules]),
    (check_listener, reception, [*LISTENER.rules]),
]  # fmt: skip

both = on_each_simulated_loop
each_check = pytest.mark.parametrize(
    ("check", "make", "rules"), CHECKS, ids=[check.__name__ for check, _, _ in CHECKS]
)
each_flaw = pytest.mark.parametrize(
    ("check", "make", "rules", "flaw"),
    [
        pytest.param(check, make, rules, rule, id=f"{check.__name__}-{rule}")
        for check, make, rules in CHECKS
        for rule in rules
    ],
)


@both
@each_check
def test_what_has_no_flaw_keeps_every_rule(
    loop: str, check: Check, make: Callable[[str], Any], rules: list[str]
) -> None:
    assert testing.run(check, partial(make, ""), backend=loop) == tuple(rules)


@both
@each_flaw
def test_a_flaw_breaks_the_rule_that_is_about_it(
    loop: str, check: Check, make: Callable[[str], Any], rules: list[str], flaw: str
) -> None:
    others = [rule for rule in rules if rule != flaw]
    with pytest.raises(ContractError) as caught:
        testing.run(partial(check, without=others), partial(make, flaw), backend=loop)
    assert {rule for rule, _ in caught.value.broken} == {flaw}
