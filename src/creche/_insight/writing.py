"""Writes the dataclasses of a snapshot as JSON, thousands of them in a moment.

Owns the way from a value to its text. What many tasks share (places, the scopes around them) is written once and
its text is used again. Other threads get their turn after each `BATCH` of parts. Knows no fields.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import fields
from json.encoder import encode_basestring
from math import isfinite
from operator import attrgetter
from typing import Any, cast

BATCH = 400
_kind_of: Callable[[Any], Any] = type
_PLAIN: dict[Any, Callable[[Any], str]] = {
    str: encode_basestring,
    int: int.__repr__,
    bool: lambda value: "true" if value else "false",
    float: lambda value: repr(value) if isfinite(value) else json.dumps(value),
    type(None): lambda _: "null",
}
_FIELDS: dict[Any, tuple[str, attrgetter[Any]]] = {}
"""The JSON of each kind of part, with gaps for its values, and what gets these."""


class Writer:
    """Writes one snapshot, whose parts live as long."""

    def __init__(self) -> None:
        self._written: dict[int, str] = {}
        self._count = 0

    def write(self, value: Any) -> str:
        """Return a value as JSON."""
        kind = _kind_of(value)
        plain = _PLAIN.get(kind)
        if plain is not None:
            return plain(value)
        known = self._written.get(id(value))
        if known is None:
            known = self._written[id(value)] = self._write(kind, value)
        return known

    def _write(self, kind: Any, value: Any) -> str:
        write = self.write
        if kind is tuple:
            return f"[{', '.join([write(each) for each in value])}]"
        self._count += 1
        if self._count % BATCH == 0:
            time.sleep(0)
        template, values = _FIELDS.get(kind) or _fields_of(kind)
        plain = _PLAIN.get
        return template % tuple(
            [
                "null" if each is None
                else write(each) if (how := plain(_kind_of(each))) is None
                else how(each)
                for each in values(value)
            ]
        )  # fmt: skip


def _fields_of(kind: Any) -> tuple[str, attrgetter[Any]]:
    if not hasattr(kind, "__dataclass_fields__"):
        raise TypeError(f"{kind.__name__} is no part of a snapshot")
    names = [each.name for each in fields(kind)]
    getter = cast("attrgetter[Any]", attrgetter(*names))
    template = ", ".join([f'"{name}": %s' for name in names])
    known = _FIELDS[kind] = f"{{{template}}}", getter
    return known
