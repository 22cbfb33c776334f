"""Send what a call logs to its worker, which passes it on to the caller.

Owns the handler of the root logger for the time of one call.
"""

from __future__ import annotations

import logging
import pickle

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


class Forward(logging.Handler):
    """Sends records, as plain values: their arguments may be anything."""

    def __init__(self, send: Callable[[bytes, bytes], None]) -> None:
        super().__init__()
        self._send = send
        self._level = logging.root.level
        logging.root.addHandler(self)
        logging.root.setLevel(logging.NOTSET)  # The caller's own levels decide.

    def emit(self, record: logging.LogRecord) -> None:
        """Send one record: logger, level, text, time, file, line, function."""
        text = record.getMessage()
        if record.exc_info:
            text += "\n" + logging.Formatter().formatException(record.exc_info)
        values = (record.name, record.levelno, text, record.created, record.pathname,
                  record.lineno, record.funcName)  # fmt: skip
        self._send(b"L", pickle.dumps(values))

    def end(self) -> None:
        """Take the handler off."""
        logging.root.removeHandler(self)
        logging.root.setLevel(self._level)


def forward(send: Callable[[bytes, bytes], None]) -> Forward:
    """Begin to send what is logged."""
    return Forward(send)
