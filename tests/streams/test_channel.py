"""The state machine of memory streams, without a loop: its table, walked move by move."""

from __future__ import annotations

import pytest

from creche import BrokenResourceError, ClosedResourceError, EndOfStream
from creche.streams._channel import NOTHING, Channel


class FakeWaiter:
    """A waiter that remembers what it was given."""

    def __init__(self) -> None:
        self.outcome: object = None
        self.finished = False

    def done(self) -> bool:
        return self.finished

    def result(self) -> object:
        return self.outcome

    def set_result(self, value: object) -> None:
        assert not self.finished
        self.finished = True
        self.outcome = value

    def set_exception(self, exc: BaseException) -> None:
        self.set_result(exc)

    def cancel(self) -> None:
        self.set_result("cancelled")


def channel_of(size: int) -> Channel:
    channel = Channel(size)
    channel.open_senders = channel.open_receivers = 1
    return channel


def waiting_receiver(channel: Channel, stream: object = "r") -> FakeWaiter:
    waiter = FakeWaiter()
    channel.receivers.add(waiter, stream)
    return waiter


def waiting_sender(channel: Channel, item: object, stream: object = "s") -> FakeWaiter:
    waiter = FakeWaiter()
    channel.senders.add(waiter, (stream, item))
    return waiter


def test_idle_and_empty_puts_into_the_buffer_and_takes_nothing() -> None:
    channel = channel_of(1)
    assert channel.take() is NOTHING
    assert channel.put("a")
    assert [*channel.buffer] == ["a"]


def test_idle_and_full_refuses_an_item_and_takes_the_oldest() -> None:
    channel = channel_of(2)
    assert channel.put("a") and channel.put("b")
    assert not channel.put("c")
    assert [channel.take(), channel.take(), channel.take()] == ["a", "b", NOTHING]


def test_without_a_buffer_an_item_needs_a_waiting_receiver() -> None:
    channel = channel_of(0)
    assert not channel.put("a")
    receiver = waiting_receiver(channel)
    assert channel.put("a")
    assert receiver.outcome == "a"
    assert not channel.put("b")


def test_waiting_receivers_get_items_in_the_order_they_came() -> None:
    channel = channel_of(5)
    first, second = waiting_receiver(channel), waiting_receiver(channel)
    assert channel.put("a") and channel.put("b") and channel.put("c")
    assert (first.outcome, second.outcome) == ("a", "b")
    assert [*channel.buffer] == ["c"]


def test_taking_from_a_full_buffer_lets_the_first_waiting_sender_in() -> None:
    channel = channel_of(1)
    channel.put("a")
    first, second = waiting_sender(channel, "b"), waiting_sender(channel, "c")
    assert channel.take() == "a"
    assert (first.finished, second.finished) == (True, False)
    assert [channel.take(), channel.take(), channel.take()] == ["b", "c", NOTHING]
    assert second.finished


def test_without_a_buffer_taking_serves_the_first_waiting_sender() -> None:
    channel = channel_of(0)
    first, second = waiting_sender(channel, "a"), waiting_sender(channel, "b")
    assert channel.take() == "a"
    assert (first.finished, second.finished) == (True, False)


def test_a_cancelled_receiver_is_passed_over() -> None:
    channel = channel_of(0)
    cancelled, live = waiting_receiver(channel), waiting_receiver(channel)
    cancelled.cancel()
    assert channel.put("a")
    assert live.outcome == "a"
    assert not channel.put("b")


def test_the_item_of_a_cancelled_sender_is_never_seen() -> None:
    channel = channel_of(1)
    channel.put("a")
    cancelled = waiting_sender(channel, "lost")
    waiting_sender(channel, "c")
    cancelled.cancel()
    assert [channel.take(), channel.take(), channel.take()] == ["a", "c", NOTHING]


def test_closing_one_of_two_receive_streams_wakes_those_who_wait_on_it_only() -> None:
    channel = channel_of(0)
    channel.open_receivers = 2
    mine, other = waiting_receiver(channel, "mine"), waiting_receiver(channel, "other")
    channel.close_receiver("mine", 1)
    assert isinstance(mine.outcome, ClosedResourceError)
    assert not other.finished
    assert channel.put("a")
    assert other.outcome == "a"


def test_closing_one_of_two_send_streams_wakes_those_who_wait_on_it_only() -> None:
    channel = channel_of(0)
    channel.open_senders = 2
    mine, other = waiting_sender(channel, "a", "mine"), waiting_sender(channel, "b", "other")
    channel.close_sender("mine", 1)
    assert isinstance(mine.outcome, ClosedResourceError)
    assert not other.finished
    assert channel.take() == "b"


def test_closing_the_last_send_stream_ends_the_stream_for_waiting_receivers() -> None:
    channel = channel_of(0)
    receivers = [waiting_receiver(channel) for _ in range(3)]
    channel.close_sender("s", 0)
    assert all(isinstance(receiver.outcome, EndOfStream) for receiver in receivers)
    assert channel.statistics().tasks_waiting_receive == 0


def test_closing_the_last_receive_stream_breaks_it_for_waiting_senders() -> None:
    channel = channel_of(0)
    senders = [waiting_sender(channel, number) for number in range(3)]
    channel.close_receiver("r", 0)
    assert all(isinstance(sender.outcome, BrokenResourceError) for sender in senders)
    assert channel.statistics().tasks_waiting_send == 0


def test_what_is_in_the_buffer_outlives_the_last_send_stream() -> None:
    channel = channel_of(2)
    channel.put("a")
    channel.close_sender("s", 0)
    assert channel.take() == "a"
    with pytest.raises(EndOfStream):
        channel.take()


def test_nothing_can_be_put_when_no_receive_stream_is_left() -> None:
    channel = channel_of(2)
    channel.close_receiver("r", 0)
    with pytest.raises(BrokenResourceError):
        channel.put("a")
