"""What Trio keeps to itself: if a Trio keeps it otherwise, that is said, with its version."""

from __future__ import annotations

import sys
from types import ModuleType

import pytest
import trio

import creche
from creche import testing
from creche._kernel.trio import private


@pytest.fixture
def unchecked(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Make the next simulated run look anew, of a Trio of another version."""
    monkeypatch.setattr(private, "_checked", False)
    monkeypatch.setattr(trio, "__version__", "99.1")
    return monkeypatch


def run_is_refused() -> None:
    for _ in range(2):
        with pytest.raises(RuntimeError, match=r"does not know how Trio 99\.1 .* older Trio"):
            testing.run(creche.sleep, 1, backend="trio")


def test_a_queue_that_is_not_asked_is_noticed(unchecked: pytest.MonkeyPatch) -> None:
    unchecked.setattr(private, "replace_run_queue", lambda queue: None)
    run_is_refused()


def test_a_queue_in_another_place_is_noticed(unchecked: pytest.MonkeyPatch) -> None:
    unchecked.setitem(sys.modules, "trio._core._run", ModuleType("trio._core._run"))
    run_is_refused()


def test_tasks_that_do_not_tell_their_age_are_noticed(unchecked: pytest.MonkeyPatch) -> None:
    def order_of(task: object) -> int:
        raise AttributeError("_counter")

    unchecked.setattr(private, "order_of", order_of)
    run_is_refused()


def test_calls_that_go_to_threads_another_way_are_noticed(unchecked: pytest.MonkeyPatch) -> None:
    unchecked.setattr(private, "THREADS", ("trio._core._thread_cache", "ThreadCache.elsewhere"))
    run_is_refused()


def test_a_trio_that_is_known_is_looked_at_once(unchecked: pytest.MonkeyPatch) -> None:
    testing.run(creche.sleep, 1, backend="trio")
    unchecked.setattr(private, "THREADS", ())
    testing.run(creche.sleep, 1, backend="trio")


async def test_scopes_that_are_kept_otherwise_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trio, "__version__", "99.1")
    with pytest.raises(
        RuntimeError, match=r"does not know how Trio 99\.1 stores its cancel scopes"
    ):
        private.is_cancelled(object())
    with pytest.raises(
        RuntimeError, match=r"does not know how Trio 99\.1 stores its cancel scopes"
    ):
        private.put_scope_around(object(), object())
