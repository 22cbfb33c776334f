"""What `importlib.metadata` says of AnyIO: an installed one speaks for itself, else Creche answers."""

from __future__ import annotations

from _dropin_pythons import Python

ON = {"CRECHE_AS_ANYIO": "1"}


def test_without_anyio_its_version_and_its_entry_point_are_there(bare: Python) -> None:
    program = """
        from importlib.metadata import (
            distribution, distributions, entry_points, metadata, packages_distributions, version)
        assert version("anyio") == "4.16.0"
        assert metadata("anyio")["Name"] == "anyio"
        (plugin,) = [each for each in entry_points(group="pytest11") if each.name == "anyio"]
        assert plugin.value == "anyio.pytest_plugin"
        assert plugin.dist.name == "anyio"
        assert [each.version for each in distributions() if each.name == "anyio"] == ["4.16.0"]
        assert packages_distributions()["anyio"] == ["anyio"]
        found = distribution("anyio")
        assert found.read_text("RECORD") is None and found.files is None
        assert found.requires is None
        assert found.locate_file("creche").is_dir()
    """
    bare.run(program, **ON)


def test_an_installed_anyio_speaks_for_itself(bare: Python, anyio_folder: str) -> None:
    program = """
        from importlib.metadata import distributions, entry_points, version
        assert version("anyio") == "4.99.0"
        assert [each.version for each in distributions() if each.name == "anyio"] == ["4.99.0"]
        assert [each.value for each in entry_points(group="pytest11") if each.name == "anyio"] == [
            "anyio.pytest_plugin"]
        import anyio
        assert anyio.__name__ == "creche"
    """
    bare.run(program, **ON, PYTHONPATH=anyio_folder)


def test_installers_that_look_into_one_folder_are_told_that_it_is_not_there(bare: Python) -> None:
    program = """
        import sys
        from importlib.metadata import distributions
        found = distributions(path=sys.path)
        assert sorted({each.name for each in found}) == ["creche"]
    """
    bare.run(program, **ON)


def test_other_distributions_are_found_and_missed_as_ever(bare: Python) -> None:
    program = """
        from importlib.metadata import PackageNotFoundError, version
        assert version("creche")
        try:
            version("nothing")
        except PackageNotFoundError:
            print("missed")
    """
    assert bare.run(program, **ON) == "missed"


def test_without_the_drop_in_nobody_answers_for_anyio(bare: Python) -> None:
    program = """
        from importlib.metadata import PackageNotFoundError, version
        try:
            version("anyio")
        except PackageNotFoundError:
            print("missed")
    """
    assert bare.run(program) == "missed"
