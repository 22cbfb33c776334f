"""Creche's own streams, listeners and locks keep the contracts, on every backend."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import _own_streams
import pytest

import creche
from creche.testing import contracts

NO_HOLDER = ("acquiring_twice_is_an_error", "only_the_holder_releases")
# A file does not wait for a reader, and its end is where its writer happens to be; nor does anybody
# mind who else writes to it.
NOT_OF_FILES = (
    "bytes_arrive_whole_and_in_order",
    "receive_waits_for_bytes",
    "send_waits_for_room",
    "aclose_ends_a_waiting_receive",
    "aclose_ends_a_waiting_send",
    "a_closed_receiver_breaks_the_sender",
    "a_receiver_that_closes_breaks_a_waiting_send",
    "two_receiving_tasks_are_one_too_many",
    "two_sending_tasks_are_one_too_many",
)


@pytest.mark.parametrize(
    "make",
    [
        _own_streams.tcp,
        _own_streams.unix,
        _own_streams.socket_pair,
        _own_streams.tls,
        _own_streams.buffered,
        _own_streams.stapled,
    ],
)
async def test_two_way_byte_streams_keep_their_contract(make: Callable[[], Any]) -> None:
    assert len(await contracts.check_byte_stream(make)) == 25


@pytest.mark.parametrize("make", [_own_streams.through_a_process, _own_streams.buffered_half])
async def test_one_way_byte_streams_keep_their_contract(make: Callable[[], Any]) -> None:
    assert len(await contracts.check_one_way_byte_stream(make)) == 21


async def test_file_streams_keep_what_of_the_contract_is_about_files() -> None:
    checked = await contracts.check_one_way_byte_stream(
        _own_streams.through_a_file, without=NOT_OF_FILES
    )
    assert len(checked) == 12


@pytest.mark.parametrize("size", [0, 1, 3])
async def test_memory_streams_keep_their_contract(size: int) -> None:
    def make() -> Any:
        return creche.create_memory_object_stream[Any](size)

    assert len(await contracts.check_one_way_object_stream(make)) == 17
    assert len(await contracts.check_one_way_object_stream(make, item=lambda n: [n])) == 17


async def test_stapled_object_streams_keep_their_contract() -> None:
    assert len(await contracts.check_object_stream(_own_streams.two_way_memory)) == 21
    assert len(await contracts.check_object_stream(lambda: _own_streams.two_way_memory(3))) == 21


@pytest.mark.parametrize(
    "make", [_own_streams.tcp_listener, _own_streams.unix_listener, _own_streams.tls_listener]
)
async def test_listeners_keep_their_contract(make: Callable[[], Any]) -> None:
    assert len(await contracts.check_listener(make)) == 12


async def test_locks_keep_their_contract() -> None:
    assert len(await contracts.check_lock(creche.Lock)) == 15
    assert len(await contracts.check_lock(creche.Condition)) == 15
    assert len(await contracts.check_lock(lambda: creche.CapacityLimiter(1))) == 15
    semaphore = lambda: creche.Semaphore(1, max_value=1)  # noqa: E731  # a lambda as above
    assert len(await contracts.check_lock(semaphore, without=NO_HOLDER)) == 13


async def test_fast_locks_keep_their_contract() -> None:
    # They look for a cancellation and never give way.
    without = ("acquire_is_a_checkpoint",)
    await contracts.check_lock(lambda: creche.Lock(fast_acquire=True), without=without)
    await contracts.check_lock(
        lambda: creche.Semaphore(1, max_value=1, fast_acquire=True), without=(*without, *NO_HOLDER)
    )
