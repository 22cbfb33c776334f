"""The chapter on the drop-in, typed into a shell: its files are written, its commands are run in the
order of the page, and what they print is compared. `...` stands for anything.

Only commands of one line that end by themselves are run; a block of commands without any output
shows how they are typed.
"""

from __future__ import annotations

import re
import stat
import subprocess
from pathlib import Path

import pytest
from _dropin_pythons import ROOT, Python, usual_variables

PAGE = (ROOT / "docs" / "drop-in.md").read_text(encoding="utf-8")
FILES = dict(re.findall(r'```(?:py|ini) title="([^"]+)"\n(.*?)```', PAGE, re.DOTALL))
CONSOLES = re.findall(r"```console\n(.*?)```", PAGE, re.DOTALL)
SESSIONS = [block for block in CONSOLES if not all(x[0] == "$" for x in block.splitlines())]


@pytest.fixture
def folder(python: Python, tmp_path: Path) -> Path:
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    for name, module in (("creche", "creche"), ("pytest", "pytest")):
        command = tmp_path / "commands" / name
        command.parent.mkdir(exist_ok=True)
        command.write_text(f'#!/bin/sh\nexec {python.executable} -m {module} "$@"\n')
        command.chmod(command.stat().st_mode | stat.S_IXUSR)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    return tmp_path


def test_the_page_has_sessions_to_run() -> None:
    assert len(SESSIONS) == 7
    assert sorted(FILES) == [
        "app.py",
        "private.py",
        "pytest.ini",
        "sitecustomize.py",
        "test_app.py",
        "written_down.py",
    ]


@pytest.mark.parametrize("session", SESSIONS, ids=lambda text: text.splitlines()[0])
def test_a_session_of_the_page_goes_as_shown(python: Python, folder: Path, session: str) -> None:
    path = f"{folder / 'commands'}:{python.folder / 'bin'}:/usr/bin:/bin"
    for command, shown in re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", session, re.MULTILINE):
        done = subprocess.run(
            ["/bin/sh", "-c", command],
            cwd=folder,
            env={**usual_variables(), "PATH": path},
            capture_output=True,
            text=True,
            timeout=50,
            check=False,
        )
        pattern = re.escape(shown.rstrip()).replace(r"\.\.\.", ".*?")
        printed = done.stdout.rstrip()
        assert re.fullmatch(pattern, printed, re.DOTALL), f"{command}\n{printed}\n{done.stderr}"


def test_the_configuration_of_the_page_turns_it_on(python: Python, folder: Path) -> None:
    (folder / "pytest.ini").write_text(FILES["pytest.ini"])
    command = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(folder)]
    done = python.start(*command, str(folder / "test_app.py"))
    assert "2 passed" in done.stdout, done
