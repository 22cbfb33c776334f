"""`creche run --as-anyio`: a program finds itself as Python would have started it, on Creche."""

from __future__ import annotations

import subprocess
import zipfile
from pathlib import Path

import pytest
from _dropin_pythons import Python, usual_variables

PROGRAM = """
import os, sys
import anyio

print(anyio.__name__, __name__, sys.modules["__main__"].__dict__ is globals())
print(sys.argv)
print(sys.path[0])
print(__file__)
print(__spec__ and __spec__.name, repr(__package__))
if sys.argv[1:] == ["fail"]:
    raise ValueError("on purpose")
if sys.argv[1:] == ["leave"]:
    sys.exit(7)
if sys.argv[1:] == ["speak"]:
    sys.exit("a last word")
if sys.argv[1:] == ["interrupt"]:
    raise KeyboardInterrupt
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "app.py").write_text(PROGRAM)
    (tmp_path / "script").write_text(PROGRAM)
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "__init__.py").write_text("import anyio\n")
    (tmp_path / "package" / "__main__.py").write_text(PROGRAM)
    (tmp_path / "package" / "inner.py").write_text(PROGRAM)
    (tmp_path / "hollow").mkdir()
    (tmp_path / "hollow" / "__init__.py").write_text("")
    (tmp_path / "broken.py").write_text("def f(:\n")
    (tmp_path / "needs.py").write_text("import package_that_nobody_has\n")
    (tmp_path / "needy").mkdir()
    (tmp_path / "needy" / "__init__.py").write_text("import package_that_nobody_has\n")
    (tmp_path / "needy" / "inner.py").write_text("")
    (tmp_path / "coroutine.py").write_text(
        "import anyio, sys\nasync def main(): print(anyio.__name__, sys.argv[1:])\n"
    )
    with zipfile.ZipFile(tmp_path / "app.pyz", "w") as archive:
        archive.writestr("__main__.py", PROGRAM)
    return tmp_path


def start(python: Python, folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [python.executable, *command],
        cwd=folder,
        env=usual_variables(),
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )


def by_creche(python: Python, folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    return start(python, folder, "-m", "creche", "run", "--as-anyio", *command)


@pytest.mark.parametrize(
    "command",
    [
        ["app.py"],
        ["app.py", "--backend", "x", "--", "-m", "--help"],
        ["./app.py", "leave"],
        ["app.py", "speak"],
        ["app.py", "fail"],
        ["script", "a"],
        ["./package", "a"],
        ["app.pyz", "leave"],
        ["-m", "app", "leave"],
        ["-m", "app", "--as-anyio"],
        ["-m", "package", "-m"],
        ["-m", "package.inner", "fail"],
        ["-mapp", "a"],
    ],
    ids=" ".join,
)
def test_a_program_sees_what_python_would_have_shown_it(
    python: Python, folder: Path, command: list[str]
) -> None:
    (folder / "sitecustomize.py").write_text("")
    done = by_creche(python, folder, *command)
    with_the_variable = subprocess.run(
        [python.executable, *command],
        cwd=folder,
        env={**usual_variables(), "CRECHE_AS_ANYIO": "1"},
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert done.stdout == with_the_variable.stdout
    assert done.returncode == with_the_variable.returncode
    assert done.stdout.startswith("creche __main__ True\n")
    assert without_runpy(done.stderr) == without_runpy(with_the_variable.stderr)


def without_runpy(traceback: str) -> list[str]:
    """Leave out the frames of `python -m` itself, which nobody misses."""
    lines = traceback.splitlines()
    return [line for line in lines if "runpy" not in line and "in run_code" not in line]


def test_ctrl_c_ends_it_with_the_status_that_shells_know(python: Python, folder: Path) -> None:
    done = by_creche(python, folder, "app.py", "interrupt")
    assert done.returncode == 130
    assert done.stderr.endswith("KeyboardInterrupt\n")


def test_a_coroutine_function_is_run_as_without_it(python: Python, folder: Path) -> None:
    for command in (["coroutine:main", "a"], ["coroutine:main", "--", "a"], ["coroutine", "a"]):
        done = by_creche(python, folder, *command)
        assert done.stdout == "creche ['a']\n", done.stderr
    done = by_creche(python, folder, "--backend", "trio", "coroutine.py:main")
    assert done.stdout == "creche []\n", done.stderr


def test_children_of_the_program_have_it_too(python: Python, folder: Path) -> None:
    (folder / "parent.py").write_text(
        "import subprocess, sys\n"
        "subprocess.run([sys.executable, '-c', 'import anyio; print(anyio.__name__)'])\n"
    )
    assert by_creche(python, folder, "parent.py").stdout == "creche\n"


MISTAKES = [
    (["nothing.py"], "'nothing.py' does not exist"),
    (["./hollow"], "'./hollow' has no __main__.py"),
    (["-m", "nothing"], "there is no module 'nothing' in this folder"),
    (["-m", "nothing.inner"], "there is no module 'nothing.inner' in this folder"),
    (["-m", "hollow"], "'hollow' is a package and has no __main__ to run"),
    (["-m", "app.inner"], "there is no module 'app.inner'"),
    (["-m", ".app"], "'.app' cannot be run"),
    (["-m", "__main__"], "'__main__' cannot be run"),
    (["-m"], "-m needs the name of a module"),
    ([], "which program? Name a PROGRAM"),
    (["--uvloop", "app.py"], "only go with module:function"),
    (["--backend", "trio", "-m", "app"], "only go with module:function"),
    (["--fast", "app.py"], "unrecognized arguments: --fast"),
]


def test_a_mistake_is_one_line_and_exit_status_2(python: Python, folder: Path) -> None:
    program = (
        "import sys; from creche._cli import main\n"
        f"for command in {[command for command, _ in MISTAKES]!r}:\n"
        "    assert main(['run', '--as-anyio', *command]) == 2, command\n"
    )
    done = start(python, folder, "-c", program)
    assert done.returncode == 0, done.stderr
    said = done.stderr.splitlines()
    assert len(said) == len(MISTAKES)
    for line, (command, words) in zip(said, MISTAKES, strict=True):
        assert words in line, command
    done = by_creche(python, folder, "nothing.py")
    assert (done.returncode, done.stderr) == (2, "creche: 'nothing.py' does not exist\n")


def test_no_event_loop_is_loaded_before_a_script(python: Python, folder: Path) -> None:
    (folder / "looks.py").write_text("import sys; print('asyncio' in sys.modules)\n")
    assert by_creche(python, folder, "looks.py").stdout == "False\n"


@pytest.mark.parametrize(
    ("command", "last", "shown"),
    [
        (["broken.py"], "SyntaxError: ", "broken.py"),
        (["-m", "broken"], "SyntaxError: ", "broken.py"),
        (["needs.py"], "ModuleNotFoundError: No module named 'package_that", "needs.py"),
        (["-m", "needy.inner"], "ModuleNotFoundError: No module named 'package_that", "__init__"),
    ],
)
def test_errors_while_loading_are_the_program_s_own(
    python: Python, folder: Path, command: list[str], last: str, shown: str
) -> None:
    done = by_creche(python, folder, *command)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith(last)
    assert shown in done.stderr
    assert "_cli" not in done.stderr


def test_an_anyio_that_is_imported_already_is_a_mistake(
    python: Python, folder: Path, anyio_folder: str
) -> None:
    (folder / "sitecustomize.py").write_text("import anyio\n")
    path = f"{folder}:{anyio_folder}"
    done = python.start(
        "-m", "creche", "run", "--as-anyio", str(folder / "app.py"), PYTHONPATH=path
    )
    assert done.returncode == 2
    assert done.stderr.startswith("creche: anyio is already imported, by sitecustomize (")
