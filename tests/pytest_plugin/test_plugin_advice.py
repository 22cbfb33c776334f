"""What the plugin says where a project is set up in a way that cannot work."""

from __future__ import annotations

import pytest
from _inner import Inner


def test_a_wrong_backend_is_one_line(inner: Inner) -> None:
    told = inner.run(
        test="""
        import pytest

        @pytest.fixture(params=["curio"])
        def creche_backend(request):
            return request.param

        @pytest.mark.creche
        async def test_it():
            pass
        """
    )
    assert (
        told.text("test_it[curio]")
        == "No such backend: curio. Known backends: asyncio, uvloop, trio"
    )


def test_uvloop_is_a_backend_of_tests(inner: Inner) -> None:
    told = inner.run(
        test="""
        import asyncio
        import pytest

        @pytest.mark.parametrize("creche_backend", ["uvloop"])
        @pytest.mark.creche
        async def test_it(creche_backend):
            assert type(asyncio.get_running_loop()).__module__.startswith("uvloop")
        """
    )
    assert told.counts() == {"passed": 1}


def test_the_mark_takes_no_arguments_and_says_what_does(
    inner: Inner, capsys: pytest.CaptureFixture[str]
) -> None:
    inner.run(
        test="""
        import pytest

        @pytest.mark.creche(backend="trio")
        async def test_it():
            pass
        """
    )
    assert "takes no arguments. To choose the backends of a test" in capsys.readouterr().out


def test_the_mark_on_a_test_that_is_not_async_is_a_warning(
    inner: Inner, capsys: pytest.CaptureFixture[str]
) -> None:
    inner.run(
        "-W", "default",
        test="""
        import pytest

        @pytest.mark.creche
        def test_it():
            pass
        """,
    )  # fmt: skip
    assert "test_it has @pytest.mark.creche and is not async" in capsys.readouterr().out


def test_an_async_test_that_nobody_takes_is_told_how_to_be_run(inner: Inner) -> None:
    told = inner.run(test="async def test_it(): pass")
    assert "mark it with @pytest.mark.creche, or set creche_mode = auto" in told.text("test_it")


def test_a_fixture_of_too_high_a_scope_names_the_remedy(inner: Inner) -> None:
    told = inner.run(
        test="""
        import pytest

        @pytest.fixture(scope="session")
        async def server():
            yield 1

        @pytest.mark.creche
        async def test_it(server):
            pass
        """
    )
    text = told.text("test_it[asyncio]")
    assert "ScopeMismatch" in text
    assert '@pytest.fixture(scope="session", params=["asyncio", "trio"])' in text


def test_two_plugins_in_auto_mode_are_a_warning(inner: Inner) -> None:
    inner.ini("creche_mode = auto", "asyncio_mode = auto")
    inner.write(
        "conftest.py",
        """
        def pytest_addoption(parser):
            parser.addini("asyncio_mode", "as pytest-asyncio has it")
        """,
    )
    result = inner.run_apart("-W", "default", test="async def test_it(): pass")
    assert "creche_mode and asyncio_mode are both auto" in result.stdout + result.stderr
