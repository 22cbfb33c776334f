"""What the system under Python does not have: said by the first call that needs it, and in one place.

Python in a browser (Emscripten) has sockets that only seem to connect, and neither threads nor
processes. It has all that needs the event loop alone.
"""

from __future__ import annotations

import sys

IN_PAGE = sys.platform == "emscripten"
"""Whether this Python is WebAssembly, in a browser or in Node.js, where the page's loop runs already."""

_INSTEAD = {
    "sockets": "ask a server over HTTP, with the fetch() of the page",
    "threads": "call the function here; files are in memory, so open() and pathlib do not block",
    "processes": "do the work here, or ask a server to do it",
    "signals": "listen for events of the page",
    "subinterpreters": "call the function here",
}


def check_there(what: str) -> None:
    """Raise NotImplementedError if this Python runs where there is no such thing.

    :param what: a key of `_INSTEAD`
    """
    if IN_PAGE:
        raise NotImplementedError(
            f"there are no {what} in a browser ({sys.platform}): {_INSTEAD[what]}"
        )
