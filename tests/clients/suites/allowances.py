"""A pytest plugin that tells blockbuster where Creche starts processes.

blockbuster makes calls that block fail inside an event loop. It knows by file and function where
asyncio reads whether a new process could start, which is such a call; here it is told Creche's
place for the same call, through the interface that it has for this. The suite of mcp uses it.
"""

from __future__ import annotations

from typing import Any

import pytest

PLACES = {"os.read": ("creche/_subprocess/open.py", "_popen")}


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest) -> Any:
    if fixturedef.argname == "blockbuster":
        allow()
    return (yield)


def allow() -> None:
    """Have every `BlockBuster` that is made from now on know the places."""
    from blockbuster import BlockBuster

    plain = BlockBuster.__init__
    if getattr(plain, "knows_creche", False):
        return

    def knowing(self: Any, *args: Any, **kwargs: Any) -> None:
        plain(self, *args, **kwargs)
        for function, (file, name) in PLACES.items():
            self.functions[function].can_block_in(file, name)

    knowing.knows_creche = True  # type: ignore[attr-defined]  # a mark, read above
    BlockBuster.__init__ = knowing  # type: ignore[method-assign]  # it has no other hook
