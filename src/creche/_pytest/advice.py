"""Messages about a project's settings that cannot work: the mistake, and the remedy.

Knows no hook; `hooks.py` asks it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from .._registry import chosen, find_installed

NO_PLUGIN = "async def functions are not natively supported"
"""What pytest says about an async test that no plugin runs."""


def check_backend(name: str) -> None:
    """Fail the test in one line if there is no such backend."""
    text = ""
    try:
        find_installed(chosen(name, {})[0])
    except LookupError as exc:
        text = str(exc)
    if text:  # not in the handler, or the error would be shown twice
        pytest.fail(text, pytrace=False)


def check_mark(collector: Any, name: str, mark: str, marks: Sequence[pytest.Mark]) -> None:
    """Raise if the mark was given arguments: it takes none."""
    if any(each.name == mark and (each.args or each.kwargs) for each in marks):
        raise collector.CollectError(
            f"{name}: @pytest.mark.{mark} takes no arguments. To choose the backends of a test, "
            f"override the fixture {mark}_backend, or parametrize it: "
            f'@pytest.mark.parametrize("{mark}_backend", ["asyncio"])'
        )


def check_is_async(item: pytest.Item, mark: str) -> None:
    """Warn about a mark on a test that is not async."""
    own = getattr(getattr(item, "obj", None), "pytestmark", [])
    if any(each.name == mark for each in own):
        item.warn(
            pytest.PytestWarning(
                f"{item.name} has @pytest.mark.{mark} and is not async, so the mark does nothing: "
                f"write 'async def', or remove the mark"
            )
        )


def not_taken(error: BaseException, mark: str) -> str:
    """Return the message about an async test that no plugin runs."""
    first = str(error).partition("\n")[0]
    return (
        f"{first}\nTo have Creche run it, mark it with @pytest.mark.{mark}, or set "
        f"{mark}_mode = auto in the ini file"
    )


def wrong_scope(error: BaseException, fixture: str | None, scope: str, backend: str) -> str:
    """Return the message about an async fixture whose scope is higher than that of the backend."""
    return (
        f"{error}\nThe async fixture {fixture!r} lives as long as its {scope}, so the event "
        f"loop that it runs in must, too. Override the backend in conftest.py:\n\n"
        f'    @pytest.fixture(scope="{scope}", params=["asyncio", "trio"])\n'
        f"    def {backend}(request):\n"
        f"        return request.param"
    )


def warn_of_two(config: pytest.Config, mode: str, others: Sequence[str]) -> None:
    """Warn if another plugin is in auto mode too: both would run each async test."""
    for other in others:
        try:
            theirs = config.getoption(f"{other}_mode", None) or config.getini(f"{other}_mode")
        except (KeyError, ValueError):
            continue
        if str(getattr(theirs, "value", theirs)) in ("auto", "true", "True"):
            config.issue_config_time_warning(
                pytest.PytestConfigWarning(
                    f"{mode} and {other}_mode are both auto, and both plugins would run each async "
                    f"test: leave one of them in strict mode"
                ),
                stacklevel=2,
            )
