"""The line that Python reads at its start: where it is shipped to, and what it does and does not do."""

from __future__ import annotations

import zipfile
from pathlib import Path

from _dropin_pythons import ROOT, Python, build_wheel

from creche._dropin.modules import OFF, VARIABLE

LINE = ROOT / "src" / "creche_as_anyio.pth"


def test_the_wheel_has_the_line_where_python_looks_for_it(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        assert archive.read("creche_as_anyio.pth") == LINE.read_bytes()


def test_an_editable_install_has_it_too_after_the_line_that_finds_creche(tmp_path: Path) -> None:
    editable = build_wheel(tmp_path, "wheel:editable")
    with zipfile.ZipFile(editable) as archive:
        lines = sorted(name for name in archive.namelist() if name.endswith(".pth"))
        assert archive.read("creche_as_anyio.pth") == LINE.read_bytes()
    assert lines == ["_editable_impl_creche.pth", "creche_as_anyio.pth"], "read in this order"


def test_it_is_one_line_that_begins_as_site_wants_it() -> None:
    text = LINE.read_text(encoding="utf-8")
    assert text.startswith("import ")
    assert len(text.splitlines()) == 1


def test_it_has_the_same_variable_and_values_as_the_room_behind_it() -> None:
    text = LINE.read_text(encoding="utf-8")
    assert f'os.environ.get("{VARIABLE}", "")' in text
    assert "(" + ", ".join(f'"{value}"' for value in OFF) + ")" in text


def test_without_the_variable_the_line_imports_nothing(python: Python) -> None:
    loaded = "import sys; print(*sorted(sys.modules))"
    with_it = {*python.run(loaded).split()}
    away = python.packages / "creche_as_anyio.away"
    line = python.packages / LINE.name
    line.rename(away)
    try:
        # What site reads any such file with comes with it.
        assert with_it - {*python.run(loaded).split()} <= {"encodings.utf_8_sig"}
    finally:
        away.rename(line)


def test_a_python_without_its_site_module_has_no_drop_in(python: Python) -> None:
    program = "import sys; print('anyio' in sys.modules)"
    assert python.start("-S", "-c", program, CRECHE_AS_ANYIO="1").stdout.strip() == "False"
    assert python.start("-I", "-c", program, CRECHE_AS_ANYIO="1").stdout.strip() == "True"
