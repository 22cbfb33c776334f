"""Which tests the plugin runs, on what, and what comes of them."""

from __future__ import annotations

import pytest
from _inner import Inner

from _harness import Backend

KINDS = """
    import functools
    import unittest

    import creche
    import pytest
    from hypothesis import given, settings, strategies as st

    ran = []

    @pytest.mark.creche
    async def test_function():
        await creche.sleep(0)

    @pytest.mark.creche
    @pytest.mark.parametrize("number", [1, 2])
    async def test_parametrized(number):
        await creche.sleep(0)
        ran.append(number)

    @pytest.mark.creche
    @given(st.integers())
    @settings(max_examples=10, database=None)
    async def test_given(number):
        await creche.sleep(0)
        ran.append("example")

    @pytest.mark.creche
    @given(st.integers())
    @settings(max_examples=10, database=None)
    async def test_given_that_fails(number):
        await creche.sleep(0)
        assert number < 50

    @pytest.mark.creche
    class TestMethods:
        async def test_method(self):
            await creche.sleep(0)
            assert isinstance(self, TestMethods)

        @staticmethod
        async def test_static():
            await creche.sleep(0)

        @classmethod
        async def test_of_class(cls):
            await creche.sleep(0)
            assert cls is TestMethods

        @given(st.integers())
        @settings(max_examples=5, database=None)
        async def test_given(self, number):
            await creche.sleep(0)
            self.number = number

        def test_plain(self):
            pass

    class TestCase(unittest.TestCase):
        def test_plain(self):
            ran.append("unittest")

    class TestOfUnittest(unittest.IsolatedAsyncioTestCase):
        async def test_async(self):
            ran.append("unittest")

    async def test_by_its_fixture(creche_backend):
        await creche.sleep(0)

    def test_all_ran():
        assert ran.count("unittest") == 2
        assert ran.count(1) == ran.count(2) == 1
        assert ran.count("example") >= 1
    """


def test_all_kinds_of_async_tests_run(either: Inner, backend: Backend) -> None:
    either.on(backend)
    told = either.run(test=KINDS)
    assert told.of("test_given_that_fails") == "failed in call"
    assert "number=50" in told.text("test_given_that_fails")
    assert told.counts() == {"passed": 13, "failed in call": 1}


def test_without_its_mark_an_async_test_is_left_alone(either: Inner) -> None:
    told = either.run(test="async def test_it(): pass")
    assert told.of("test_it") == "failed in call"
    assert "not natively supported" in told.text("test_it")


@pytest.mark.parametrize("way", ["ini", "option"])
def test_in_auto_mode_all_async_tests_run(either: Inner, way: str) -> None:
    options = [f"--{either.prefix}-mode=auto"] if way == "option" else []
    mode = ["creche_mode = auto"] if way == "ini" else []
    either.ini("markers = asyncio: of another plugin", *mode)
    told = either.run(
        *options,
        test="""
        import creche, pytest

        @pytest.fixture
        async def one():
            await creche.sleep(0)
            return 1

        async def test_it(one):
            assert one == 1

        def test_plain():
            pass

        @pytest.mark.asyncio
        async def test_others_stay_theirs():
            pass
        """,
    )
    assert told.of("test_it[asyncio]") == told.of("test_it[trio]") == "passed"
    assert told.of("test_plain") == "passed"
    assert told.of("test_others_stay_theirs") == "failed in call"


def test_a_mode_that_does_not_exist_is_told_at_once(either: Inner) -> None:
    either.ini("creche_mode = automatic")
    result = either.run_apart(test="def test_it(): pass")
    assert result.returncode == pytest.ExitCode.USAGE_ERROR
    assert f"{either.prefix}_mode must be one of strict, auto, not 'automatic'" in result.stderr


def test_the_mark_can_be_on_a_module(either: Inner) -> None:
    told = either.run(
        test="""
        import creche, pytest
        pytestmark = pytest.mark.creche

        async def test_it(creche_backend_name, creche_backend_options):
            assert creche.current_time() >= 0
            assert creche_backend_options == {}
        """
    )
    assert told.names() == ["test_it[asyncio]", "test_it[trio]"]
    assert told.counts() == {"passed": 2}


