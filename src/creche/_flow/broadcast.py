"""Broadcasts: everything that is sent reaches everybody who has subscribed.

Owns the ends that users hold, and the waiting. What goes where is decided by `BroadcastLog`, which
knows nothing of waiting.

    open --close--> closed         each end for itself; a clone is an end of its own

`send` and `receive` do a ready checkpoint, ask the log, and park only if it has no answer.
"""

from __future__ import annotations

from typing import Any, Generic, TypeVar

from ..abc import ObjectReceiveStream, ObjectSendStream
from .below import (
    CLOSED,
    ClosedResourceError,
    EndOfStream,
    Operation,
    Sending,
    StreamEnd,
    StreamOperation,
    TaskInfo,
    WaitDescription,
    Waiter,
    WouldBlock,
    current_task,
    label,
    noting,
    warn_unclosed,
)
from .broadcast_log import NOTHING, BroadcastLog, BroadcastStatistics, OnLag, Reader

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class BroadcastReceiveStream(StreamEnd, ObjectReceiveStream[T_co], Generic[T_co]):
    """The end of a broadcast that items come out of: one subscription.

    Made by `BroadcastSendStream.subscribe`. It gives everything that is sent from then on. Several
    tasks may share it; each item goes to one of them. A clone is a subscription of its own.
    """

    __slots__ = ("__weakref__", "_closed", "_reader", "_state")

    def __init__(self, _state: BroadcastLog, _reader: Reader) -> None:
        self._state = _state
        self._reader = _reader
        self._closed = False

    async def receive(self) -> T_co:
        """Wait for the next item and return it. A checkpoint.

        :raises Lagged: items were overwritten before they were received, if the broadcast was made with
            `on_lag="raise"`; the next call returns the oldest that is left
        :raises ClosedResourceError: this stream was closed, before or while this task waited
        :raises EndOfStream: all send streams were closed, and no item is left
        """
        task = current_task()
        await task.ready_checkpoint()
        if self._closed:
            raise ClosedResourceError(CLOSED)
        state, reader = self._state, self._reader
        item: Any = state.take(reader)
        if item is NOTHING:
            try:
                item = await state.wait_at(reader).wait(task, None)
            except BaseException:
                state.waits_no_more(reader)
                raise
        value: T_co = item
        return value

    async def __anext__(self) -> T_co:
        try:
            return await self.receive()
        except EndOfStream:
            raise StopAsyncIteration from None

    def receive_nowait(self) -> T_co:
        """Return the next item if there is one.

        :raises WouldBlock: there is no item yet
        :raises Lagged: as `receive`
        :raises ClosedResourceError: this stream was closed
        :raises EndOfStream: all send streams were closed, and no item is left
        """
        if self._closed:
            raise ClosedResourceError(CLOSED)
        item: T_co = self._state.take(self._reader)
        if item is NOTHING:
            raise WouldBlock
        return item

    def receiving(self) -> Operation[T_co]:
        """Return receiving an item as an operation for `select`. Its value is the item."""
        return Receiving(self)

    def clone(self) -> BroadcastReceiveStream[T_co]:
        """Make another subscription, which begins where this one is.

        :raises ClosedResourceError: this stream was closed
        """
        if self._closed:
            raise ClosedResourceError(CLOSED)
        state = self._state
        return BroadcastReceiveStream(state, state.subscribe(state.next - self._reader.position))

    def close(self) -> None:
        """End the subscription; tasks that wait on it get ClosedResourceError.

        A second call does nothing.
        """
        if not self._closed:
            self._state.close_reader(self._reader)
            self._closed = True

    def statistics(self) -> BroadcastStatistics:
        """Return how many items this stream has not received, and who waits on the broadcast."""
        return self._state.statistics(self._reader)

    def _describe_wait(
        self, task: TaskInfo, inner: WaitDescription | None
    ) -> WaitDescription | None:
        senders = self._state.open_senders
        what = ("an item from ", self, f", which has {senders} open senders")
        return inner or WaitDescription(what, "send()")

    def __del__(self) -> None:
        if not self._closed:
            warn_unclosed(self)
            self.close()  # or senders would wait for ever for a reader that is gone


