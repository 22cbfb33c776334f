"""What a subinterpreter does: read a call from a file, make it, write the outcome back.

Loaded into each subinterpreter by path, for it shares no module with the others; `interpreters.py` is
the other end. It runs only while a thread of the other end waits for it.

The file holds one message at a time: a length of 8 bytes and as many bytes. First the pickle of
(function, arguments), then the outcome: a byte that says which, and a pickle, as in `worker_main.py`.

What cannot be pickled on the way back is let out of here: the interpreter reports it with its
traceback, and the other end raises `BrokenWorkerInterpreter`.
"""

from __future__ import annotations

import os
import pickle
import sys

TYPE_CHECKING = False  # `typing` would make each interpreter start later.
if TYPE_CHECKING:
    from .worker_main import Program

HEADER = 8
CHUNK = 65536
RESULT, ERROR = b"R", b"E"


def read(descriptor: int) -> bytes:
    """Return the message in a file."""
    os.lseek(descriptor, 0, os.SEEK_SET)
    data = os.read(descriptor, CHUNK)
    end = int.from_bytes(data[:HEADER], "big") + HEADER
    if len(data) >= end:
        return data[HEADER:end]
    parts, left = [data[HEADER:]], end - len(data)
    while left:
        parts.append(os.read(descriptor, left))
        left -= len(parts[-1])
    return b"".join(parts)


def write(descriptor: int, message: bytes) -> None:
    """Put a message into a file, over what was there."""
    os.lseek(descriptor, 0, os.SEEK_SET)
    view = memoryview(len(message).to_bytes(HEADER, "big") + message)
    while view:
        view = view[os.write(descriptor, view) :]


def serve(descriptor: int, program: Program) -> None:
    """Make the call that is in the file, and write the outcome there."""
    message = read(descriptor)
    program.look_at(message)
    write(descriptor, _outcome(message, program))


def _outcome(message: bytes, program: Program) -> bytes:
    try:
        func, args = pickle.loads(message)
        program.prepare_for(func)
        result = func(*args)
    except BaseException as exc:
        import traceback

        text = "".join(traceback.format_exception(exc))
        try:
            data = pickle.dumps((exc, text), pickle.HIGHEST_PROTOCOL)
            pickle.loads(data)  # Many an exception can be written and then not be read.
        except Exception:
            raise exc from None
        return ERROR + data
    return RESULT + pickle.dumps(result, pickle.HIGHEST_PROTOCOL)


def prepare(path: list[str]) -> None:
    """Look for modules where the program does."""
    sys.path[:] = path
