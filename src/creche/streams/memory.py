"""Memory object streams: pass objects between tasks of one event loop, with a bounded buffer.

Owns the two ends that users hold, and the waiting. What goes where is decided by `Channel`, which
knows nothing of waiting.

    open --close--> closed         each end for itself; a clone is an end of its own

`send` and `receive` pay for a checkpoint, ask the channel, and park only if it has no answer.
"""

from __future__ import annotations

from typing import Any, Generic, TypeVar

from .._abc.streams import ObjectReceiveStream, ObjectSendStream
from .._exceptions import ClosedResourceError, EndOfStream, WouldBlock
from .._kernel import current_task
from .._sync.operation import Operation
from .._tasks import stop as _stop
from .._tasks.info import TaskInfo
from .._tasks.until_stop import Draining, block_around
from .._wait_description import WaitDescription
from ._channel import NOTHING, Channel
from ._channel import MemoryObjectStreamStatistics as MemoryObjectStreamStatistics
from ._ends import CLOSED, StreamEnd
from ._operations import Receiving, Sending

T_co = TypeVar("T_co", covariant=True)
T_contra = TypeVar("T_contra", contravariant=True)


class MemoryObjectReceiveStream(StreamEnd, ObjectReceiveStream[T_co], Generic[T_co]):
    """The end of a memory stream that items come out of.

    Made by `create_memory_object_stream`. Any number of tasks may share it or its clones; each item
    goes to one of them, in the order in which they asked.
    """

    __slots__ = ("__weakref__", "_closed", "_operation", "_state", "_waiting")

    def __init__(self, _state: Channel) -> None:
        _state.open_receivers += 1
        self._state = _state
        self._closed = False
        self._operation: Receiving[T_co] | None = None
        self._waiting = 0

    async def receive(self) -> T_co:
        """Wait for the next item and return it. A checkpoint.

        :raises ClosedResourceError: this stream was closed, before or while this task waited
        :raises EndOfStream: all send streams were closed, and no item is left
        """
        task = current_task()
        if task.credit > 0:  # Inlined: `stream-10` in benchmarks.
            task.credit -= 1
        else:
            await task.ready_checkpoint()
        if self._closed:
            raise ClosedResourceError(CLOSED)
        state = self._state
        item: T_co = state.take()
        if item is not NOTHING:
            return item
        # As `WaitQueue.wait`. Inlined: `stream-0` in benchmarks.
        waiter = task.make_waiter()
        state.receivers.add(waiter, self)
        self._waiting += 1
        try:
            item = await task.park(waiter)
        except BaseException as exc:
            if not task.granted(waiter, exc):
                state.receivers.discard(waiter)
                raise
            item = waiter.result()
        finally:
            self._waiting -= 1
        return item

    def __aiter__(self) -> MemoryObjectReceiveStream[T_co]:
        if _stop.used:
            block = block_around(current_task())
            if block is not None:  # Its loop takes a stop over: it drains, then ends.
                draining: Any = Draining(self, block)
                return draining  # type: ignore[no-any-return]  # iterates as this does
        return self

    async def __anext__(self) -> T_co:
        # The fast half of receive() again, for a coroutine inside a coroutine costs more than it.
        task = current_task()
        if task.credit > 0 and not self._closed:  # Inlined: `stream-10` in benchmarks.
            try:
                item: T_co = self._state.take()
            except EndOfStream:
                raise StopAsyncIteration from None
            if item is not NOTHING:
                task.credit -= 1
                return item
        try:
            return await self.receive()
        except EndOfStream:
            raise StopAsyncIteration from None

    def receive_nowait(self) -> T_co:
        """Return the next item if there is one.

        :raises WouldBlock: there is no item yet
        :raises ClosedResourceError: this stream was closed
        :raises EndOfStream: all send streams were closed, and no item is left
        """
        if self._closed:
            raise ClosedResourceError(CLOSED)
        item: T_co = self._state.take()
        if item is NOTHING:
            raise WouldBlock
        return item

    def receiving(self) -> Operation[T_co]:
        """Return receiving an item as an operation for `creche.flow.select`. Its value is the item."""
        operation = self._operation
        if operation is None:
            operation = Receiving(self)
            if not self._closed:
                # A new one costs half a receive (`select-new` in benchmarks).
                self._operation = operation
        return operation

    def clone(self) -> MemoryObjectReceiveStream[T_co]:
        """Make another receive stream of the same items, to be closed for itself.

        Senders see the end of the stream only when the last of them is closed.

        :raises ClosedResourceError: this stream was closed
        """
        if self._closed:
            raise ClosedResourceError(CLOSED)
        return MemoryObjectReceiveStream(self._state)

    def close(self) -> None:
        """Close this stream; tasks that wait on it get ClosedResourceError.

        If it was the last of the receive streams, sending raises BrokenResourceError from now on. A
        second call does nothing.
        """
        if not self._closed:
            self._state.close_receiver(self, self._waiting)
            self._closed = True
            self._operation = None  # which refers to the stream

    def statistics(self) -> MemoryObjectStreamStatistics:
        """Return how full the stream is and how many tasks wait on it, counting all clones."""
        return self._state.statistics()

    def _describe_wait(
        self, task: TaskInfo, inner: WaitDescription | None
    ) -> WaitDescription | None:
        senders = self.statistics().open_send_streams
        empty = f", which is empty and has {senders} open senders"
        return inner or WaitDescription(("an item from ", self, empty), "send()")


