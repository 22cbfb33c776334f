"""`StreamEnd`: how an end of a memory stream or of a broadcast is closed, whichever end it is.

Knows nothing of items. A subclass has `_closed`, and says in `close` what closing does.

    open --close--> closed
"""

from __future__ import annotations

import warnings
from abc import abstractmethod
from types import TracebackType
from typing import Final, Self

CLOSED: Final = "this stream was closed: use it before close(), or a clone of it"


class StreamEnd:
    """One of the ends of a stream that lives in one event loop."""

    __slots__ = ()

    _closed: bool

    @abstractmethod
    def close(self) -> None:
        """Close this end. A second call does nothing."""

    async def aclose(self) -> None:
        """Do what `close` does. Not a checkpoint."""
        self.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None:
        self.close()

    def __del__(self) -> None:
        if not self._closed:
            warn_unclosed(self)


def warn_unclosed(end: StreamEnd) -> None:
    """Warn, from `__del__`, of an end that nobody has closed."""
    warnings.warn(
        f"Unclosed <{type(end).__name__} at {id(end):x}>: "
        "use it in a with-block, or call its close()",
        ResourceWarning,
        stacklevel=3,
        source=end,
    )
