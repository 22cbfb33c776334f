"""The tables in the guides for people who come from elsewhere name what there is, on both sides."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

import creche
import creche.testing

DOCS = Path(__file__).parents[2] / "docs"
CODE = re.compile(r"`([^`]+)`")
ROOTS: dict[str, Any] = {
    "trio": trio,
    "asyncio": asyncio,
    "nursery": trio.Nursery,
    "tg": creche.abc.TaskGroup,
    "handle": creche.TaskHandle,
    "stream": creche.abc.ByteStream,
}
MEMBERS = {"cancel_scope": creche.CancelScope}
"""What an attribute of a class is: it is not there before there is an object."""


def rows(page: str, left: str) -> Iterator[tuple[str, str]]:
    text = (DOCS / page).read_text(encoding="utf-8")
    table = text[text.index(f"| {left} | Creche |") :].split("\n\n")[0]
    for line in table.splitlines()[2:]:
        theirs, ours = line.split("|")[1:3]
        yield theirs.strip(), ours.strip()


def named(code: str) -> list[str]:
    """Return the dotted name at the beginning of an expression, or after `with` and `async with`."""
    match = re.match(r"(?:async with |with |await )*([A-Za-z_][\w.]*)", code)
    assert match is not None, code
    return match[1].split(".")


def is_there(parts: list[str]) -> bool:
    root, *rest = parts if parts[0] in ROOTS else ["creche", *parts]
    value: Any = ROOTS.get(root, creche)
    for at, part in enumerate(rest):
        if value is creche and part == "streams":
            value = import_module(".".join(("creche", *rest[: at + 2][:2])))
            return hasattr(value, rest[-1])
        if part not in MEMBERS and not hasattr(value, part):
            return False
        value = MEMBERS[part] if part in MEMBERS else getattr(value, part)
    return True


@pytest.mark.parametrize(
    ("page", "left"), [("from-trio.md", "Trio"), ("from-asyncio.md", "asyncio")]
)
def test_both_sides_of_a_row_are_there(page: str, left: str) -> None:
    found = list(rows(page, left))
    assert len(found) > 15
    codes = [code for row in found for side in row for code in CODE.findall(side)]
    assert [code for code in codes if not is_there(named(code))] == []


def test_a_name_that_is_not_there_is_noticed() -> None:
    assert not is_there(named("trio.open_kindergarten()"))
    assert not is_there(named("create_kindergarten()"))
    assert not is_there(named("streams.tls.Kindergarten"))
    assert is_there(named("with fail_after(5): await f()"))
