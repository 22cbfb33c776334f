"""The states of a TLS stream: the table at the top of `_tls/state.py`, walked without a loop."""

from __future__ import annotations

from collections.abc import Callable
from ssl import SSLEOFError, SSLError

import pytest

from creche import BrokenResourceError, ClosedResourceError, EndOfStream
from creche.streams._tls.state import TLSState

FAILURE = SSLError(1, "no TLS at all")

TABLE: dict[str, tuple[Callable[[TLSState], object], type | None, type | None]] = {
    "open": (lambda state: None, None, None),
    "parted": (TLSState.part, None, ClosedResourceError),
    "lost": (TLSState.lose, None, BrokenResourceError),
    "cut off": (TLSState.cut_off, BrokenResourceError, None),
    "failed": (lambda state: state.fail(FAILURE), BrokenResourceError, BrokenResourceError),
    "closed": (TLSState.close, ClosedResourceError, ClosedResourceError),
}


def errors(state: TLSState) -> tuple[type | None, type | None]:
    """What receiving raises, and sending."""
    return (
        None if state.readable else type(state.not_readable()),
        None if state.writable else type(state.not_writable()),
    )


@pytest.mark.parametrize("name", TABLE)
def test_each_state_of_a_tls_stream_has_its_errors(name: str) -> None:
    enter, receiving, sending = TABLE[name]
    state = TLSState(standard_compatible=True)
    enter(state)
    assert errors(state) == (receiving, sending)


@pytest.mark.parametrize("name", TABLE)
def test_closing_is_the_last_word_on_a_tls_stream(name: str) -> None:
    state = TLSState(standard_compatible=True)
    TABLE[name][0](state)
    state.close()
    assert errors(state) == (ClosedResourceError, ClosedResourceError)


def test_a_stream_can_be_cut_off_and_lost_at_once() -> None:
    state = TLSState(standard_compatible=True)
    state.lose()
    assert isinstance(state.cut_off().__cause__, SSLEOFError)
    assert errors(state) == (BrokenResourceError, BrokenResourceError)


def test_a_cut_is_an_end_where_no_goodbye_was_agreed_on() -> None:
    state = TLSState(standard_compatible=False)
    assert isinstance(state.cut_off(), EndOfStream)
    assert state.writable


def test_a_failure_is_the_cause_of_what_comes_after_it() -> None:
    state = TLSState(standard_compatible=True)
    assert "no TLS at all" in str(state.fail(FAILURE))
    assert state.not_readable().__cause__ is FAILURE
    assert state.not_writable().__cause__ is FAILURE
