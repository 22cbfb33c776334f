"""`creche doctor`: what it finds, in words, and what it finds fault with."""

from __future__ import annotations

import shutil
from pathlib import Path

import packaging
import pytest
from _dropin_pythons import Python

from creche._cli.doctor import what_it_says

DOCTOR = ["-m", "creche", "doctor"]


def write_distribution(folder: Path, name: str, *requirements: str) -> None:
    metadata = folder / f"{name.replace('-', '_')}-1.2.dist-info"
    metadata.mkdir(parents=True)
    lines = [f"Requires-Dist: {requirement}" for requirement in requirements]
    (metadata / "METADATA").write_text(
        "\n".join(["Metadata-Version: 2.1", f"Name: {name}", "Version: 1.2", *lines, ""])
    )


def report(python: Python, **variables: str) -> tuple[int, dict[str, str], str]:
    """Return the exit status, the facts by their labels, and all that was printed."""
    done = python.start(*DOCTOR, **variables)
    assert done.stderr == ""
    facts = dict(line.split("  ", 1) for line in done.stdout.splitlines()[:7])
    return done.returncode, {key.strip(): text.strip() for key, text in facts.items()}, done.stdout


def test_it_tells_what_is_installed(python: Python, anyio_folder: str) -> None:
    from importlib.metadata import version

    status, facts, _ = report(python, PYTHONPATH=anyio_folder)
    assert status == 0
    assert facts["Python"].endswith(python.executable)
    assert facts["Creche"].startswith(f"{version('creche')}, {python.packages}")
    assert facts["uvloop"] == version("uvloop")
    assert facts["Trio"] == version("trio")
    assert facts["AnyIO"] == "4.99.0"
    assert facts["drop-in"] == "off (CRECHE_AS_ANYIO is not set)"
    assert facts[".pth line"] == str(python.packages / "creche_as_anyio.pth")


@pytest.mark.parametrize("variables", [{}, {"CRECHE_AS_ANYIO": "1"}], ids=["off", "on"])
def test_it_tells_what_is_not_installed(bare: Python, variables: dict[str, str]) -> None:
    status, facts, printed = report(bare, **variables)
    assert status == 0
    assert facts["uvloop"] == "not installed (pip install 'creche[uvloop]')"
    assert facts["Trio"] == "not installed (pip install 'creche[trio]')"
    assert facts["AnyIO"] == "not installed", "Creche in its place is not AnyIO"
    assert printed.endswith("where packaging is installed: pip install 'creche[cli]'\n")


def test_it_tells_that_the_drop_in_is_on(bare: Python, anyio_folder: str) -> None:
    status, facts, _ = report(bare, CRECHE_AS_ANYIO="yes", PYTHONPATH=anyio_folder)
    assert status == 0
    assert facts["drop-in"] == "on: 'import anyio' means Creche (CRECHE_AS_ANYIO is 'yes')"
    assert facts["AnyIO"] == "4.99.0"


def test_a_value_that_says_no_is_told(bare: Python) -> None:
    status, facts, _ = report(bare, CRECHE_AS_ANYIO="0")
    assert (status, facts["drop-in"]) == (0, "off (CRECHE_AS_ANYIO is '0')")


def test_packages_that_require_anyio_are_listed_with_what_they_say(
    bare: Python, tmp_path: Path
) -> None:
    shutil.copytree(Path(packaging.__file__).parent, tmp_path / "packaging")
    write_distribution(tmp_path, "web", "anyio<5,>=3.6.2", "idna")
    write_distribution(tmp_path, "http-core", 'AnyIO (>=4.0) ; extra == "asyncio"')
    write_distribution(tmp_path, "other", "anyioneer", "trio", "not a requirement at all ((")
    status, _, printed = report(bare, PYTHONPATH=str(tmp_path))
    assert status == 0
    assert printed.split("\n\n")[1].splitlines() == [
        "Packages that require anyio: 2",
        "  http-core 1.2  anyio>=4.0, with the extra 'asyncio'",
        "  web 1.2        anyio<5,>=3.6.2",
    ]


@pytest.mark.parametrize(
    ("requirement", "said"),
    [
        ("anyio", "anyio"),
        ("  anyio~=4.0", "anyio~=4.0"),
        ("anyio[trio]>=4,<5", "anyio<5,>=4"),
        ("anyio (>=3, <5)", "anyio<5,>=3"),
        ("AnyIO ; extra == 'a' or extra == 'b'", "anyio, with the extra 'a' or 'b'"),
        ('anyio; python_version >= "3.11"', "anyio"),
        ('anyio; python_version < "3"', None),
        ("anyio>=4; (python_version > '3') and extra == 'x'", "anyio>=4, with the extra 'x'"),
        ("anyio; extra == 'x' and sys_platform == 'emscripten'", None),
        ("anyio; extra == 'x' or python_version > '3'", "anyio"),
        ("anyio; python_version <", None),
        ("anyioneer", None),
        ("any-io", None),
        ("httpx", None),
        ("", None),
    ],
)
def test_a_requirement_is_told_in_words(requirement: str, said: str | None) -> None:
    assert what_it_says(requirement) == said


def test_a_missing_line_is_a_fault_that_tells_what_to_do(bare: Python) -> None:
    line = bare.packages / "creche_as_anyio.pth"
    away = line.with_suffix(".away")
    line.rename(away)
    try:
        status, facts, printed = report(bare, CRECHE_AS_ANYIO="1")
    finally:
        away.rename(line)
    assert status == 1
    assert facts["drop-in"] == "off (CRECHE_AS_ANYIO is '1')"
    assert facts[".pth line"] == "not found"
    assert "so CRECHE_AS_ANYIO=1 does nothing here. Reinstall creche" in printed


def test_a_line_that_was_not_read_is_a_fault(bare: Python) -> None:
    program = (
        "import sys, site; sys.path.append(sys.argv.pop(1)); sys.argv[1:] = ['doctor'];"
        "from creche.__main__ import main; sys.exit(main())"
    )
    packages = str(bare.packages)
    done = bare.start("-S", "-c", f"import site; site.getsitepackages = lambda: [{packages!r}];"
                      + program, packages, CRECHE_AS_ANYIO="1")  # fmt: skip
    assert done.returncode == 1
    assert "asks for the drop-in, but it is off" in done.stdout


def test_it_takes_no_arguments(bare: Python) -> None:
    done = bare.start(*DOCTOR, "x")
    assert done.returncode == 2
    assert "unrecognized arguments: x" in done.stderr
