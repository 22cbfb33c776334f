"""Holds the reference to the public API: every public name is in `site/objects.inv`, with a page and a place on it.

    python3 scripts/inventory.py         after `zensical build`; `make docs` does both

Owns the comparison of two listings: what Sphinx's inventory format says of the built site, and
`tests/api/public.txt`, which tests hold to the code.
"""

from __future__ import annotations

import re
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
INVENTORY = ROOT / "site" / "objects.inv"
LISTING = ROOT / "tests" / "api" / "public.txt"
ELSEWHERE = {"creche.as_anyio", "creche.pytest_plugin"}
"""Modules without a page of their own: what they do is told in `drop-in.md` and `pytest-reference.md`."""

MEMBER = re.compile(
    r"(?P<indent> +)(?:async )?(?:(?P<kind>class|def|property|staticmethod|classmethod) )?(?:async )?(?:def )?(?P<name>\w+)"
)


def public_names(listing: str) -> Iterator[str]:
    """Yield the full name of each public class, function, method, property and attribute; modules have pages."""
    module = owner = ""
    for line in listing.splitlines():
        if line and not line.startswith(" "):
            module = line.strip()
        elif match := MEMBER.match(line):
            inner = len(match["indent"]) > 4
            if not inner:
                owner = match["name"]
            if module not in ELSEWHERE and not match["name"].startswith("_"):
                yield f"{module}.{owner}.{match['name']}" if inner else f"{module}.{owner}"


def documented_names(inventory: bytes) -> set[str]:
    """Return the names in an inventory: four lines of text, then lines that are compressed."""
    body = inventory.split(b"\n", 4)[4]
    return {line.split(" ", 1)[0] for line in zlib.decompress(body).decode().splitlines()}


def missing(listing: str, inventory: bytes) -> list[str]:
    documented = documented_names(inventory)
    return [name for name in public_names(listing) if name not in documented]


def main() -> int:
    names = missing(LISTING.read_text(encoding="utf-8"), INVENTORY.read_bytes())
    if names:
        print("public, but not in the reference:", *names, sep="\n  ", file=sys.stderr)
        return 1
    print(f"every public name is in the reference ({INVENTORY.relative_to(ROOT)})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
