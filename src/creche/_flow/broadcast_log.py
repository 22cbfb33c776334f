"""`BroadcastLog`: what a broadcast keeps, who has read what, and who waits. Never waits itself.

Owns the last `capacity` items, the position of each reader, and the queues of parked tasks. Does not
know how a task is parked, nor any event loop: of a waiter it calls only `done`, `set_result` and
`set_exception`.

    numbers    0 ... first ... position of a reader ... next
                     |<- kept, at most `capacity`  ->|

    reader                      take
    position == next            NOTHING, or EndOfStream once all senders are closed
    first <= position < next    the item at its position
    position < first            has lagged: skips to `first`; Lagged, with `on_lag="raise"`

Rules
-----
* Publishing writes into a ring, and wakes those who wait: it looks at no reader that does not wait.
* With `on_lag="wait"` each item counts the readers that have not taken it, and an item that is still
  wanted is not overwritten: senders wait. An item is wanted by all who were there when it was
  published, and by those who came later and asked for it (`replay`).
* A reader waits only at the end of the log, so whoever waits wants the next item, and gets it by
  the hand of the sender. A sender waits only while there is no room. First come, first served.
* A grant wins over a cancel: what was given to a live waiter is received.
"""

from __future__ import annotations

from typing import Any, Final, Literal, NamedTuple, TypeAlias

from .below import ClosedResourceError, EndOfStream, MadeAt, WaitQueue

OnLag: TypeAlias = Literal["raise", "wait", "drop_oldest"]

NOTHING: Final = object()
"""What `take` returns when there is no item yet."""

CLOSED_UNDERNEATH = "the stream was closed while this task waited on it"
NO_MORE = "no more items: all send streams of the broadcast were closed"


class Lagged(Exception):  # a state of the reader more than a fault of the program
    """A reader of a broadcast was too slow, and items were overwritten that it had not read."""

    missed: int
    """How many items it has missed."""

    def __init__(self, missed: int) -> None:
        super().__init__(missed)
        self.missed = missed

    def __str__(self) -> str:
        return (
            f"{self.missed} items of the broadcast were overwritten before this stream received "
            f"them: receive more often, give a larger capacity, or use on_lag='wait'"
        )


class BroadcastStatistics(NamedTuple):
    """How full a broadcast is, and who waits on it."""

    current_buffer_used: int
    """Items that are kept; for a receive stream, those of them that it has not received."""
    max_buffer_size: int
    """Items that are kept at most: the capacity."""
    open_send_streams: int
    open_receive_streams: int
    tasks_waiting_send: int
    tasks_waiting_receive: int


class Reader:
    """Where one receive stream is in the log."""

    __slots__ = ("position", "waiting")

    def __init__(self, position: int) -> None:
        self.position = position
        self.waiting: WaitQueue[None] = WaitQueue()


