"""What calls print and log, in the caller's log.

Owns the loggers and the making of lines. Knows calls by the labels it is given.
"""

from __future__ import annotations

import codecs
import logging
import pickle


class Output:
    """Puts together the lines of running calls."""

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger
        self._decoders: dict[str, codecs.IncrementalDecoder] = {}
        self._begun: dict[str, str] = {}

    def printed(
        self, lease: str, label: str, worker: str, data: bytes, *, final: bool = False
    ) -> None:
        """Log the whole lines among what a call has printed; the last one when it has ended."""
        decoder = self._decoders.setdefault(
            lease, codecs.getincrementaldecoder("utf-8")(errors="replace")
        )
        *lines, rest = (self._begun.get(lease, "") + decoder.decode(data, final)).split("\n")
        if final:
            del self._decoders[lease]
            self._begun.pop(lease, None)
            lines += [rest] * bool(rest)
        else:
            self._begun[lease] = rest
        for line in lines:
            self._logger.info("%s on %s: %s", label, worker, line, extra={"worker": worker})

    def ended(self, lease: str, label: str, worker: str) -> None:
        """Log what a call has left unfinished."""
        if lease in self._decoders:
            self.printed(lease, label, worker, b"", final=True)

    def logged(self, worker: str, data: bytes) -> None:
        """Log a record of a call, by the logger of the same name, if that wants it."""
        name, level, text, created, path, line, function = pickle.loads(data)
        logger = logging.getLogger(name)
        if not logger.isEnabledFor(level):
            return
        record = logger.makeRecord(
            name, level, path, line, "%s", (text,), None, function, {"worker": worker}
        )
        record.created = created
        logger.handle(record)
