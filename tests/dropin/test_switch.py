"""What turns the drop-in on, for which processes, and what happens when it cannot be."""

from __future__ import annotations

from pathlib import Path

import pytest
from _dropin_pythons import Python

from creche._dropin.importers import complaint
from creche._dropin.switch import is_asked_for

WHICH = "import anyio; print(anyio.__name__)"


@pytest.mark.parametrize("value", ["1", "yes", "on", "true", "anything"])
def test_the_variable_makes_anyio_mean_creche(python: Python, value: str) -> None:
    assert python.run(WHICH, CRECHE_AS_ANYIO=value) == "creche"
    assert is_asked_for(value)


@pytest.mark.parametrize("value", ["", "0", "false", "FALSE", "No", "off", " 0 "])
def test_values_that_say_no_are_no_value(python: Python, anyio_folder: str, value: str) -> None:
    assert python.run(WHICH, CRECHE_AS_ANYIO=value, PYTHONPATH=anyio_folder) == "anyio"
    assert not is_asked_for(value)


def test_without_the_variable_nothing_of_creche_is_loaded(python: Python) -> None:
    program = "import sys; print([name for name in sys.modules if name.startswith('creche')])"
    assert python.run(program) == "[]"
    assert not is_asked_for(None)


@pytest.mark.parametrize("installed", [False, True], ids=["without AnyIO", "with AnyIO"])
@pytest.mark.parametrize(
    ("first", "variables"),
    [("", {"CRECHE_AS_ANYIO": "1"}), ("import creche.as_anyio;", {})],
    ids=["variable", "import"],
)
def test_it_means_creche_whether_anyio_is_installed_or_not(
    python: Python, anyio_folder: str, installed: bool, first: str, variables: dict[str, str]
) -> None:
    if installed:
        variables = {**variables, "PYTHONPATH": anyio_folder}
    assert python.run(first + WHICH, **variables) == "creche"


def test_it_is_on_for_the_children_of_a_program_that_wrote_it_down(python: Python) -> None:
    program = f"""
        import creche.as_anyio, subprocess, sys
        print(subprocess.check_output([sys.executable, "-c", {WHICH!r}], text=True))
    """
    assert python.run(program) == "creche"


def test_a_program_that_wrote_it_down_leaves_a_no_to_its_children_as_it_is(python: Python) -> None:
    program = "import creche.as_anyio, os; print(os.environ['CRECHE_AS_ANYIO'])"
    assert python.run(program, CRECHE_AS_ANYIO="0") == "0"


def test_it_is_on_in_processes_that_multiprocessing_spawns(python: Python, tmp_path: Path) -> None:
    script = tmp_path / "spawning.py"
    script.write_text(
        "import multiprocessing\n"
        "def which():\n"
        "    import anyio\n"
        "    return anyio.__name__\n"
        "if __name__ == '__main__':\n"
        "    with multiprocessing.get_context('spawn').Pool(1) as pool:\n"
        "        print(pool.apply(which))\n"
    )
    done = python.start(str(script), CRECHE_AS_ANYIO="1")
    assert done.stdout.strip() == "creche", done.stderr


def test_it_is_on_in_worker_processes(python: Python, tmp_path: Path) -> None:
    (tmp_path / "job.py").write_text("import anyio\ndef which(): return anyio.__name__\n")
    program = """
        import anyio, anyio.to_process, job
        print(anyio.run(anyio.to_process.run_sync, job.which))
    """
    assert python.run(program, CRECHE_AS_ANYIO="1", PYTHONPATH=str(tmp_path)) == "creche"


def test_turning_it_on_twice_changes_nothing(python: Python) -> None:
    program = """
        import sys, importlib, creche.as_anyio
        before = list(sys.meta_path), dict(sys.modules)
        importlib.reload(creche.as_anyio)
        print((list(sys.meta_path), dict(sys.modules)) == before)
    """
    assert python.run(program, CRECHE_AS_ANYIO="1") == "True"


# ── When it cannot be ────────────────────────────────────────────────────────────────────────────


def test_an_anyio_that_is_imported_already_is_an_error_that_names_who_did(
    python: Python, anyio_folder: str, tmp_path: Path
) -> None:
    (tmp_path / "hasty.py").write_text("import anyio\n")
    (tmp_path / "other.py").write_text("from anyio.abc import TaskGroup as Group\n")
    program = """
        import sys, hasty, other
        try:
            import creche.as_anyio
        except ImportError as exc:
            print(exc)
        import anyio
        print(anyio.__name__, "creche" in str(sys.meta_path))
    """
    path = f"{anyio_folder}:{tmp_path}"
    said, left = python.run(program, PYTHONPATH=path).splitlines()
    assert said.startswith("anyio is already imported, by hasty (")
    assert f"other ({tmp_path / 'other.py'})" in said
    assert "CRECHE_AS_ANYIO=1" in said
    assert left == "anyio False", "nothing was changed"


def test_the_main_program_is_named_like_any_other(python: Python, anyio_folder: str) -> None:
    done = python.start("-c", "import anyio, creche.as_anyio", PYTHONPATH=anyio_folder)
    assert "anyio is already imported, by __main__: Creche can no longer stand in" in done.stderr


def test_only_the_first_few_importers_are_named(python: Python, anyio_folder: str) -> None:
    program = """
        import sys, types, anyio
        for number in range(9):
            module = sys.modules[f"m{number}"] = types.ModuleType(f"m{number}")
            module.anyio = anyio
        import creche.as_anyio
    """
    done = python.start("-c", _dedent(program), PYTHONPATH=anyio_folder)
    assert "by __main__, m0, m1, m2, m3 and 5 more: " in done.stderr


def test_an_anyio_that_nobody_holds_any_more_is_told_as_well() -> None:
    assert complaint().startswith("anyio is already imported, by ")


def test_an_error_at_the_start_ends_the_process_rather_than_leave_anyio_to_it(
    python: Python, anyio_folder: str, tmp_path: Path
) -> None:
    (tmp_path / "creche").mkdir()
    (tmp_path / "creche" / "__init__.py").write_text("raise OSError('the disk is gone')\n")
    path = f"{tmp_path}:{anyio_folder}"
    done = python.start("-c", "print('went on')", CRECHE_AS_ANYIO="1", PYTHONPATH=path)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith("creche: CRECHE_AS_ANYIO is set, but Creche cannot stand in for ")
    assert "the disk is gone. Unset the variable" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_an_anyio_that_another_pth_line_imported_ends_the_process(
    python: Python, anyio_folder: str
) -> None:
    hasty = python.packages / "a_hasty.pth"
    hasty.write_text("import anyio\n")
    try:
        done = python.start("-c", WHICH, CRECHE_AS_ANYIO="1", PYTHONPATH=anyio_folder)
    finally:
        hasty.unlink()
    assert done.returncode == 1
    assert "anyio is already imported" in done.stderr


def _dedent(program: str) -> str:
    from textwrap import dedent

    return dedent(program)
