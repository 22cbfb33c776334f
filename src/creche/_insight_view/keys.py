"""The keys of a terminal, one at a time.

Owns the sequences that terminals send. Bytes go in, names come out: no terminal is known here.
"""

from __future__ import annotations

from collections.abc import Iterator

NAMES = {
    b"\x1b[A": "up", b"\x1b[B": "down", b"\x1b[C": "right", b"\x1b[D": "left",
    b"\x1bOA": "up", b"\x1bOB": "down", b"\x1bOC": "right", b"\x1bOD": "left",
    b"\x1b[H": "home", b"\x1b[F": "end", b"\x1bOH": "home", b"\x1bOF": "end", b"\x1b[1~": "home",
    b"\x1b[4~": "end", b"\x1b[5~": "page up", b"\x1b[6~": "page down", b"\r": "enter", b"\n": "enter",
    b"\x7f": "backspace", b"\x08": "backspace", b"\x1b": "escape", b"\x03": "q", b"\x04": "q",
}  # fmt: skip


def keys_in(data: bytes) -> Iterator[str]:
    """Yield the names of the keys in what a terminal has sent: `up`, `enter`, or the character."""
    while data:
        size = _length(data)
        part, data = data[:size], data[size:]
        name = NAMES.get(part)
        if name is None and part[:1] != b"\x1b":
            name = part.decode("utf-8", "ignore")
            name = name if name.isprintable() else ""
        if name:
            yield name


def _length(data: bytes) -> int:
    """Return how many bytes the first key has."""
    if data[:1] == b"\x1b":
        if data[1:2] == b"O":
            return 3
        if data[1:2] != b"[":
            return 1
        for place, byte in enumerate(data[2:], 2):
            if 0x40 <= byte <= 0x7E:
                return place + 1
        return len(data)
    for size in (1, 2, 3, 4):
        try:
            data[:size].decode("utf-8")
        except UnicodeDecodeError:
            continue
        return size
    return 1
