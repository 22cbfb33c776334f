"""The checks of streams: `check_byte_stream`, `check_object_stream`, and one direction of each.

Owns the functions that users call. The rules are in `_byte_rules.py` and `_object_rules.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from ..._abc.streams import (
    ByteReceiveStream,
    ByteSendStream,
    ByteStream,
    ObjectReceiveStream,
    ObjectSendStream,
    ObjectStream,
)
from . import _byte_rules, _object_rules
from ._pairs import check_both_ways, check_one_way
from ._rules import Made


async def check_one_way_byte_stream(
    make: Callable[[], Made[tuple[ByteSendStream, ByteReceiveStream]]],
    /,
    *,
    without: Collection[str] = (),
    seconds: float = 10,
) -> tuple[str, ...]:
    """Check that two ends of a byte stream, one to send and one to receive, keep their contract.

    Each rule gets new ends. Runs in the loop that it is awaited in: to choose one,
    `creche.run(check_one_way_byte_stream, make, backend="trio")`. A checkpoint.

    :param make: returns the ends, or an awaitable or async context manager that gives them; they are
        closed after each rule
    :param without: the names of rules that do not apply
    :param seconds: the longest that one rule may take
    :return: the names of the rules that were checked
    :raises ContractError: rules are broken; it names each, and what happened instead
    :raises ValueError: a name in `without` is not a rule
    """
    return await check_one_way(_byte_rules.ONE_WAY, make, without, seconds)


async def check_byte_stream(
    make: Callable[[], Made[tuple[ByteStream, ByteStream]]],
    /,
    *,
    without: Collection[str] = (),
    seconds: float = 10,
) -> tuple[str, ...]:
    """Check that the two ends of a byte stream keep their contract, in both directions.

    As `check_one_way_byte_stream`, with some rules for both directions together. A checkpoint.

    :param make: returns the two ends, or an awaitable or async context manager that gives them; they
        are closed after each rule
    :param without: the names of rules that do not apply
    :param seconds: the longest that one rule may take
    :return: the names of the rules that were checked
    :raises ContractError: rules are broken; it names each, and what happened instead
    :raises ValueError: a name in `without` is not a rule
    """
    one_way: Any = _byte_rules.ONE_WAY  # a two-way stream is both a sender and a receiver
    return await check_both_ways(one_way, _byte_rules.BOTH_WAYS, make, without, seconds)


async def check_one_way_object_stream(
    make: Callable[[], Made[tuple[ObjectSendStream[Any], ObjectReceiveStream[Any]]]],
    /,
    *,
    item: Callable[[int], Any] = int,
    without: Collection[str] = (),
    seconds: float = 10,
) -> tuple[str, ...]:
    """Check that two ends of an object stream, one to send and one to receive, keep their contract.

    Each rule gets new ends. Runs in the loop that it is awaited in. A checkpoint.

    :param make: returns the ends, or an awaitable or async context manager that gives them; they are
        closed after each rule
    :param item: makes the n-th item to send; each is different, and equal to what is received
    :param without: the names of rules that do not apply
    :param seconds: the longest that one rule may take
    :return: the names of the rules that were checked
    :raises ContractError: rules are broken; it names each, and what happened instead
    :raises ValueError: a name in `without` is not a rule
    """
    with _object_rules.items_of(item):
        return await check_one_way(_object_rules.ONE_WAY, make, without, seconds)


async def check_object_stream(
    make: Callable[[], Made[tuple[ObjectStream[Any], ObjectStream[Any]]]],
    /,
    *,
    item: Callable[[int], Any] = int,
    without: Collection[str] = (),
    seconds: float = 10,
) -> tuple[str, ...]:
    """Check that the two ends of an object stream keep their contract, in both directions.

    As `check_one_way_object_stream`, with some rules for both directions together. A checkpoint.

    :param make: returns the two ends, or an awaitable or async context manager that gives them; they
        are closed after each rule
    :param item: makes the n-th item to send; each is different, and equal to what is received
    :param without: the names of rules that do not apply
    :param seconds: the longest that one rule may take
    :return: the names of the rules that were checked
    :raises ContractError: rules are broken; it names each, and what happened instead
    :raises ValueError: a name in `without` is not a rule
    """
    one_way: Any = _object_rules.ONE_WAY  # a two-way stream is both a sender and a receiver
    with _object_rules.items_of(item):
        return await check_both_ways(one_way, _object_rules.BOTH_WAYS, make, without, seconds)
