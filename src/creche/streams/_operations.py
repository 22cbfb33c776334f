"""The operations of memory streams, for `creche.flow.select`: receiving and sending.

Own nothing but a reference to their stream, and reach into it as its other methods do.
"""

# An operation is a part of its stream, in a file of its own.
# pyright: reportPrivateUsage=false

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

from .._sync.operation import NOT_READY, Operation, Waiter
from ._channel import NOTHING

if TYPE_CHECKING:
    from .memory import MemoryObjectReceiveStream, MemoryObjectSendStream

T_co = TypeVar("T_co", covariant=True)
T_contra = TypeVar("T_contra", contravariant=True)


class Receiving(Operation[T_co]):
    """Receiving an item."""

    __slots__ = ("_state", "_stream")

    def __init__(self, stream: MemoryObjectReceiveStream[T_co]) -> None:
        self._stream = stream
        self._state = stream._state

    @property
    def subject(self) -> MemoryObjectReceiveStream[T_co]:
        return self._stream

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

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._stream!r}>"


class Sending(Operation[None], Generic[T_contra]):
    """Sending an item."""

    __slots__ = ("_item", "_stream")

    def __init__(self, stream: MemoryObjectSendStream[T_contra], item: T_contra) -> None:
        self._stream = stream
        self._item = item

    @property
    def subject(self) -> MemoryObjectSendStream[T_contra]:
        return self._stream

    def is_ready(self) -> bool:
        stream = self._stream
        state = stream._state
        return bool(
            len(state.buffer) < state.size
            or (not state.buffer and state.receivers)
            or not state.open_receivers
            or stream._closed
        )

    def commit(self) -> None:
        self._stream.send_nowait(self._item)

    def join(self, waiter: Waiter, /) -> None:
        stream = self._stream
        stream._state.senders.add(waiter, (stream, self._item))
        stream._waiting += 1

    def leave(self, waiter: Waiter, /) -> None:
        stream = self._stream
        stream._state.senders.discard(waiter)
        stream._waiting -= 1

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._item!r} {self._stream!r}>"
