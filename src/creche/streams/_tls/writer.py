"""`RecordWriter`: carries records to the transport, one task at a time.

Owns the turns in writing. Knows nothing of what is sent, nor of handshakes; what a broken-off write
means for the stream is noted in `state.py`.

    idle --transmit, or `busy` set by a sender--> busy --all of it sent--> idle
                                                   `--the transport raises--> idle, and the stream lost

Rules
-----
* Records are numbered, so one that was encrypted has to reach the peer whole and in its turn: if a
  send to the transport raises, whatever the reason, the stream is lost for sending. Its peer finds
  it cut off, not corrupted, and nothing of it is written later.
* Whoever writes to the transport goes on until nothing is left. Others wait for their turn before
  they encrypt anything.
"""

from __future__ import annotations

from ssl import MemoryBIO

from ..._abc.streams import AnyByteSendStream
from ..._exceptions import BrokenResourceError, BusyResourceError, ClosedResourceError
from ..._sync import Event
from .state import TLSState

GONE = (BrokenResourceError, ClosedResourceError, BusyResourceError, OSError)
"""What a transport raises that cannot be written to, and TLS when it fails: SSLError is an OSError."""


class RecordWriter:
    """The way of the records to the transport."""

    __slots__ = ("_outgoing", "_state", "_transport", "busy", "turn")

    def __init__(self, transport: AnyByteSendStream, outgoing: MemoryBIO, state: TLSState) -> None:
        self._transport = transport
        self._outgoing = outgoing
        self._state = state
        self.busy = False
        self.turn: Event | None = None
        """Set at the next change, if a task waits for one."""

    async def transmit(self) -> None:
        """Send what is encrypted, until nothing is left. Nobody else does meanwhile."""
        outgoing = self._outgoing
        self.busy = True
        try:
            while data := outgoing.read():
                await self._transport.send(data)
        except BaseException:
            self.lose()
            raise
        self.busy = False
        self.next_turn()

    async def answer(self) -> None:
        """Send what a receiver has to tell the peer, unless another task is at it, or none can."""
        self.next_turn()
        if not self.busy:
            try:
                await self.transmit()
            except GONE:
                pass  # what the peer has sent before can still be received

    def lose(self) -> None:
        """Note that a write was broken off."""
        self.busy = False
        self._state.lose()
        self.next_turn()

    async def wait_for_turn(self) -> None:
        """Wait until nobody writes.

        :raises ClosedResourceError, BrokenResourceError: then nothing can be sent any more
        """
        while self.busy:
            await self.wait_for_change()
        if not self._state.writable:
            raise self._state.not_writable()

    async def wait_for_change(self) -> None:
        """Wait until a write has ended, or a task has received something."""
        self.turn = self.turn or Event()
        await self.turn.wait()

    def next_turn(self) -> None:
        """Wake the tasks that wait, to see for themselves."""
        turn, self.turn = self.turn, None
        if turn is not None:
            turn.set()