class BroadcastSendStream(StreamEnd, ObjectSendStream[T], Generic[T]):
    """The end of a broadcast that items go into, and that subscriptions are made from.

    Made by `create_broadcast`. Any number of tasks may share it or its clones.
    """

    __slots__ = ("__weakref__", "_closed", "_state", "_waiting")

    def __init__(self, _state: BroadcastLog) -> None:
        _state.open_senders += 1
        self._state = _state
        self._closed = False
        self._waiting = 0

    async def send(self, item: T) -> None:
        """Send an item to everybody who has subscribed. A checkpoint.

        Waits only if the broadcast was made with `on_lag="wait"`, until the slowest has received the
        item that is to be overwritten. If it raises, the item was not sent. Without any subscription an
        item is only kept for those who ask for it later.

        :raises ClosedResourceError: this stream was closed, before or while this task waited
        """
        task = current_task()
        await task.ready_checkpoint()
        if self._closed:
            raise ClosedResourceError(CLOSED)
        state = self._state
        if not state.put(item):
            self._waiting += 1
            try:
                await state.senders.wait(task, (self, item))
            finally:
                self._waiting -= 1

    def send_nowait(self, item: T) -> None:
        """Send an item without waiting.

        :raises WouldBlock: there is no room, and the broadcast was made with `on_lag="wait"`
        :raises ClosedResourceError: this stream was closed
        """
        if self._closed:
            raise ClosedResourceError(CLOSED)
        if not self._state.put(item):
            raise WouldBlock

    def sending(self, item: T) -> Operation[None]:
        """Return sending an item as an operation for `select`. Its value is None."""
        return Sending(self, item)

    def subscribe(self, replay: int = 0) -> BroadcastReceiveStream[T]:
        """Make a receive stream of everything that is sent from now on.

        :param replay: how many of the last items it gives first, or as many of them as are kept
        :raises ClosedResourceError: this stream was closed
        :raises TypeError: `replay` is not an int
        :raises ValueError: `replay` is negative, or more than the capacity
        """
        if self._closed:
            raise ClosedResourceError(CLOSED)
        state = self._state
        _check_int("replay", replay)
        if not 0 <= replay <= state.capacity:
            raise ValueError(
                f"replay must be between 0 and the capacity, {state.capacity}, not {replay}: "
                f"no more items than that are kept"
            )
        return BroadcastReceiveStream(state, state.subscribe(replay))

    def clone(self) -> BroadcastSendStream[T]:
        """Make another send stream to the same subscribers, to be closed for itself.

        :raises ClosedResourceError: this stream was closed
        """
        if self._closed:
            raise ClosedResourceError(CLOSED)
        return BroadcastSendStream(self._state)

    def close(self) -> None:
        """Close this stream; tasks that wait on it get ClosedResourceError.

        If it was the last of the send streams, subscribers get what they have not received, and then
        EndOfStream. A second call does nothing.
        """
        if not self._closed:
            self._state.close_sender(self, self._waiting)
            self._closed = True

    def statistics(self) -> BroadcastStatistics:
        """Return how many items are kept, and who waits on the broadcast."""
        return self._state.statistics()

    def _describe_wait(
        self, task: TaskInfo, inner: WaitDescription | None
    ) -> WaitDescription | None:
        full = f", which has {self._state.capacity} items that somebody has not received"
        return inner or WaitDescription(("room in ", self, full), "receive()")


# An operation is a part of its stream.
# pyright: reportPrivateUsage=false


class Receiving(StreamOperation[T_co]):
    """Receiving an item of a broadcast."""

    __slots__ = ()

    _stream: BroadcastReceiveStream[T_co]

    def is_ready(self) -> bool:
        stream = self._stream
        return stream._closed or stream._state.is_ready(stream._reader)

    def commit(self) -> T_co:
        return self._stream.receive_nowait()

    def join(self, waiter: Waiter, /) -> None:
        stream = self._stream
        stream._state.wait_at(stream._reader).add(waiter, None)

    def leave(self, waiter: Waiter, /) -> None:
        stream = self._stream
        stream._reader.waiting.discard(waiter)
        stream._state.waits_no_more(stream._reader)


class create_broadcast(Generic[T]):  # noqa: N801  # a function that can be subscripted
    """Make a broadcast, and return its send end, from which subscriptions are made.

    The type of the items is given as `create_broadcast[int](10)`.

    ```python
    import creche
    from creche.flow import create_broadcast


    async def main() -> None:
        with create_broadcast[str](10) as news:
            with news.subscribe() as ada, news.subscribe() as grace:
                await news.send("hello")
                print(await ada.receive(), await grace.receive())


    creche.run(main)
    ```

    Publishing takes the same time however many have subscribed, but for waking those who wait. The last
    `capacity` items are kept, for all together. What happens to one who has not received an item when
    it is to be overwritten is said by `on_lag`:

    - `"raise"`: the next `receive` raises Lagged once, with how many items are missing, and goes on
      with the oldest that is left;
    - `"drop_oldest"`: the same without the exception;
    - `"wait"`: nothing is missed; `send` waits for the slowest.

    `name` is what reports of deadlocks call the broadcast.

    :raises TypeError: `capacity` is not an int
    :raises ValueError: `capacity` is less than 1, or `on_lag` is none of the three
    """

    __slots__ = ()

    def __new__(  # type: ignore[misc]  # returns a plain send stream, which is all a caller needs
        cls, capacity: int, on_lag: OnLag = "raise", *, name: str | None = None
    ) -> BroadcastSendStream[T]:
        _check_int("capacity", capacity)
        if capacity < 1:
            raise ValueError(
                f"capacity must be 1 or more, not {capacity}: it is how many items are kept for "
                f"those who have not received them"
            )
        if on_lag not in ("raise", "wait", "drop_oldest"):
            raise ValueError(f"on_lag must be 'raise', 'wait' or 'drop_oldest', not {on_lag!r}")
        log = BroadcastLog(capacity, on_lag)
        if name is not None or noting:
            log.name = label(name)
        return BroadcastSendStream(log)


def _check_int(name: str, value: object) -> None:
    if not isinstance(value, int):
        raise TypeError(f"{name} must be an int, not {value!r}: it counts items")
