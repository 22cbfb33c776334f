"""What closing one end means for tasks at either end; the same for byte and object streams."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from ..._abc.resources import aclose_forcefully
from ..._exceptions import BrokenResourceError, ClosedResourceError
from ..._tasks.group import create_task_group
from ._pairs import OneWay
from ._rules import Suite, begin, close_both, must_raise


class Sends(Protocol):
    """Sends again and again, until nothing more can be sent."""

    async def run(self) -> None: ...


def add_closing_rules(suite: Suite[OneWay[Any, Any]], pour: Callable[[Any], Sends]) -> None:
    """Add the rules to a suite.

    :param pour: makes what sends to a stream again and again
    """

    @suite.rule
    async def aclose_twice_does_nothing(ends: OneWay[Any, Any]) -> None:
        await close_both(ends.sender, ends.receiver)
        await close_both(ends.sender, ends.receiver)

    @suite.rule
    async def aclose_ends_a_waiting_receive(ends: OneWay[Any, Any]) -> None:
        async with create_task_group() as group:
            call = await begin(group, ends.receiver.receive)
            await ends.receiver.aclose()
            await must_raise(
                ClosedResourceError, call.result(), "receive() of a stream closed meanwhile"
            )

    @suite.rule
    async def aclose_ends_a_waiting_send(ends: OneWay[Any, Any]) -> None:
        async with create_task_group() as group:
            call = await begin(group, pour(ends.sender).run)
            await ends.sender.aclose()
            await must_raise(
                ClosedResourceError, call.result(), "send() of a stream closed meanwhile"
            )

    @suite.rule
    async def a_closed_receiver_breaks_the_sender(ends: OneWay[Any, Any]) -> None:
        await aclose_forcefully(ends.receiver)
        await must_raise(
            BrokenResourceError, pour(ends.sender).run(), "send() with nobody to receive"
        )

    @suite.rule
    async def a_receiver_that_closes_breaks_a_waiting_send(ends: OneWay[Any, Any]) -> None:
        async with create_task_group() as group:
            call = await begin(group, pour(ends.sender).run)
            await aclose_forcefully(ends.receiver)
            await must_raise(
                BrokenResourceError, call.result(), "send() as the receiver was closed"
            )
