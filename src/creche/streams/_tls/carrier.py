"""`TLSCarrier`: carries records to the transport, one writer at a time, and knows what is lost.

Owns the state that the two directions of a TLS stream share, the turns in writing to the transport,
and the errors that say what state it is in. Knows nothing of what is sent, nor of handshakes.

    readable -> not readable    closed | cut off (`_ragged`) | failed (`_failure`)
    writable -> not writable    closed | said goodbye | lost (`_lost`) | failed

Rules
-----
* Records are numbered, so one that was encrypted has to reach the peer whole and in its turn: if a
  send to the transport raises, whatever the reason, the stream is lost for sending. Its peer finds
  it cut off, not corrupted, and nothing of it is written later.
* Whoever writes to the transport goes on until nothing is left. Others wait for their turn before
  they encrypt anything.
"""

from __future__ import annotations

from ssl import SSLError
from typing import NoReturn

from ..._abc.streams import AnyByteStream
from ..._exceptions import (
    BrokenResourceError,
    BusyResourceError,
    ClosedResourceError,
    EndOfStream,
)
from ..._sync import Event
from .records import TLSRecords, ragged_end

GONE = (BrokenResourceError, ClosedResourceError, BusyResourceError, OSError)
"""What a transport raises that cannot be written to, and TLS when it fails: SSLError is an OSError."""


class TLSCarrier:
    """The lower half of a TLS stream."""

    __slots__ = ("_closed", "_failure", "_lost", "_ragged", "_readable", "_receiving", "_records",
                 "_sending", "_turn", "_writable", "_writing", "standard_compatible",
                 "transport_stream")  # fmt: skip

    transport_stream: AnyByteStream
    """The stream that carries the encrypted bytes."""
    standard_compatible: bool
    """Whether both sides have to say goodbye before they close."""

    def __init__(
        self, transport_stream: AnyByteStream, standard_compatible: bool, records: TLSRecords
    ) -> None:
        self.transport_stream = transport_stream
        self.standard_compatible = standard_compatible
        self._records = records
        self._receiving = self._sending = self._writing = False
        self._readable = self._writable = True
        self._lost = self._ragged = self._closed = False
        self._failure: SSLError | None = None
        self._turn: Event | None = None

    # Writing to the transport

    async def _transmit(self) -> None:
        """Send what is encrypted, until nothing is left. Nobody else does meanwhile."""
        outgoing = self._records.outgoing
        self._writing = True
        try:
            while data := outgoing.read():
                await self.transport_stream.send(data)
        except BaseException:
            self._lose()
            raise
        self._writing = False
        self._next_turn()

    def _lose(self) -> None:
        """Note that a part of what was encrypted may never get to the peer."""
        self._writing = self._writable = False
        self._lost = True
        self._next_turn()

    async def _answer(self) -> None:
        """Send what `receive` has to tell the peer, unless another task is at it, or none can."""
        self._next_turn()
        if not self._writing:
            try:
                await self._transmit()
            except GONE:
                pass  # what the peer has sent before can still be received

    async def _help_renegotiate(self) -> None:
        """Get on with a renegotiation (TLS 1.2), without which no more can be sent."""
        if self._receiving:
            self._turn = self._turn or Event()
            await self._turn.wait()
            return
        self._receiving = True
        try:
            self._records.feed(await self.transport_stream.receive())
        except EndOfStream:
            self._end_raggedly()
        finally:
            self._receiving = False

    async def _wait_for_turn(self) -> None:
        while self._writing:
            self._turn = self._turn or Event()
            await self._turn.wait()
        if not self._writable:
            raise self._not_writable_error()

    def _next_turn(self) -> None:
        turn, self._turn = self._turn, None
        if turn is not None:
            turn.set()

    # What went wrong

    def _raise_for_unread(self, unread: bool) -> None:
        if unread:
            raise SSLError(
                "[SSL: APPLICATION_DATA_AFTER_CLOSE_NOTIFY] the peer has sent bytes that nobody "
                "has received: receive() until EndOfStream, then unwrap() again"
            )

    def _end_raggedly(self) -> NoReturn:
        self._readable = False
        self._ragged = True
        raise self._not_readable_error()

    def _broken(self, exc: SSLError) -> BrokenResourceError:
        """Note that TLS has failed for good."""
        self._readable = self._writable = False
        self._lost = True
        self._failure = exc
        return BrokenResourceError(f"TLS has failed, and the connection with it: {exc.strerror}")

    def _closed_error(self) -> ClosedResourceError:
        return ClosedResourceError("this TLS stream was closed or unwrapped on this side")

    def _not_readable_error(self) -> Exception:
        if self._closed:
            return self._closed_error()
        if self._ragged and not self.standard_compatible:
            return EndOfStream()
        if self._ragged:
            error = BrokenResourceError(
                "the connection was cut off: the peer has closed it without a goodbye; if its "
                "protocol allows that, as HTTP does, wrap it with standard_compatible=False"
            )
            error.__cause__ = ragged_end()
            return error
        error = BrokenResourceError("TLS has failed on this connection: make a new one")
        error.__cause__ = self._failure
        return error

    def _not_writable_error(self) -> Exception:
        if self._closed:
            return self._closed_error()
        if not self._lost:
            return ClosedResourceError(
                "this TLS stream was closed for sending by send_eof() or unwrap()"
            )
        if self._failure is not None:
            return self._not_readable_error()
        return BrokenResourceError(
            "an earlier send was cancelled or failed when it was encrypted already, so what "
            "follows would not fit: close this TLS stream and make a new one"
        )
