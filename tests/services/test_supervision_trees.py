"""Random supervision trees do what a small model of OTP's rules says, in virtual time."""

from __future__ import annotations

from typing import Any

import pytest
from _model import compare

from creche._services.backoff import Intensity
from creche._services.cycle import Cycle
from creche.testing import run

both = pytest.mark.parametrize("loop", ["asyncio", "trio"])


@both
def test_random_trees_do_as_the_model_says(loop: str) -> None:
    for seed in range(150):
        run(compare, seed, backend=loop)


@pytest.mark.soak
@pytest.mark.time_limit(1800)
@both
def test_five_thousand_random_trees(loop: str) -> None:
    for seed in range(5_000):
        run(compare, seed, backend=loop)


# That the comparison can fail


def differs() -> bool:
    for seed in range(150):
        try:
            run(compare, seed)
        except AssertionError:
            return True
    return False


def test_a_supervisor_that_never_gives_up_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Intensity, "too_many", lambda self, now: False)
    assert differs()


def test_a_supervisor_that_restarts_one_of_all_is_found_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    begin = Cycle.begin
    monkeypatch.setattr(Cycle, "begin", lambda self, them, pause: begin(self, them[:1], pause))
    assert differs()


def test_a_supervisor_that_stops_in_order_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    begin = Cycle.begin

    def in_order(self: Any, them: Any, pause: float) -> None:
        begin(self, them, pause)
        self._to_stop.reverse()

    monkeypatch.setattr(Cycle, "begin", in_order)
    assert differs()
