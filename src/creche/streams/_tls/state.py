"""`TLSState`: what each direction of a TLS stream can still do, and the error that says why not. Pure.

Owns the flags of both directions. Knows no stream, no records and no event loop.

    state      how it comes about           receiving raises             sending raises
    open       -                            -                            -
    parted     our goodbye is on its way    -                            ClosedResourceError
    lost       a send was broken off        -                            BrokenResourceError
    cut off    the transport ended first    BrokenResourceError, or      -
                                            EndOfStream if not
                                            `standard_compatible`
    failed     what came is not TLS         BrokenResourceError          BrokenResourceError
    closed     by this side                 ClosedResourceError          ClosedResourceError

The two directions change on their own: a stream can be cut off and lost at once. Nothing follows
`closed`, and the first failure is the one that is told.
`test_each_state_of_a_tls_stream_has_its_errors` walks the table.
"""

from __future__ import annotations

from ssl import SSLError

from ..._exceptions import BrokenResourceError, ClosedResourceError, EndOfStream
from .records import ragged_end


class TLSState:
    """The two directions of a TLS stream."""

    __slots__ = (
        "_failure",
        "_ragged",
        "_standard_compatible",
        "closed",
        "lost",
        "readable",
        "writable",
    )

    def __init__(self, standard_compatible: bool) -> None:
        self.readable = self.writable = True
        self.closed = self.lost = self._ragged = False
        self._failure: SSLError | None = None
        self._standard_compatible = standard_compatible

    def close(self) -> None:
        """Note that this side has closed the stream, or taken TLS off it."""
        self.closed = True
        self.readable = self.writable = False

    def part(self) -> None:
        """Note that our goodbye is on its way: nothing can be sent behind it."""
        self.writable = False

    def lose(self) -> None:
        """Note that a part of what was encrypted may never get to the peer."""
        self.writable = False
        self.lost = True

    def cut_off(self) -> Exception:
        """Note that the transport ended before TLS did; return what that means for a receiver."""
        self.readable = False
        self._ragged = True
        return self.not_readable()

    def fail(self, exc: SSLError) -> BrokenResourceError:
        """Note that TLS has failed for good; return what to raise."""
        self.readable = self.writable = False
        self.lost = True
        self._failure = exc
        return BrokenResourceError(f"TLS has failed, and the connection with it: {exc.strerror}")

    def not_readable(self) -> Exception:
        """Return why nothing can be received."""
        if self.closed:
            return _closed()
        if self._ragged and not self._standard_compatible:
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

    def not_writable(self) -> Exception:
        """Return why nothing can be sent."""
        if self.closed:
            return _closed()
        if not self.lost:
            return ClosedResourceError(
                "this TLS stream was closed for sending by send_eof() or unwrap()"
            )
        if self._failure is not None:
            return self.not_readable()
        return BrokenResourceError(
            "an earlier send was cancelled or failed when it was encrypted already, so what "
            "follows would not fit: close this TLS stream and make a new one"
        )


def _closed() -> ClosedResourceError:
    return ClosedResourceError("this TLS stream was closed or unwrapped on this side")
