"""`creche run` of code that is typed or piped, and of modules: what it sees, and what it shows."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from _harness import on_each_command_line


def creche(*arguments: str, at: Path, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """Run `creche run` as a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "creche", "run", *arguments],
        capture_output=True,
        cwd=at,
        input=stdin,
        text=True,
        timeout=60,
    )


@on_each_command_line
def test_code_may_await(flags: list[str], tmp_path: Path) -> None:
    code = "import creche, sys\nawait creche.sleep(0)\nprint(sys.argv, __name__)"
    done = creche(*flags, "-c", code, "a", "--debug", at=tmp_path)
    assert (done.stdout, done.stderr) == ("['-c', 'a', '--debug'] __main__\n", "")
    piped = creche(*flags, "-", "b", at=tmp_path, stdin=code)
    assert (piped.stdout, piped.stderr) == ("['-', 'b'] __main__\n", "")


def test_code_that_defines_main_and_awaits_nothing_has_it_run(tmp_path: Path) -> None:
    code = "print('first')\nasync def main():\n    print('main')"
    assert creche("-c", code, at=tmp_path).stdout == "first\nmain\n"
    assert creche("-c", f"{code}\nawait main()", at=tmp_path).stdout == "first\nmain\n"


def test_the_main_task_has_the_name_of_the_code(tmp_path: Path) -> None:
    code = "import creche\nprint(creche.get_current_task().name)\nawait creche.sleep(0)"
    assert creche("-c", code, at=tmp_path).stdout == "__main__.<string>\n"


def test_an_error_shows_the_lines_that_were_typed_and_no_others(tmp_path: Path) -> None:
    done = creche("-c", "def f():\n    1 / 0\nf()", at=tmp_path)
    assert done.returncode == 1
    lines = [line for line in done.stderr.splitlines() if "^" not in line]
    assert lines == [
        "Traceback (most recent call last):",
        '  File "<string>", line 3, in <module>',
        "    f()",
        '  File "<string>", line 2, in f',
        "    1 / 0",
        "ZeroDivisionError: division by zero",
    ]


def test_a_syntax_error_shows_the_line_that_was_typed_and_nothing_of_ours(tmp_path: Path) -> None:
    done = creche("-", at=tmp_path, stdin="await x(\n")
    assert done.returncode == 1
    assert done.stderr.splitlines()[:2] == ['  File "<stdin>", line 1', "    await x("]
    assert "creche" not in done.stderr


def test_a_module_is_run_by_its_main_and_a_package_by_that_of_its_main_module(
    tmp_path: Path,
) -> None:
    program = "import sys\nasync def main():\n    print(__name__, sys.argv[1:])\n"
    (tmp_path / "tool.py").write_text(program)
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "__init__.py").write_text("")
    (tmp_path / "app" / "__main__.py").write_text(program)
    assert creche("-m", "tool", "-m", at=tmp_path).stdout == "tool ['-m']\n"
    assert creche("-m", "app", "--x", at=tmp_path).stdout == "app.__main__ ['--x']\n"


def test_a_module_without_main_says_which_functions_it_has(tmp_path: Path) -> None:
    (tmp_path / "tool.py").write_text("async def serve():\n    pass\n")
    done = creche("-m", "tool", at=tmp_path)
    assert done.returncode == 2
    words = "creche: 'tool' has no 'main'; name a function with tool:FUNCTION, such as serve\n"
    assert done.stderr == words


@pytest.mark.parametrize("command", [["doctor"], ["demo", "--list"], ["--help"]])
def test_output_may_be_cut_off(command: list[str]) -> None:
    done = subprocess.run(
        ["bash", "-c", '"$@" | true; echo ${PIPESTATUS[0]}', "-", sys.executable, "-m", "creche", *command],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.stderr == ""
