"""Options of sockets that a platform may not have.

Its one rule: an option that the platform does not have is skipped; any other error goes to the
caller.
"""

from __future__ import annotations

import errno
import socket

_NO_SUCH_OPTION = (errno.ENOPROTOOPT, errno.EOPNOTSUPP)


def set_where_there(sock: socket.socket, level: str, option: str) -> None:
    """Turn on an option, by its name in `socket`, if the platform has it."""
    numbers = getattr(socket, level, None), getattr(socket, option, None)
    if numbers[0] is None or numbers[1] is None:
        return
    try:
        sock.setsockopt(numbers[0], numbers[1], 1)
    except OSError as exc:
        if exc.errno not in _NO_SUCH_OPTION:
            raise
