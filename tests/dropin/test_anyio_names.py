"""Every public name of AnyIO 4.16 is there under the drop-in. `anyio-4.16.txt` lists them by module."""

from __future__ import annotations

from pathlib import Path

from _dropin_pythons import Python

LISTING = Path(__file__).with_name("anyio-4.16.txt")


def listed() -> dict[str, list[str]]:
    modules: dict[str, list[str]] = {}
    module = ""
    for line in LISTING.read_text(encoding="utf-8").splitlines():
        if line.startswith(" "):
            modules[module].append(line.strip())
        else:
            module = line
            modules[module] = []
    return modules


def test_every_public_name_can_be_imported(python: Python) -> None:
    program = f"""
        import importlib
        for name, names in {listed()!r}.items():
            module = importlib.import_module(name)
            assert names
            print(*(f"{{name}}.{{each}}" for each in names if not hasattr(module, each)), end="")
            exec(f"from {{name}} import {{', '.join(names)}}")
    """
    assert python.run(program, CRECHE_AS_ANYIO="1") == ""


def test_submodules_that_anyio_has_as_attributes_are_attributes(python: Python) -> None:
    program = """
        import anyio
        for name in ("abc from_thread functools itertools lowlevel to_interpreter to_process "
                     "to_thread").split():
            assert getattr(anyio, name).__name__ == f"creche.{name}"
    """
    python.run(program, CRECHE_AS_ANYIO="1")