def test_the_backends_and_their_options_can_be_chosen(either: Inner) -> None:
    told = either.run(
        test="""
        import creche, pytest, asyncio, sys
        pytestmark = pytest.mark.creche

        @pytest.fixture(
            params=[
                pytest.param(("asyncio", {"use_uvloop": True}), id="uvloop"),
                pytest.param(("asyncio", {"debug": True}), id="debug"),
                pytest.param("trio", id="plain"),
            ]
        )
        def creche_backend(request):
            return request.param

        async def test_it(creche_backend_name, creche_backend_options):
            if creche_backend_name == "asyncio":
                loop = asyncio.get_running_loop()
                assert loop.get_debug() == creche_backend_options.get("debug", sys.flags.dev_mode)
                assert ("uvloop" in type(loop).__module__) == ("use_uvloop" in creche_backend_options)
            else:
                import trio
                assert trio.lowlevel.in_trio_run()
                assert creche_backend_options == {}
        """
    )
    assert told.names() == ["test_it[uvloop]", "test_it[debug]", "test_it[plain]"]
    assert told.counts() == {"passed": 3}


def test_a_backend_that_is_none_is_refused_in_words(either: Inner) -> None:
    told = either.run(
        test="""
        import pytest
        pytestmark = pytest.mark.creche

        @pytest.fixture(params=[3, ("asyncio", 3), ("asyncio",), ["asyncio", {}]])
        def creche_backend(request):
            return request.param

        @pytest.fixture
        async def fixture():
            pass

        async def test_it():
            pass

        async def test_it_with_a_fixture(fixture):
            pass

        class TestUnknown:
            @pytest.fixture
            def creche_backend(self):
                return "curio"

            async def test_it(self):
                pass

        class TestUnknownOption:
            @pytest.fixture
            def creche_backend(self):
                return "asyncio", {"loop": "fast"}

            async def test_it(self):
                pass
        """
    )
    assert told.counts() == {"failed in call": 6, "failed in setup": 4}
    wanted = f"{either.prefix}_backend must be either a string or tuple of (string, dict)"
    assert wanted in told.text("test_it[3]")
    assert "No such backend: curio" in told.text("TestUnknown::test_it")
    assert "unknown backend option 'loop'" in told.text("TestUnknownOption::test_it")


def test_outcomes_come_out_right(either: Inner, backend: Backend) -> None:
    either.on(backend)
    told = either.run(
        test="""
        import creche, pytest
        pytestmark = pytest.mark.creche

        async def later(call, *args):
            await creche.sleep(0)
            call(*args)

        async def in_a_group(call, *args):
            async with creche.create_task_group() as outer:
                async with creche.create_task_group() as group:
                    group.start_soon(later, call, *args)

        async def test_skip():
            await later(pytest.skip, "not today")

        async def test_skip_in_a_group():
            await in_a_group(pytest.skip, "not today")

        async def test_fail_in_a_group():
            await in_a_group(pytest.fail, "no good")

        async def test_xfail_in_a_group():
            await in_a_group(pytest.xfail, "known")

        @pytest.mark.xfail(strict=True, raises=KeyError)
        async def test_expected_to_fail():
            raise KeyError

        async def test_importorskip():
            pytest.importorskip("there_is_no_such_module")

        async def test_assertion():
            one = 1
            assert one == 2

        async def test_two_in_groups():
            raise BaseExceptionGroup("both", [pytest.fail.Exception("first"), ValueError()])

        @pytest.fixture
        async def skipping():
            pytest.skip("no fixture")

        async def test_skipped_by_a_fixture(skipping):
            pass
        """
    )
    assert told.of("test_skip") == told.of("test_skip_in_a_group") == "skipped in call"
    assert told.of("test_importorskip") == "skipped in call"
    assert told.of("test_skipped_by_a_fixture") == "skipped in setup"
    assert told.of("test_expected_to_fail") == "xfailed in call"
    assert told.of("test_xfail_in_a_group") == "xfailed in call"
    assert told.text("test_fail_in_a_group").splitlines()[-1].endswith("Failed")
    assert "no good" in told.text("test_fail_in_a_group")
    assert "ExceptionGroup" in told.text("test_two_in_groups")
    assert "assert 1 == 2" in told.text("test_assertion")
    assert "creche/_pytest" not in told.text("test_assertion")