class BroadcastLog:
    """The shared state of a broadcast's ends."""

    __slots__ = ("_paced", "_ring", "_wanted", "capacity", "name", "next", "on_lag",
                 "open_receivers", "open_senders", "senders", "waiting")  # fmt: skip

    name: str | MadeAt
    """What the ends are called; only set if there is something to keep."""

    def __init__(self, capacity: int, on_lag: OnLag) -> None:
        self.capacity = capacity
        self.on_lag = on_lag
        self._paced = on_lag == "wait"
        self.next = 0
        """The number of the next item, and how many there were."""
        self._ring: list[Any] = []
        """Item number n is at n % capacity."""
        self._wanted: list[int] = []
        """How many readers have not taken the item beside it. Only counted with `on_lag="wait"`."""
        self.open_senders = 0
        self.open_receivers = 0
        self.waiting: dict[Reader, None] = {}
        """The readers that tasks wait at."""
        self.senders: WaitQueue[tuple[object, Any]] = WaitQueue()
        """Who waits for room: the stream it waits on, and its item."""

    @property
    def first(self) -> int:
        """The number of the oldest item that is kept."""
        return max(0, self.next - self.capacity)

    def put(self, item: Any) -> bool:
        """Publish an item; False if there is no room."""
        number, capacity = self.next, self.capacity
        place = number % capacity
        if self._paced and number >= capacity and self._wanted[place]:
            return False
        wanted = self.open_receivers
        if self.waiting:  # First: in another thread the first wake-up raises.
            wanted -= self._hand_out(number, item)
        if number < capacity:
            self._ring.append(item)
            self._wanted.append(wanted)
        else:
            self._ring[place] = item
            if self._paced:
                self._wanted[place] = wanted
        self.next = number + 1
        return True

    def _hand_out(self, number: int, item: Any) -> int:
        """Give an item to one task at each reader that some wait at; return how many these are."""
        taken = 0
        for reader in list(self.waiting):
            entry = reader.waiting.pop()
            if entry is not None:
                try:
                    entry[0].set_result(item)
                except RuntimeError:  # in another thread
                    reader.waiting.put_back(entry)
                    raise
                reader.position = number + 1
                taken += 1
            if not reader.waiting:
                del self.waiting[reader]
        return taken

    def take(self, reader: Reader) -> Any:
        """Return the next item for a reader, NOTHING if there is none yet.

        Raises Lagged or EndOfStream.
        """
        position, following = reader.position, self.next
        if position == following:
            if not self.open_senders:
                raise EndOfStream(NO_MORE)
            return NOTHING
        capacity = self.capacity
        if following - position > capacity:
            oldest = following - capacity
            reader.position = oldest
            if self.on_lag == "raise":
                raise Lagged(oldest - position)
            position = oldest
        reader.position = position + 1
        place = position % capacity
        item = self._ring[place]
        if self._paced:
            self._wanted[place] -= 1
            if not self._wanted[place] and self.senders:
                try:
                    self._let_send()
                except RuntimeError:  # in another thread
                    self._wanted[place] += 1
                    reader.position = position
                    raise
        return item

    def is_ready(self, reader: Reader) -> bool:
        """Tell whether `take` would return an item or raise."""
        return reader.position != self.next or not self.open_senders

    def has_room(self) -> bool:
        """Tell whether `put` would publish."""
        number = self.next
        return not self._paced or number < self.capacity or not self._wanted[number % self.capacity]

    def wait_at(self, reader: Reader) -> WaitQueue[None]:
        """Return the queue to wait in for the next item, of a reader that has taken all others."""
        self.waiting[reader] = None
        return reader.waiting

    def waits_no_more(self, reader: Reader) -> None:
        """Note that a task has given up waiting at a reader."""
        if not reader.waiting:
            self.waiting.pop(reader, None)

    def subscribe(self, replay: int) -> Reader:
        """Add a reader, which begins `replay` items back, or as many as are kept."""
        begin = max(self.next - replay, self.first)
        self._want(begin, 1)
        self.open_receivers += 1
        return Reader(begin)

    def close_sender(self, stream: object, waiting: int) -> None:
        """Count out a send stream that `waiting` tasks wait on."""
        if waiting:
            for waiter, (owner, _) in self.senders:
                if owner is stream:
                    waiter.set_exception(ClosedResourceError(CLOSED_UNDERNEATH))
        if self.open_senders == 1:
            for reader in self.waiting:
                for waiter, _ in reader.waiting:
                    waiter.set_exception(EndOfStream(NO_MORE))
                reader.waiting.clear()
            self.waiting.clear()
        self.open_senders -= 1  # not before: in another thread the first wake-up raises

    def close_reader(self, reader: Reader) -> None:
        """Count out a reader; whoever waits at it hears of that."""
        for waiter, _ in reader.waiting:  # First: in another thread the first wake-up raises.
            waiter.set_exception(ClosedResourceError(CLOSED_UNDERNEATH))
        self.open_receivers -= 1
        self.waiting.pop(reader, None)
        reader.waiting.clear()
        position, begin = reader.position, max(reader.position, self.first)
        self._want(begin, -1)
        reader.position = self.next
        if self.senders:
            try:
                self._let_send()
            except RuntimeError:  # in another thread
                self.open_receivers += 1
                self._want(begin, 1)
                reader.position = position
                raise

    def statistics(self, reader: Reader | None = None) -> BroadcastStatistics:
        """Count items, open ends and waiting tasks."""
        begin = self.first if reader is None else max(reader.position, self.first)
        return BroadcastStatistics(
            self.next - begin,
            self.capacity,
            self.open_senders,
            self.open_receivers,
            len(self.senders),
            sum(len(waits.waiting) for waits in self.waiting),
        )

    def _want(self, begin: int, change: int) -> None:
        """Count a reader in or out at every item from `begin` on."""
        if not self._paced:
            return
        for number in range(begin, self.next):
            self._wanted[number % self.capacity] += change

    def _let_send(self) -> None:
        """Publish the items of those who wait for room, as long as there is some."""
        while self.has_room():
            entry = self.senders.pop()
            if entry is None:
                return
            waiter, (_, item) = entry
            try:
                waiter.set_result(None)
            except RuntimeError:  # in another thread
                self.senders.put_back(entry)
                raise
            self.put(item)
