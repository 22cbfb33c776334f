"""What viewer and target say to each other: one line of JSON to ask, one framed JSON to answer.

Owns the format and its limits. Knows no socket: bytes go in and out.

    request   a JSON object in one line of at most 64 kB: {"do": "snapshot", "stacks": false}
    answer    a length in 4 bytes, big endian, then as many bytes of JSON: an object with either
              "error", a text, or what was asked for

What is wrong with a request is told in the answer, and the connection goes on; a line that is too long,
or is no JSON object, ends it.
"""

from __future__ import annotations

import json
import struct
from typing import Any, NamedTuple

LONGEST_REQUEST = 64 * 1024
LONGEST_ANSWER = 256 * 1024 * 1024
_LENGTH = struct.Struct(">I")


class GarbledError(ValueError):
    """What the other side sent is not of this protocol."""


class Request(NamedTuple):
    """What a viewer asks for."""

    do: str
    options: dict[str, Any]


def pack_request(do: str, **options: Any) -> bytes:
    """Return a request as bytes."""
    return json.dumps({"do": do, **options}).encode() + b"\n"


def take_request(buffer: bytearray) -> Request | None:
    """Take a request out of what was received, None if it is not all there.

    :raises GarbledError: it is too long, or not of this protocol
    """
    end = buffer.find(b"\n", 0, LONGEST_REQUEST + 1)
    if end < 0:
        if len(buffer) > LONGEST_REQUEST:
            raise GarbledError(f"a request has more than {LONGEST_REQUEST} bytes")
        return None
    line = bytes(buffer[:end])
    del buffer[: end + 1]
    try:
        data: Any = json.loads(line)
    except (ValueError, RecursionError):
        raise GarbledError("a request is not JSON") from None
    if not isinstance(data, dict) or not isinstance(data.get("do"), str):  # pyright: ignore[reportUnknownMemberType]
        raise GarbledError("a request is not an object with a text 'do'")
    options: dict[str, Any] = {str(key): value for key, value in data.items() if key != "do"}  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
    return Request(data["do"], options)


def pack_answer(body: bytes) -> bytes:
    """Return an answer with its length before it."""
    return _LENGTH.pack(len(body)) + body


def error(text: str) -> bytes:
    """Return the body of an answer that tells what is wrong."""
    return json.dumps({"error": text}).encode()


def length_of(head: bytes) -> int:
    """Return the length of the answer that begins with 4 bytes.

    :raises GarbledError: no answer is that long
    """
    length: int = _LENGTH.unpack(head)[0]
    if length > LONGEST_ANSWER:
        raise GarbledError(f"an answer says that it has {length} bytes")
    return length


HEAD = _LENGTH.size
