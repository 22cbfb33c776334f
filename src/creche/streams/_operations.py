"""The operations of memory streams, for `creche.flow.select`: receiving and sending.

Own nothing but a reference to their stream, and reach into it as its other methods do.
"""

# An operation is a part of its stream, in a file of its own.
# pyright: reportPrivateUsage=false

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from .._kernel.wait_queue import WaitQueue
from .._sync.operation import NOT_READY, Operation, Waiter
from ._channel import NOTHING

if TYPE_CHECKING:
    from .memory import MemoryObjectReceiveStream

T_co = TypeVar("T_co", covariant=True)


class StreamOperation(Operation[T_co]):
    """An operation of a stream."""

    __slots__ = ("_stream",)

    _stream: Any

    def __init__(self, stream: object) -> None:
        self._stream = stream

    @property
    def subject(self) -> object:
        return self._stream

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._stream!r}>"


class Receiving(StreamOperation[T_co]):
    """Receiving an item."""

    __slots__ = ("_state",)

    _stream: MemoryObjectReceiveStream[T_co]

    def __init__(self, stream: MemoryObjectReceiveStream[T_co]) -> None:
        self._stream = stream
        self._state = stream._state

    def is_ready(self) -> bool:
        state = self._state
        if state.buffer or not state.open_senders or self._stream._closed:
            return True
        return bool(state.senders)

    def commit(self) -> T_co:
        # As `receive_nowait`, without the call (`select-1` and `select-2` in benchmarks).
        item: T_co = self._stream.receive_nowait() if self._stream._closed else self._state.take()
        return item

    def attempt(self) -> T_co:
        if self._stream._closed:
            return self._stream.receive_nowait()  # which raises
        item: T_co = self._state.take()
        return item if item is not NOTHING else NOT_READY

    def join(self, waiter: Waiter, /) -> None:
        stream = self._stream
        stream._state.receivers.add(waiter, stream)
        stream._waiting += 1

    def leave(self, waiter: Waiter, /) -> None:
        stream = self._stream
        stream._state.receivers.discard(waiter)
        stream._waiting -= 1


class Sending(StreamOperation[None]):
    """Sending an item, to a memory stream or to a broadcast."""

    __slots__ = ("_item",)

    def __init__(self, stream: SendEnd, item: object) -> None:
        self._stream = stream
        self._item = item

    def is_ready(self) -> bool:
        stream: SendEnd = self._stream
        return stream._closed or stream._state.has_room()

    def commit(self) -> None:
        self._stream.send_nowait(self._item)

    def join(self, waiter: Waiter, /) -> None:
        stream: SendEnd = self._stream
        stream._state.senders.add(waiter, (stream, self._item))
        stream._waiting += 1

    def leave(self, waiter: Waiter, /) -> None:
        stream: SendEnd = self._stream
        stream._state.senders.discard(waiter)
        stream._waiting -= 1

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._item!r} {self._stream!r}>"


class SendState(Protocol):
    """Where the items of a sender go, and the queue of those that wait for room."""

    senders: WaitQueue[tuple[object, Any]]

    def has_room(self) -> bool:
        """Tell whether a sender need not wait, be it that it raises."""
        ...


class SendEnd(Protocol):
    """What `Sending` asks of the end that it sends to."""

    _closed: bool
    _waiting: int

    @property
    def _state(self) -> SendState: ...

    def send_nowait(self, item: Any) -> None: ...
