"""A name and what it stands for, on terminals of all widths."""

from __future__ import annotations

import io

import pytest

from creche._cli.screen import Screen


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def shown(file: io.StringIO, monkeypatch: pytest.MonkeyPatch, columns: int) -> list[str]:
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("NO_COLOR", "1")
    Screen(file).pair("drop-in", "off: 'import anyio' means AnyIO here", "bold")
    return file.getvalue().splitlines()


def test_both_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    assert shown(Terminal(), monkeypatch, 80) == ["drop-in  off: 'import anyio' means AnyIO here"]


def test_what_is_long_is_folded_below_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = shown(Terminal(), monkeypatch, 40)
    assert lines == ["drop-in  off: 'import anyio' means AnyIO", "         here"]


def test_with_little_room_it_is_folded_below_the_name(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = shown(Terminal(), monkeypatch, 30)
    assert lines == ["drop-in", "    off: 'import anyio' means", "    AnyIO here"]


def test_a_pipe_gets_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(shown(io.StringIO(), monkeypatch, 20)) == 1
