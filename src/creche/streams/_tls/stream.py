"""`TLSStream`: TLS over any stream of bytes.

Owns the waiting, and which task receives and sends. What the bytes mean is decided in `records.py`, whose
turn it is to write to the transport in `writer.py`; what each direction can still do, and the errors that
say so, are in `state.py`. Knows nothing of sockets: its transport is any stream of bytes.

    state         receive               send                  send_eof              aclose
    open          works                 works                 -> half-closed        -> closed
    half-closed   works                 ClosedResourceError   does nothing          -> closed
    lost          works                 BrokenResourceError   BrokenResourceError   -> closed
    closed        ClosedResourceError   ClosedResourceError   ClosedResourceError   does nothing
    unwrapped     as closed, and the transport goes on without TLS

Rules
-----
* A send looks for a cancellation before it encrypts, for what is encrypted cannot be taken back; and
  it encrypts no more at once than `PORTION`.
* What OpenSSL or the transport says is the `__cause__`; only a handshake raises it as it is.
* A peer that is gone, or does not say goodbye, does not make `aclose` fail or hang.
* Nothing of the peer's is left in the system when the transport is closed, be it session tickets or a
  goodbye that the program knows nothing of: the system would answer by a reset, and drop what is on its
  way to the peer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from math import inf
from ssl import MemoryBIO, SSLContext, SSLError, SSLObject
from typing import Any, NoReturn

from ..._abc.resources import aclose_forcefully
from ..._abc.streams import AnyByteStream, ByteStream
from ..._exceptions import BrokenResourceError, BusyResourceError, EndOfStream
from ..._kernel import current_task
from ..._loop.time import current_time
from ..._misuse import check_bytes
from ..._tasks.timeouts import move_on_after
from ..._threads.calls import run_sync as in_thread
from .attributes import TLSAttribute, attributes_of
from .context import default_context, server_name
from .records import PORTION, RECORD, TLSRecords, ragged_end
from .state import TLSState
from .tickets import drop_unread_of, let_tickets_come, may_send_tickets
from .writer import GONE, RecordWriter

GOODBYE_TIMEOUT = 30.0
"""Seconds for which `aclose` waits until the peer has said goodbye too."""


class TLSStream(ByteStream):
    """Encrypts what is sent over another stream, and decrypts what comes.

    Made by `wrap`. It answers every key of `TLSAttribute`, and those of the transport.
    """

    __slots__ = (
        "__weakref__",
        "_heard",
        "_receiving",
        "_records",
        "_sending",
        "_shaken",
        "_state",
        "_writer",
        "standard_compatible",
        "transport_stream",
    )

    transport_stream: AnyByteStream
    """The stream that carries the encrypted bytes."""
    standard_compatible: bool
    """Whether both sides have to say goodbye before they close."""

    def __init__(
        self,
        transport_stream: AnyByteStream,
        standard_compatible: bool,
        _ssl_object: SSLObject,
        _read_bio: MemoryBIO,
        _write_bio: MemoryBIO,
    ) -> None:
        self.transport_stream = transport_stream
        self.standard_compatible = standard_compatible
        self._records = TLSRecords(_ssl_object, _read_bio, _write_bio)
        self._state = TLSState(standard_compatible)
        self._writer = RecordWriter(transport_stream, _write_bio, self._state)
        self._receiving = self._sending = self._heard = False
        self._shaken = inf
        """When the handshake was done."""

    @classmethod
    async def wrap(
        cls,
        transport_stream: AnyByteStream,
        *,
        server_side: bool | None = None,
        hostname: str | None = None,
        ssl_context: SSLContext | None = None,
        standard_compatible: bool = True,
    ) -> TLSStream:
        """Do the TLS handshake over a stream, and return the encrypted stream. A checkpoint.

        If it raises, `transport_stream` is of no more use, and the caller's to close.

        :param transport_stream: any stream of bytes or of bytes objects
        :param server_side: True for the server's side of the handshake; if omitted it is the
            client's where `hostname` is given, and otherwise the server's
        :param hostname: the name or address that the server's certificate has to be for;
            international names are written by IDNA 2008
        :param ssl_context: certificates and settings; if omitted, Python's secure defaults, which
            check the host name only if there is one
        :param standard_compatible: whether both sides have to say goodbye before they close, which
            tells a peer that is done from a connection that was cut. If False, neither has to: so
            it is with HTTP
        :raises ssl.SSLError: the handshake failed; `ssl.SSLCertVerificationError` if the peer's
            certificate is not trusted, or for another host
        :raises BrokenResourceError: the connection was lost or closed meanwhile
        :raises ValueError: `hostname` is not a host name, or the context asks for one
        """
        if server_side is None:
            server_side = not hostname
        context = ssl_context or default_context(
            server_side=server_side, check_hostname=bool(hostname)
        )
        incoming, outgoing = MemoryBIO(), MemoryBIO()
        begin = partial(
            context.wrap_bio,
            incoming,
            outgoing,
            server_side=server_side,
            server_hostname=server_name(hostname) if hostname else None,
        )
        # A context of another kind (truststore's) may look for certificates in files here.
        ssl_object = begin() if type(context) is SSLContext else await in_thread(begin)
        stream = cls(transport_stream, standard_compatible, ssl_object, incoming, outgoing)
        await stream._shake_hands()
        stream._shaken = current_time()
        return stream

    async def receive(self, max_bytes: int = 65536) -> bytes:
        """Wait for bytes and return at least one of them. A checkpoint.

        :param max_bytes: the most to return, in bytes; at least 1
        :raises ValueError: `max_bytes` is less than 1
        :raises ClosedResourceError: this stream was closed on this side, before or while this
            waited
        :raises BusyResourceError: another task is receiving from it
        :raises EndOfStream: the peer has said goodbye and nothing is left; or it is gone, and
            `standard_compatible` is False
        :raises BrokenResourceError: the connection is gone, or was cut off without a goodbye, or
            what came is not TLS; the cause says more
        """
        if max_bytes < 1:
            raise ValueError(f"max_bytes must be a positive integer, not {max_bytes}")
        records = self._records
        if records.incoming.pending or records.more:  # else the transport is the checkpoint
            await current_task().ready_checkpoint()
        if self._receiving:
            raise BusyResourceError("reading from")
        if not self._state.readable:
            raise self._state.not_readable()
        self._receiving = True
        try:
            while (data := records.decrypt(max_bytes)) is None:
                if records.outgoing.pending > records.held or self._writer.turn is not None:
                    records.held = 0
                    await self._writer.answer()
                records.feed(await self.transport_stream.receive())
                self._heard = True
        except EndOfStream:
            self._end_raggedly()
        except SSLError as exc:
            error = self._state.fail(exc)
            await self._writer.answer()
            raise error from exc
        finally:
            self._receiving = False
            if self._writer.turn is not None:
                self._writer.next_turn()
        if data:
            return data
        raise EndOfStream

    async def send(self, item: bytes | bytearray | memoryview) -> None:
        """Encrypt and send all of the bytes, waiting for room as often as that takes. A checkpoint.

        If it is cancelled while it waits, the peer may have got any part of `item` and will get no
        more of it. What was encrypted cannot be taken back, so the stream is then lost for sending:
        what follows raises BrokenResourceError. Receiving goes on.

        :param item: bytes, or any object that lends its memory; it must not change until this
            returns
        :raises ClosedResourceError: this stream was closed on this side, before or while this
            waited, or `send_eof` was called
        :raises BusyResourceError: another task is sending to it
        :raises BrokenResourceError: the connection is gone, or an earlier send was interrupted
        """
        if item.__class__ is not bytes:
            check_bytes("send", item)
        await current_task().ready_checkpoint()
        if self._sending:
            raise BusyResourceError("writing to")
        if not self._state.writable:
            raise self._state.not_writable()
        self._sending = True
        mine = False  # whether it is this task that is writing to the transport
        try:
            if self._writer.busy:
                await self._writer.wait_for_turn()
            small = item.__class__ is bytes and 0 < len(item) <= PORTION
            if small and self._records.encrypt(item) == len(item):
                self._writer.busy = mine = True
                await self.transport_stream.send(self._records.outgoing.read())
                self._writer.busy = mine = False
                if self._records.outgoing.pending or self._writer.turn is not None:
                    await self._writer.transmit()
            else:
                await self._send_in_portions(item)
        except SSLError as exc:
            raise self._state.fail(exc) from exc
        finally:
            self._sending = False
            if mine:
                self._writer.lose()

    async def send_eof(self) -> None:
        """Tell the peer that no more will be sent; receiving goes on. A checkpoint.

        A second call does nothing.

        :raises NotImplementedError: the session's version of TLS is below 1.3: there, both
            directions end together
        :raises ClosedResourceError: this stream was closed on this side
        :raises BusyResourceError: another task is sending to it
        :raises BrokenResourceError: the connection is gone
        """
        await current_task().ready_checkpoint()
        version = self._records.ssl_object.version()
        if version != "TLSv1.3":
            raise NotImplementedError(
                f"send_eof() requires at least TLSv1.3, and this session uses {version}: "
                "close the stream, or end messages in a way of your own"
            )
        if self._records.said_goodbye and not (self._state.closed or self._state.lost):
            return
        await self._say_goodbye()

    async def unwrap(self) -> tuple[AnyByteStream, bytes]:
        """Say goodbye, wait for the peer's, and return the transport, which goes on without TLS.

        A checkpoint. After a cancellation it may be called again.

        :return: the transport, and the bytes that came after the peer's goodbye
        :raises ClosedResourceError: this stream was closed on this side
        :raises BusyResourceError: another task is sending or receiving
        :raises BrokenResourceError: the connection is gone, or ended without a goodbye
        :raises ssl.SSLError: the peer had sent more: receive until EndOfStream, then call it again
        """
        if self._receiving:
            raise BusyResourceError("reading from")
        if not self._state.readable:
            raise self._state.not_readable()
        records = self._records
        try:
            _raise_for_unread(records.read_ahead())
            await self._say_goodbye()
            self._receiving = True
            while not records.ended:
                records.feed(await self.transport_stream.receive())
                _raise_for_unread(records.read_ahead())
        except EndOfStream:
            self._end_raggedly()
        finally:
            self._receiving = False
        self._state.close()
        return self.transport_stream, records.incoming.read()

    async def aclose(self) -> None:
        """Say goodbye, if that is what was agreed on, and close the transport. A checkpoint.

        With `standard_compatible` it waits until the peer has said goodbye too, for 30 seconds at
        most, and drops what else comes; a peer that is gone is no error. Without, it does not wait,
        unless this is a client that has sent and never received: then a TLS 1.3 server may be about
        to send session tickets, and the system would answer those with a reset that makes the server
        lose data. If they have come by now, and the handshake was over 0.1 seconds ago, there is nothing
        to wait for. Otherwise it waits for the server's end, or until 0.1 seconds after the tickets, for 5
        seconds at most. The transport is closed also if the caller is cancelled. Tasks that wait on
        the stream get a ClosedResourceError. A second call does nothing.
        """
        if not self._state.closed:
            whole = not (self._state.lost or self._sending or self._writer.busy)
            self._state.close()
            try:
                timed_out = whole and await self._take_leave()
            except BaseException:
                drop_unread_of(self.transport_stream)
                await aclose_forcefully(self.transport_stream)
                raise
            drop_unread_of(self.transport_stream)
            if timed_out:
                await aclose_forcefully(self.transport_stream)
                return
        await self.transport_stream.aclose()

    @property
    def extra_attributes(self) -> Mapping[Any, Callable[[], Any]]:
        """What TLS can tell, and the attributes of the transport."""
        return {
            **self.transport_stream.extra_attributes,
            **attributes_of(self._records.ssl_object),
            TLSAttribute.standard_compatible: lambda: self.standard_compatible,
        }

    def __repr__(self) -> str:
        state = "closed" if self._state.closed else "open"
        return f"<{type(self).__name__} {state}, over {self.transport_stream!r}>"

    async def _send_in_portions(self, item: bytes | bytearray | memoryview) -> None:
        with memoryview(item) as lent, lent.cast("B") as view:
            at = 0
            while at < len(view):
                with view[at : at + PORTION] as portion:
                    done = self._records.encrypt(portion)
                at += done
                await self._writer.transmit()
                if not done:
                    await self._help_renegotiate()

    async def _help_renegotiate(self) -> None:
        """Get on with a renegotiation (TLS 1.2), without which no more can be sent."""
        if self._receiving:
            await self._writer.wait_for_change()
            return
        self._receiving = True
        try:
            self._records.feed(await self.transport_stream.receive())
        except EndOfStream:
            self._end_raggedly()
        finally:
            self._receiving = False

    def _end_raggedly(self) -> NoReturn:
        raise self._state.cut_off()

    # The handshake, and the goodbye

    async def _shake_hands(self) -> None:
        records = self._records
        try:
            while not records.shake_hands():
                await self._writer.transmit()
                records.feed(await self.transport_stream.receive())
            if not records.held:
                await self._writer.transmit()
        except EndOfStream:
            raise BrokenResourceError(
                "the peer has closed the connection during the TLS handshake"
            ) from ragged_end()
        except SSLError:
            await self._writer.answer()  # an alert tells the peer why
            raise

    async def _say_goodbye(self) -> None:
        if self._sending:
            raise BusyResourceError("writing to")
        if self._state.lost or self._state.closed:
            raise self._state.not_writable()
        self._sending = True
        try:
            if self._writer.busy:
                await self._writer.wait_for_turn()
            self._records.say_goodbye()
            self._state.part()
            await self._writer.transmit()
        except SSLError as exc:
            raise self._state.fail(exc) from exc
        finally:
            self._sending = False

    async def _hear_goodbye(self) -> None:
        """Receive until the peer's goodbye, and drop what comes before."""
        records = self._records
        while (data := records.decrypt(RECORD)) != b"":
            if data is None:
                records.feed(await self.transport_stream.receive())

    async def _take_leave(self) -> bool:
        """Wait for what the peer has to say before the transport is closed. Tell if it took too long."""
        if self.standard_compatible:
            with move_on_after(GOODBYE_TIMEOUT) as scope:
                await self._part()
            return scope.cancelled_caught
        tls = self._records.ssl_object
        if self._records.wrote and not self._heard and may_send_tickets(tls, self.transport_stream):
            await let_tickets_come(self.transport_stream, self._shaken)
        return False

    async def _part(self) -> None:
        """Do the closing handshake as far as the peer and other tasks let it."""
        try:
            self._records.say_goodbye()
            await self._writer.transmit()
            if not self._receiving:  # else the task that does gets a ClosedResourceError
                await self._hear_goodbye()
        except (*GONE, EndOfStream):
            pass


def _raise_for_unread(unread: bool) -> None:
    if unread:
        raise SSLError(
            "[SSL: APPLICATION_DATA_AFTER_CLOSE_NOTIFY] the peer has sent bytes that nobody "
            "has received: receive() until EndOfStream, then unwrap() again"
        )
