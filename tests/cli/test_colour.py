"""`creche tree` in colour: the same text, painted, and only where somebody sees it."""

from __future__ import annotations

import importlib.util
import re

import pytest

from creche._cli.colour import write_tree

TREE = """\
main              waiting for the end of server, client x371     app.py:20  main
├─ server         cancelled (enough), shielded                   app.py:41  serve
└─ client x371    waiting for Lock 'db', held by server          app.py:52  request [1]

Deadlock: 2 tasks wait for each other
"""
ESCAPES = re.compile(r"\x1b\[[0-9;]*m")


@pytest.fixture(autouse=True)
def nothing_said(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "40")


def test_a_pipe_gets_plain_text(capsys: pytest.CaptureFixture[str]) -> None:
    write_tree(TREE)
    assert capsys.readouterr().out == TREE


def test_colours_change_no_letter_and_fold_no_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    write_tree(TREE)
    painted = capsys.readouterr().out
    assert ESCAPES.sub("", painted) == TREE
    for text in ("Deadlock: 2 tasks wait for each other", "cancelled", "held by server"):
        assert re.search(rf"\x1b\[[0-9;]+m{text}\x1b\[0m", painted), text


def test_without_rich_it_is_plain(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    write_tree(TREE)
    assert capsys.readouterr().out == TREE