class MemoryObjectSendStream(StreamEnd, ObjectSendStream[T_contra], Generic[T_contra]):
    """The end of a memory stream that items go into.

    Made by `create_memory_object_stream`. Any number of tasks may share it or its clones.
    """

    __slots__ = ("__weakref__", "_closed", "_state", "_waiting")

    def __init__(self, _state: Channel) -> None:
        _state.open_senders += 1
        self._state = _state
        self._closed = False
        self._waiting = 0

    async def send(self, item: T_contra) -> None:
        """Send an item, waiting for space in the buffer or for a receiver. A checkpoint.

        If it raises, the item was not sent; if it returns, a receiver or the buffer has it.

        :raises ClosedResourceError: this stream was closed, before or while this task waited
        :raises BrokenResourceError: all receive streams were closed
        """
        task = current_task()
        if task.credit > 0:  # Inlined: `stream-10` in benchmarks.
            task.credit -= 1
        else:
            await task.ready_checkpoint()
        if self._closed:
            raise ClosedResourceError(CLOSED)
        state = self._state
        if state.put(item):
            return
        # As `WaitQueue.wait`. Inlined: `stream-0` in benchmarks.
        waiter = task.make_waiter()
        state.senders.add(waiter, (self, item))
        self._waiting += 1
        try:
            await task.park(waiter)
        except BaseException as exc:
            if not task.granted(waiter, exc):
                state.senders.discard(waiter)
                raise
        finally:
            self._waiting -= 1

    def send_nowait(self, item: T_contra) -> None:
        """Send an item if a receiver waits for it or the buffer has space.

        :raises WouldBlock: no receiver waits and the buffer is full
        :raises ClosedResourceError: this stream was closed
        :raises BrokenResourceError: all receive streams were closed
        """
        if self._closed:
            raise ClosedResourceError(CLOSED)
        if not self._state.put(item):
            raise WouldBlock

    def sending(self, item: T_contra) -> Operation[None]:
        """Return sending an item as an operation for `creche.flow.select`. Its value is None."""
        return Sending(self, item)

    def clone(self) -> MemoryObjectSendStream[T_contra]:
        """Make another send stream to the same receivers, to be closed for itself.

        Receivers see the end of the stream only when the last of them is closed.

        :raises ClosedResourceError: this stream was closed
        """
        if self._closed:
            raise ClosedResourceError(CLOSED)
        return MemoryObjectSendStream(self._state)

    def close(self) -> None:
        """Close this stream; tasks that wait on it get ClosedResourceError.

        If it was the last of the send streams, receivers get what is in the buffer and then
        EndOfStream. A second call does nothing.
        """
        if not self._closed:
            self._state.close_sender(self, self._waiting)
            self._closed = True

    def statistics(self) -> MemoryObjectStreamStatistics:
        """Return how full the stream is and how many tasks wait on it, counting all clones."""
        return self._state.statistics()

    def _describe_wait(
        self, task: TaskInfo, inner: WaitDescription | None
    ) -> WaitDescription | None:
        figures = self.statistics()
        full = f", which has {figures.current_buffer_used} of {figures.max_buffer_size:g} items"
        return inner or WaitDescription(("room in ", self, full), "receive()")