def test_what_fails_in_a_callback_of_the_loop_fails_the_test(inner: Inner) -> None:
    told = inner.run(
        test="""
        import asyncio, creche, pytest
        pytestmark = pytest.mark.creche

        @pytest.fixture(params=["asyncio", ("asyncio", {"use_uvloop": True})], ids=["stock", "uvloop"])
        def creche_backend(request):
            return request.param

        def fail(text):
            raise ValueError(text)

        async def test_callback():
            asyncio.get_running_loop().call_soon(fail, "alone")
            await creche.sleep(0.001)

        async def test_two_callbacks():
            asyncio.get_running_loop().call_soon(fail, "first")
            asyncio.get_running_loop().call_soon(fail, "second")
            await creche.sleep(0.001)

        async def test_lost_task():
            async def failing():
                fail("lost")

            asyncio.create_task(failing())
            await creche.sleep(0.001)

        async def test_own_error_first():
            asyncio.get_running_loop().call_soon(fail, "beside")
            await creche.sleep(0.001)
            assert not "its own"

        async def test_next_is_not_concerned():
            await creche.sleep(0.001)
        """
    )
    assert told.counts() == {"failed in call": 8, "passed": 2}
    assert "ValueError: alone" in told.text("test_callback[stock]")
    assert "Multiple exceptions occurred" in told.text("test_two_callbacks[stock]")
    assert "ValueError: lost" in told.text("test_lost_task[uvloop]")
    assert "its own" in told.text("test_own_error_first[stock]")
    assert "ValueError('beside')" in told.text("test_own_error_first[stock]")


def test_a_test_that_stops_the_loop_fails_and_the_rest_goes_on(inner: Inner) -> None:
    told = inner.run(
        test="""
        import asyncio, creche, pytest
        pytestmark = pytest.mark.creche

        @pytest.fixture
        def creche_backend():
            return "asyncio"

        @pytest.fixture
        async def fixture():
            yield
            await creche.sleep(0)

        async def test_stops(fixture):
            asyncio.get_running_loop().stop()
            await creche.sleep(10)

        async def test_next(fixture):
            await creche.sleep(0)
        """
    )
    assert told.of("test_stops") == "failed in call"
    assert "the event loop was stopped before" in told.text("test_stops")
    assert told.of("test_next") == "passed"


def test_marks_that_a_project_adds_after_collecting_count(either: Inner) -> None:
    either.write(
        "conftest.py",
        """
        import pytest

        def pytest_collection_modifyitems(items):
            for item in items:
                if item.name.startswith("test_late"):
                    item.add_marker(pytest.mark.creche)
        """,
    )
    told = either.run(
        test="""
        import creche, pytest

        @pytest.fixture
        async def value():
            await creche.sleep(0)
            return 7

        async def test_late(value):
            await creche.sleep(0)
            assert value == 7

        @pytest.mark.parametrize("number", [1, 2])
        async def test_late_with_numbers(number, value):
            assert number in (1, 2) and value == 7

        class TestClass:
            async def test_late_method(self):
                self.seen = True
                await creche.sleep(0)

            @staticmethod
            async def test_late_static():
                await creche.sleep(0)

        def test_late_plain():
            pass

        @pytest.mark.creche
        async def test_early():
            await creche.sleep(0)
        """
    )
    loops = ("asyncio", "trio")
    assert {name: told.of(name) for name in told.names()} == dict.fromkeys(
        [
            *(f"test_late[{loop}]" for loop in loops),
            *(f"test_late_with_numbers[{loop}-{n}]" for n in (1, 2) for loop in loops),
            *(f"TestClass::test_late_method[{loop}]" for loop in loops),
            *(f"TestClass::test_late_static[{loop}]" for loop in loops),
            "test_late_plain",
            *(f"test_early[{loop}]" for loop in loops),
        ],
        "passed",
    )
