"""Tokens: one run, written down so that it can be had again. Pure.

    a-<choices>-<check>      on asyncio
    t-<choices>-<check>      on Trio

`choices` are the indexes that the schedule chose, packed: pairs of (zeros skipped, choice), then the
zeros at the end, as variable-length integers in base64. `check` is a sum over all that there was to
choose from; a run that does not come to the same sum is another one.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Sequence
from typing import NamedTuple

BACKENDS = {"a": "asyncio", "t": "trio"}
_LETTERS = {name: letter for letter, name in BACKENDS.items()}


class Token(NamedTuple):
    """What a token says."""

    backend: str
    choices: tuple[int, ...]
    check: int

    def __str__(self) -> str:
        packed = base64.urlsafe_b64encode(_pack(self.choices)).decode().rstrip("=")
        return f"{_LETTERS[self.backend]}-{packed}-{self.check:08x}"

    @classmethod
    def parse(cls, text: str) -> Token:
        """Read a token.

        :raises ValueError: it is none
        """
        match = re.fullmatch(r"([at])-([\w-]*)-([0-9a-f]{8})", text.strip())
        try:
            if match is None:
                raise ValueError(text)
            letter, packed, check = match.groups()
            choices = _unpack(base64.urlsafe_b64decode(packed + "=" * (-len(packed) % 4)))
        except (ValueError, IndexError, binascii.Error) as exc:
            raise ValueError(
                f"{text!r} is not a token of a run: copy it whole, as the failure printed it"
            ) from exc
        return cls(BACKENDS[letter], choices, int(check, 16))


def _pack(choices: Sequence[int]) -> bytes:
    numbers: list[int] = []
    zeros = 0
    for choice in choices:
        if choice:
            numbers += (zeros, choice)
            zeros = 0
        else:
            zeros += 1
    numbers.append(zeros)
    packed = bytearray()
    for number in numbers:
        rest = number
        while rest > 0x7F:
            packed.append(rest & 0x7F | 0x80)
            rest >>= 7
        packed.append(rest)
    return bytes(packed)


def _unpack(packed: bytes) -> tuple[int, ...]:
    numbers: list[int] = []
    number = shift = 0
    for byte in packed:
        number |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            numbers.append(number)
            number = shift = 0
    if shift or not len(numbers) % 2 or sum(numbers[::2]) > 10_000_000:
        raise ValueError("cut off")
    choices: list[int] = []
    for zeros, choice in zip(numbers[:-1:2], numbers[1::2], strict=True):
        choices += [0] * zeros
        choices.append(choice)
    return (*choices, *[0] * numbers[-1])
