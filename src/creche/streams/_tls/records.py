"""`TLSRecords`: one side of a TLS connection, between plain bytes and encrypted ones. Pure.

Owns the SSL object and the two memory buffers that it reads from and writes to. Knows no stream and
no event loop: whoever drives it moves `outgoing` to the peer, and what the peer sends into `feed`.

    handshake -> open -> half-closed (our close_notify is on its way) -> closed
                  `--> ended (the peer's close_notify came) -----------------^

    call            answer                      what to do then
    shake_hands     False                       send `outgoing`, feed, call again
    decrypt         None                        send `outgoing` if there is some, feed, call again
    decrypt         b""                         the peer has sent its close_notify: nothing follows
    encrypt         fewer bytes than given      send `outgoing`, call again with the rest
    encrypt         0                           a renegotiation: send `outgoing`, feed, call again
    say_goodbye     -                           send `outgoing`; decrypt goes on until b""

Rules
-----
* A call never blocks and never raises for want of input.
* The end of the transport is not for OpenSSL to judge: its version and the options of the context
  decide what it makes of one. Here it has not been told, and the driver knows that an end
  without `decrypt() == b""` before is a ragged one.
* Nothing is read ahead of the close_notify, so what follows it in `incoming` is the transport's.
* `held` of the bytes in `outgoing` may wait for the next that have to go: a TLS 1.3 server has its session
  tickets ready when the handshake is through, and a client that never reads must not get them. Those in
  the way would block the server on a transport without a buffer, and have the client's system reset the
  connection as it closes, with what is on its way (`test_a_client_that_only_sends_loses_nothing`).
"""

from __future__ import annotations

from collections import deque
from ssl import (
    MemoryBIO,
    SSLEOFError,
    SSLErrorNumber,
    SSLObject,
    SSLWantReadError,
    SSLZeroReturnError,
)

RECORD = 16384
"""The most that fits into one record, in bytes."""
PORTION = 4 * RECORD
"""How much is encrypted before it is sent: a large `send` neither copies all nor blocks the loop.

(`tls-send-64k` in `benchmarks/`)"""


def ragged_end() -> SSLEOFError:
    """Return the error that says that the transport ended before TLS did."""
    return SSLEOFError(
        SSLErrorNumber.SSL_ERROR_EOF,
        "EOF occurred in violation of protocol: the peer sent no close_notify",
    )


class TLSRecords:
    """Turns plain bytes into records and back."""

    __slots__ = ("_ahead", "_read", "_write", "ended", "feed", "held", "incoming", "more",
                 "outgoing", "said_goodbye", "ssl_object", "wrote")  # fmt: skip

    def __init__(self, ssl_object: SSLObject, incoming: MemoryBIO, outgoing: MemoryBIO) -> None:
        self.ssl_object = ssl_object
        self.incoming = incoming
        self.outgoing = outgoing
        self.feed = incoming.write
        self._read = ssl_object.read
        self._write = ssl_object.write
        self._ahead: deque[bytes] = deque()
        self.more = False  # whether there may be something to give out beside what is incoming
        self.held = 0
        self.wrote = False  # whether anything of the program's was encrypted
        self.said_goodbye = False
        self.ended = False

    def shake_hands(self) -> bool:
        """Go on with the handshake; tell whether it is through.

        :raises ssl.SSLError: it failed; `outgoing` may have an alert that tells the peer why
        """
        try:
            self.ssl_object.do_handshake()
        except SSLWantReadError:
            return False
        tls = self.ssl_object
        if tls.server_side and tls.version() == "TLSv1.3":
            self.held = self.outgoing.pending
        return True

    def decrypt(self, max_bytes: int) -> bytes | None:
        """Return what can be decrypted, None if it takes more input, b"" after the end.

        :raises ssl.SSLError: the peer sent what is not TLS, or an alert
        """
        if self.more:
            if self._ahead:
                return self._take_ahead(max_bytes)
            if self.ended:
                return b""
        elif not self.incoming.pending:
            return None  # as `read` would find out, at the price of an exception
        try:
            data = self._read(max_bytes if max_bytes < RECORD else RECORD)  # noqa: FURB136  # `min` is slower
        except SSLWantReadError:
            self.more = False
            return None
        except SSLZeroReturnError:  # what Python makes of the end if we have said goodbye before
            data = b""
        if data:
            self.more = len(data) == max_bytes  # else the record is used up
        else:
            self.more = self.ended = True
        return data

    def encrypt(self, data: bytes | bytearray | memoryview) -> int:
        """Put the beginning of `data`, which is not empty, into `outgoing`; return how much it was.

        :raises ssl.SSLError: the connection is over
        """
        self.wrote = True
        self.held = 0
        try:
            return self._write(data)
        except SSLWantReadError:
            return 0

    def say_goodbye(self) -> None:
        """Put a close_notify into `outgoing`. Receiving goes on. A second call does nothing.

        :raises ssl.SSLError: the connection is over
        """
        if self.said_goodbye:
            return
        # OpenSSL takes unread data for a breach of protocol once it has said goodbye, and Python
        # has it look: so there must be none.
        self.read_ahead()
        self.held = 0
        self.said_goodbye = True
        try:
            self.ssl_object.unwrap()
        except SSLWantReadError:
            pass

    def read_ahead(self) -> bool:
        """Decrypt all that can be, and keep it for `decrypt`. Tell whether something is kept.

        :raises ssl.SSLError: the peer sent what is not TLS, or an alert
        """
        kept, self._ahead = self._ahead, deque()  # for `decrypt` gives that out first
        try:
            while data := self.decrypt(RECORD):
                kept.append(data)
        finally:
            self._ahead = kept
            self.more = bool(kept) or self.ended
        return bool(kept)

    def _take_ahead(self, max_bytes: int) -> bytes:
        data = self._ahead.popleft()
        if len(data) > max_bytes:
            self._ahead.appendleft(data[max_bytes:])
        return data[:max_bytes]
