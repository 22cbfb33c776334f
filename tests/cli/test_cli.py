"""The command line: how programs are found and run, and what mistakes look like."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

from _harness import on_each_command_line
from creche._cli import main
from creche._cli.program import split_target

PROGRAM = """
import sys

import creche


async def main():
    await creche.lowlevel.checkpoint()
    print("ran with", sys.argv[1:])


async def numbers():
    yield 1


async def greet(name):
    pass


async def fail():
    await creche.sleep(0)
    raise ValueError("a plain mistake")


async def leave():
    await creche.sleep(0)
    raise SystemExit(7)


def ordinary():
    pass


class Group:
    @staticmethod
    async def inner():
        print("the inner one ran")


constant = 3
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with programs in it, made the current one; what `main` changes is put back."""
    importlib.import_module(
        "creche._cli.repl"
    )  # before `sys.modules` is put back, with all it needs
    (tmp_path / "program.py").write_text(PROGRAM)
    (tmp_path / "needs.py").write_text("import package_that_nobody_has\n")
    (tmp_path / "broken.py").write_text("def main(:\n")
    (tmp_path / "without_main.py").write_text("async def serve():\n    pass\n")
    (tmp_path / "folder.py").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(sys, "argv", [*sys.argv])
    monkeypatch.setattr(sys, "modules", {**sys.modules})
    return tmp_path


# ── creche ───────────────────────────────────────────────────────────────────────────────────────


def test_without_arguments_it_prints_its_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    out = capsys.readouterr().out
    assert "demo" in out
    assert "run" in out


@pytest.mark.parametrize("flag", ["-V", "--version"])
def test_version_is_printed(flag: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match=r"^0$"):
        main([flag])
    assert capsys.readouterr().out.startswith("creche ")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["walk"], "there is no command 'walk'; see creche --help"),
        (["rnu"], "there is no command 'rnu'; did you mean 'run'?"),
        (["help", "dem"], "there is no command 'dem'; did you mean 'demo'?"),
        (["run"], "which program? Name a PROGRAM (see 'creche run --help')"),
        (["run", "--debug"], "which program? Name a PROGRAM (see 'creche run --help')"),
        (["run", "-m"], "-m needs the name of a module"),
        (["run", "-c"], "-c needs the code to run"),
        (["run", "--fast", "program.py"], "unrecognized arguments: --fast"),
        (["run", "--reload", "-c", "1"], "--reload needs a file or a module to watch"),
        (["repl", "--backend", "curio"], "No such backend: curio"),
        (["demo", "0"], "there is no example 0: they are numbered from 1 to "),
        (["demo", "task"], "there is no example 'task'; did you mean 'tasks'?"),
        (["demo", "nothing"], "there is no example 'nothing'; there are tasks, "),
        (["demo", "--backend", "curio"], "no such backend: 'curio'; there are asyncio, "),
        (["demo", "--folder", "empty"], "there is no example in 'empty'"),
        (["run", "nothing:main"], "there is no module 'nothing'"),
        (["run", "program.nothing:main"], "there is no module 'program.nothing'"),
        (["run", "pro-gram"], "'pro-gram' is neither the name of a module nor the path"),
        (["run", "program:nothing"], "'program' has no 'nothing'"),
        (["run", "program:gret"], "'program' has no 'gret'; did you mean 'greet'?"),
        (["run", "progam:main"], "on sys.path; did you mean 'program'"),
        (["run", "-m", "progam"], "on sys.path; did you mean 'program'"),
        (["run", "progam.py"], "'progam.py' does not exist; did you mean 'program.py'?"),
        (["run", "needs_no_main"], "there is no module 'needs_no_main'"),
        (["run", "without_main.py"], "'without_main' has no 'main'; name a function with"),
        (["run", "nothing.py"], "'nothing.py' does not exist"),
        (["run", "./nothing"], "'./nothing' does not exist"),
        (["run", "folder.py"], "'folder.py' is not a file"),
        (["run", "program.py:nothing"], "'program' has no 'nothing'"),
        (["run", "program.py:ordinary"], "is not a coroutine function, one made by 'async def'"),
        (["run", "program:constant"], "but of type int"),
        (["run", "program:numbers"], "an async generator function, for it has a 'yield'"),
        (["run", "program:greet"], "cannot be called without arguments: missing a required"),
        (["run", "--backend", "curio", "program:main"], "No such backend: curio"),
        (["run", "--backend", "trio", "--uvloop", "program:main"], "--uvloop only goes with"),
        (["run", "--backend", "trio", "--debug", "program:main"], "--debug only goes with"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_mistake_is_one_line_and_exit_status_2(
    arguments: list[str], words: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("creche: ")
    assert err.count("\n") == 1
    assert words in err


def test_a_process_exits_with_the_status_of_a_mistake(here: Path) -> None:
    command = [sys.executable, "-m", "creche", "run", "nothing:main"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert done.stderr == "creche: there is no module 'nothing' in this folder or on sys.path\n"


def test_help_of_a_command_is_that_of_its_flag(capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["help", "demo"], ["demo", "--help"]):
        with pytest.raises(SystemExit, match=r"^0$"):
            main(words)
    first, second = capsys.readouterr().out.split("usage: ")[1:]
    assert first == second
    assert main(["help"]) == 0
    assert "completion" in capsys.readouterr().out


@pytest.mark.parametrize("shell", ["bash", "fish", "tcsh", "zsh"])
def test_completion_prints_a_script_for_the_shell(
    shell: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["completion", shell]) == 0
    out = capsys.readouterr().out
    assert "doctor" in out


def test_bash_takes_its_completion() -> None:
    script = subprocess.run(
        [sys.executable, "-m", "creche", "completion", "bash"],
        capture_output=True, text=True, timeout=60, check=True,
    ).stdout  # fmt: skip
    ask = "COMP_WORDS=(creche do) COMP_CWORD=1; _shtab_creche; echo ${COMPREPLY[@]}"
    done = subprocess.run(
        ["bash", "-c", f"{script}\n{ask}"], capture_output=True, text=True, timeout=60
    )
    assert done.stdout.split() == ["doctor"]


# ── creche run ───────────────────────────────────────────────────────────────────────────────────


@on_each_command_line
@pytest.mark.parametrize(
    "target", ["program:main", "program", "program.py", "program.py:main", "./program.py"]
)
def test_a_program_is_run_on_the_backend_asked_for(
    target: str, flags: list[str], here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", *flags, target, "--backend", "x"]) == 0
    assert capsys.readouterr().out == "ran with ['--backend', 'x']\n"


@pytest.mark.parametrize("target", [["program.py"], ["-m", "program"]])
def test_a_first_pair_of_dashes_is_the_command_s(
    target: list[str], here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", "--", *target] if target[0] != "-m" else ["run", *target]) == 0
    assert main(["run", "program.py", "--", "-x", "--", "y"]) == 0
    assert capsys.readouterr().out == "ran with []\nran with ['-x', '--', 'y']\n"


def test_a_program_sees_its_own_file_and_arguments_in_argv(here: Path) -> None:
    assert main(["run", "program.py", "1", "--2"]) == 0
    assert sys.argv == ["program.py", "1", "--2"]


def test_a_function_may_be_an_attribute_of_another_object(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", "program:Group.inner"]) == 0
    assert capsys.readouterr().out == "the inner one ran\n"


def test_debug_and_uvloop_reach_the_loop(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "look.py").write_text(
        "import asyncio\n"
        "async def main():\n"
        "    loop = asyncio.get_running_loop()\n"
        "    print(type(loop).__module__.partition('.')[0], loop.get_debug())\n"
    )
    assert main(["run", "look.py"]) == 0
    assert main(["run", "--debug", "--uvloop", "look.py"]) == 0
    assert capsys.readouterr().out == f"asyncio {sys.flags.dev_mode}\nuvloop True\n"


def test_a_script_may_have_the_name_of_a_module_in_use(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "json.py").write_text(PROGRAM)
    assert main(["run", "json.py"]) == 0
    assert capsys.readouterr().out == "ran with []\n"
    assert sys.modules["json"].__file__ != str(here / "json.py")


def test_a_script_finds_the_modules_beside_it(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "sub").mkdir()
    (here / "sub" / "neighbour.py").write_text("WORD = 'hello'\n")
    (here / "sub" / "script.py").write_text(
        "from neighbour import WORD\nasync def main():\n    print(WORD)\n"
    )
    assert main(["run", "sub/script.py"]) == 0
    assert capsys.readouterr().out == "hello\n"


@pytest.mark.parametrize(
    ("target", "parts"),
    [
        ("app:main", ("app", "main")),
        ("app", ("app", "main")),
        ("C:\\app.py", ("C:\\app.py", "main")),
        ("C:/app.py:serve", ("C:/app.py", "serve")),
    ],
)
def test_the_colon_of_a_drive_names_no_function(target: str, parts: tuple[str, str]) -> None:
    assert split_target(target) == parts


@on_each_command_line
def test_an_exception_shows_the_traceback_of_the_program_alone(
    flags: list[str], here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", *flags, "program.py:fail"]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "Traceback (most recent call last):"
    assert lines[1] == f'  File "{here / "program.py"}", line 22, in fail'
    assert lines[-1] == "ValueError: a plain mistake"


@pytest.mark.parametrize(
    ("target", "last"),
    [
        ("needs.py", "ModuleNotFoundError: No module named 'package_that_nobody_has'"),
        ("needs:main", "ModuleNotFoundError: No module named 'package_that_nobody_has'"),
    ],
)
def test_an_error_while_loading_is_the_program_s_own(
    target: str, last: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", target]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert lines[1] == f'  File "{here / "needs.py"}", line 1, in <module>'
    assert lines[-1] == last


def test_a_syntax_error_is_shown_where_it_is(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", "broken.py"]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == f'  File "{here / "broken.py"}", line 1'
    assert lines[1] == "    def main(:"
    assert lines[-1].startswith("SyntaxError: ")


@on_each_command_line
def test_system_exit_passes_with_its_status(flags: list[str], here: Path) -> None:
    with pytest.raises(SystemExit, match=r"^7$"):
        main(["run", *flags, "program:leave"])
