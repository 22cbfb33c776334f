"""The command-line options for explored tests: `--creche-runs`, `--creche-replay`.

Sets `creche.testing.explore`'s settings for the session, and restores them. That module is not imported
unless one of the options is given.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

import pytest


def add_options(parser: pytest.Parser) -> None:
    group = parser.getgroup("creche", "Creche")
    group.addoption(
        "--creche-runs",
        type=int,
        metavar="N",
        help="run each test under @creche.testing.explore N times on each backend",
    )
    group.addoption(
        "--creche-replay",
        metavar="TOKEN",
        help="run the tests under @creche.testing.explore once, as in the run that printed TOKEN",
    )
    group.addoption(
        "--creche-record",
        metavar="FILE",
        help="with --creche-replay: write that run to a file, for `creche web FILE`",
    )


def configure(config: pytest.Config) -> None:
    """Pass the options on.

    :raises pytest.UsageError: one of them is not valid
    """
    runs: int | None = config.getoption("creche_runs", None)
    token: str | None = config.getoption("creche_replay", None)
    if runs is not None and runs < 1:
        raise pytest.UsageError(f"--creche-runs must be 1 or more, not {runs}")
    if token is not None:
        from ..testing._tokens import Token

        try:
            Token.parse(token)
        except ValueError as exc:
            raise pytest.UsageError(f"--creche-replay: {exc}") from None
    recording: str | None = config.getoption("creche_record", None)
    if recording is not None and token is None:
        raise pytest.UsageError("--creche-record needs --creche-replay TOKEN, the run to write")
    if runs is not None or token is not None:
        settings = _settings()
        settings.runs, settings.replay, settings.recording = runs, token, recording


def unconfigure(config: pytest.Config) -> None:
    """Restore what `configure` has set."""
    if config.getoption("creche_runs", None) or config.getoption("creche_replay", None):
        settings = _settings()
        settings.runs = settings.replay = settings.recording = None


def select(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect the explored tests that the token does not belong to.

    :raises pytest.UsageError: it belongs to none of the selected tests
    """
    token = _token(config)
    if token is None:
        return
    explored = [item for item in items if _explored(item)]
    others = [item for item in explored if not token.is_of_test(item.nodeid)]
    if others and others == explored:
        raise pytest.UsageError(
            "--creche-replay: the token belongs to a test that is not selected; "
            "name the test that printed it"
        )
    if others:
        config.hook.pytest_deselected(items=others)
        items[:] = [item for item in items if item not in others]


def name(item: pytest.Item) -> None:
    """Tell an explored test what pytest calls it, for the command that replays it."""
    if _explored(item):
        _settings().node = item.nodeid


def unname(item: pytest.Item) -> None:
    """Restore that."""
    if _explored(item):
        _settings().node = None


def check(session: pytest.Session) -> None:
    """Check that there is a test to replay.

    :raises pytest.UsageError: a token was given, and none of the tests selected is explored
    """
    if _token(session.config) is not None and not any(map(_explored, session.items)):
        raise pytest.UsageError(
            "--creche-replay: none of the selected tests is under @creche.testing.explore; "
            "name the test that printed the token"
        )


def _token(config: pytest.Config) -> Any:
    text: str | None = config.getoption("creche_replay", None)
    if text is None:
        return None
    from ..testing._tokens import Token

    return Token.parse(text)


def _explored(item: pytest.Item) -> bool:
    return isinstance(item, pytest.Function) and hasattr(item.obj, "creche_explored")


def _settings() -> Any:
    # In its package the module's name means the function.
    return import_module("..testing._explore", __package__).settings
