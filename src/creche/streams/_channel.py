"""`Channel`: what the two ends of a memory stream share. A state machine that never waits.

Owns the buffered items, the queues of parked tasks and the count of open ends. Does not know how
a task is parked, nor any event loop: of a waiter it calls only `done`, `set_result`, `set_exception`.

    state                 buffer      put                   take
    receivers waiting     empty       hands over, wakes     NOTHING
    idle                  any         buffers, or False     from the buffer, or NOTHING
    senders waiting       full        False                 from the buffer or a sender, wakes it

Rules
-----
* No receiver waits while there is an item, and no sender waits while there is space. So `put` looks
  for receivers only when the buffer is empty, and `take` for senders only when it is full.
* Exactly once: an item is in the buffer, or in the payload of a live sender, or was given away. What
  is given to a live waiter is received, for a grant wins over a cancel; a dead waiter is never
  seen, and the item of a dead sender is gone with it, for its `send` raises.
* First come, first served, on both sides.
* Closing a stream wakes the tasks that wait on that same stream with ClosedResourceError. Closing the
  last one of a side wakes the other side: receivers with EndOfStream, senders with
  BrokenResourceError.
"""

from __future__ import annotations

from collections import deque
from typing import Any, Final, NamedTuple

from .._exceptions import BrokenResourceError, ClosedResourceError, EndOfStream
from .._kernel.wait_queue import WaitQueue
from .._labels import MadeAt

NOTHING: Final = object()
"""What `Channel.take` returns when there is no item yet."""

_NO_MORE = "no more items: all send streams were closed"
_NOBODY_LEFT = "nobody is left to receive: all receive streams were closed"
_CLOSED_UNDERNEATH = "the stream was closed while this task waited on it"


class MemoryObjectStreamStatistics(NamedTuple):
    """How full a memory stream is, and how many tasks wait on it."""

    current_buffer_used: int
    """Items in the buffer."""
    max_buffer_size: float
    """Capacity of the buffer in items, `math.inf` if there is no limit."""
    open_send_streams: int
    """Send streams not closed yet, clones included."""
    open_receive_streams: int
    """Receive streams not closed yet, clones included."""
    tasks_waiting_send: int
    """Tasks blocked in `send()`."""
    tasks_waiting_receive: int
    """Tasks blocked in `receive()`."""


class Channel:
    """The shared state of a memory stream's ends."""

    __slots__ = ("buffer", "name", "open_receivers", "open_senders", "receivers", "senders",
                 "size")  # fmt: skip

    name: str | MadeAt
    """What the two ends are called; only set if there is something to keep."""
    size: float
    """The most items that `buffer` may hold."""
    senders: WaitQueue[tuple[object, Any]]
    """The waiting senders: the stream that each waits on, and its item."""
    receivers: WaitQueue[object]
    """The waiting receivers: the stream that each waits on."""

    def __init__(self, size: float) -> None:
        self.size = size
        self.buffer: deque[Any] = deque()
        self.open_senders = 0
        self.open_receivers = 0
        self.senders = WaitQueue()
        self.receivers = WaitQueue()

    def put(self, item: Any) -> bool:
        """Give an item to the first waiting receiver, else to the buffer; False if that is full."""
        if not self.open_receivers:
            raise BrokenResourceError(_NOBODY_LEFT)
        buffer = self.buffer
        if not buffer:
            entry = self.receivers.pop()
            if entry is not None:
                try:
                    entry[0].set_result(item)
                except RuntimeError:  # in another thread
                    self.receivers.put_back(entry)
                    raise
                return True
        if len(buffer) < self.size:
            buffer.append(item)
            return True
        return False

    def has_room(self) -> bool:
        """Tell whether `put` would take an item, or raise."""
        return (
            len(self.buffer) < self.size
            or not self.open_receivers
            or bool(not self.buffer and self.receivers)
        )

    def take(self) -> Any:
        """Take out the oldest item; return NOTHING if there is none yet."""
        buffer = self.buffer
        if len(buffer) < self.size:  # space, so no sender waits
            if buffer:
                return buffer.popleft()
        else:
            entry = self.senders.pop()
            if entry is not None:
                waiter, (_, item) = entry
                try:
                    waiter.set_result(None)
                except RuntimeError:  # in another thread
                    self.senders.put_back(entry)
                    raise
                if not buffer:
                    return item
                buffer.append(item)
                return buffer.popleft()
            if buffer:
                return buffer.popleft()
        if not self.open_senders:
            raise EndOfStream(_NO_MORE)
        return NOTHING

    def close_sender(self, stream: object, waiting: int) -> None:
        """Count out a send stream that `waiting` tasks wait on."""
        if waiting:
            for waiter, (owner, _) in self.senders:
                if owner is stream:
                    waiter.set_exception(ClosedResourceError(_CLOSED_UNDERNEATH))
        if self.open_senders == 1:
            for waiter, _ in self.receivers:
                waiter.set_exception(EndOfStream(_NO_MORE))
            self.receivers.clear()
        self.open_senders -= 1  # not before: in another thread the first wake-up raises

    def close_receiver(self, stream: object, waiting: int) -> None:
        """Count out a receive stream that `waiting` tasks wait on."""
        if waiting:
            for waiter, owner in self.receivers:
                if owner is stream:
                    waiter.set_exception(ClosedResourceError(_CLOSED_UNDERNEATH))
        if self.open_receivers == 1:
            for waiter, _ in self.senders:
                waiter.set_exception(BrokenResourceError(_NOBODY_LEFT))
            self.senders.clear()
        self.open_receivers -= 1  # not before: in another thread the first wake-up raises

    def statistics(self) -> MemoryObjectStreamStatistics:
        """Count items, open ends and waiting tasks."""
        return MemoryObjectStreamStatistics(
            len(self.buffer),
            self.size,
            self.open_senders,
            self.open_receivers,
            len(self.senders),
            len(self.receivers),
        )
