"""Tokens: one run, written down so that it can be had again. Pure.

    <letter>-<choices>-<check>[-<test>]

`letter` is the kernel's, by its record: `a` on asyncio, `t` on Trio.
`choices` are the indexes that the schedule chose, packed: pairs of (zeros skipped, choice), then the
zeros at the end, as variable-length integers in base64. `check` is a sum over all that there was to
choose from; a run that does not come to the same sum is another one. `test` is a sum over the name of the
test, where a test runner gave one: with it a token that is given to another test is noticed at once.
"""

from __future__ import annotations

import base64
import binascii
import re
import zlib
from collections.abc import Sequence
from typing import NamedTuple

from .. import _registry


class Token(NamedTuple):
    """What a token says."""

    backend: str
    choices: tuple[int, ...]
    check: int
    test: str = ""

    def of_test(self, name: str) -> Token:
        """Return the token with the sum of a test's name."""
        return self._replace(test=sum_of(name))

    def is_of_test(self, name: str) -> bool:
        """Tell whether the token may be that of a test: it is, or it says nothing of tests."""
        return self.test in ("", sum_of(name))

    def __str__(self) -> str:
        packed = base64.urlsafe_b64encode(_pack(self.choices)).decode().rstrip("=")
        text = f"{_letter(self.backend)}-{packed}-{self.check:08x}"
        return f"{text}-{self.test}" if self.test else text

    @classmethod
    def parse(cls, text: str) -> Token:
        """Read a token.

        :raises ValueError: it is none
        """
        match = re.fullmatch(r"(\w+?)-([\w-]*)-([0-9a-f]{8})(?:-([0-9a-f]{4}))?", text.strip())
        try:
            if match is None:
                raise ValueError(text)
            letter, packed, check, test = match.groups(default="")
            backend = _backend(letter)
            choices = _unpack(base64.urlsafe_b64decode(packed + "=" * (-len(packed) % 4)))
        except (ValueError, IndexError, binascii.Error) as exc:
            raise ValueError(
                f"{text!r} is not a token of a run: copy it whole, as the failure printed it"
            ) from exc
        return cls(backend, choices, int(check, 16), test)


def sum_of(name: str) -> str:
    """Return a sum over the name of a test, in four digits. Its folder is left out: that may be moved."""
    inner = name.partition("::")[2] or name
    return f"{zlib.crc32(inner.encode()) & 0xFFFF:04x}"


def _letter(backend: str) -> str:
    simulated = _registry.find(backend).simulated
    assert simulated is not None, "only simulated runs have tokens"
    return simulated.letter


def _backend(letter: str) -> str:
    for name, record in _registry.KERNELS.items():
        if record.simulated is not None and record.simulated.letter == letter:
            return name
    raise ValueError(f"no backend has the letter {letter!r}")


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
