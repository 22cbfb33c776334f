"""Session tickets that a TLS 1.3 server sends after the handshake, to a client that never reads.

A system that closes a socket with unread bytes in it, or gets some for a closed one, resets the
connection, and the peer loses what it has not read yet. So a client takes the tickets in before it closes.
Knows sockets by their `_drop_unread`; what else a transport is, no tickets can harm it.
"""

from __future__ import annotations

from collections.abc import Callable
from ssl import SSLObject

from ..._abc.streams import AnyByteStream
from ..._exceptions import EndOfStream
from ..._loop.time import current_time
from ..._tasks.scope import CancelScope
from ..._tasks.timeouts import move_on_after
from .writer import GONE

TIMEOUT = 5.0
"""Seconds for which a client that has only sent waits for the server's tickets."""
APART = 0.1
"""Seconds after one ticket in which the next one comes: each may be a packet of its own."""


def may_send_tickets(tls: SSLObject, transport: AnyByteStream) -> bool:
    """Tell whether the peer may send tickets that the system would answer by a reset."""
    return hasattr(transport, "_drop_unread") and not tls.server_side and tls.version() == "TLSv1.3"


async def let_tickets_come(transport: AnyByteStream, shaken: float) -> None:
    """Drop the tickets, and wait for them if they may not be there yet.

    :param shaken: when the handshake was done, by the loop's clock
    """
    left = TIMEOUT
    if drop_unread_of(transport):
        left = shaken + APART - current_time()
        if left <= 0:
            return  # All have come: they are sent together.
    with move_on_after(left) as scope:
        await _wait(transport, scope)


async def _wait(transport: AnyByteStream, scope: CancelScope) -> None:
    """Wait until the server has sent what it has to, or has seen the end and closed its side."""
    latest = scope.deadline
    try:
        await transport.send_eof()
        while True:
            await transport.receive()
            scope.deadline = min(latest, current_time() + APART)
    except (*GONE, EndOfStream):
        pass


def drop_unread_of(transport: AnyByteStream) -> bool:
    """Drop what the system has received for a transport, if it is a socket; tell whether it had any.

    Never waits.
    """
    drop: Callable[[], bool] | None = getattr(transport, "_drop_unread", None)
    return drop is not None and drop()
