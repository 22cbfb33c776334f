"""`virtual_clock`: tests and their fixtures in virtual time, and what it does not go with."""

from __future__ import annotations

import shlex

import pytest
from _inner import Inner

from creche.testing._tokens import Token

TOKEN = str(Token("asyncio", (), 0))


def test_a_test_and_its_fixtures_run_in_virtual_time(inner: Inner) -> None:
    told = inner.run(
        test="""
        import contextvars, time
        import creche, pytest
        from creche import testing
        from hypothesis import given, settings, strategies as st

        YEAR = 365 * 86400
        variable = contextvars.ContextVar("variable")

        @pytest.fixture
        async def pool():
            async with creche.create_task_group() as group:
                group.start_soon(creche.sleep, YEAR)
                yield creche.current_time()
                await creche.sleep(YEAR)
                assert creche.current_time() >= YEAR

        @pytest.fixture
        def plain(pool):
            token = variable.set("plain")
            yield
            variable.reset(token)

        @pytest.mark.creche
        async def test_marked(virtual_clock, plain, pool):
            began = time.monotonic()
            assert pool == creche.current_time() == 0
            assert variable.get() == "plain"
            with creche.move_on_after(5) as scope:
                await creche.sleep(YEAR)
            assert scope.cancelled_caught
            assert creche.current_time() == pytest.approx(5)
            await testing.settle()
            await creche.sleep(YEAR)
            assert time.monotonic() - began < 5

        async def test_its_name_is_mark_enough(virtual_clock):
            await creche.sleep(YEAR)

        @given(st.integers(1, 3))
        @settings(max_examples=3, database=None)
        async def test_given(virtual_clock, years):
            before = creche.current_time()
            await creche.sleep(years * YEAR)
            assert creche.current_time() == pytest.approx(before + years * YEAR)

        class TestOne:
            @pytest.fixture
            def creche_backend(self):
                return "trio"

            async def test_it(self, virtual_clock, creche_backend_name):
                await creche.sleep(YEAR)

        async def test_sleeps_for_real(creche_backend):
            assert creche.current_time() != 0
        """
    )
    assert told.counts() == {"passed": 9}


def test_the_failures_of_a_simulated_run_are_the_test_s(inner: Inner) -> None:
    told = inner.run(
        test="""
        import socket
        import creche, pytest

        @pytest.fixture
        async def pool():
            yield
            await creche.sleep(1)

        async def test_deadlock(virtual_clock, pool):
            await creche.Event().wait()

        async def test_deadlock_in_a_fixture(virtual_clock, waiting):
            pass

        @pytest.fixture
        async def waiting():
            await creche.Event().wait()

        async def test_boundary(virtual_clock):
            socket.socket()

        async def test_failure(virtual_clock, pool):
            await creche.sleep(1)
            assert False, "its own"

        async def test_skip(virtual_clock):
            pytest.skip("not today")

        async def test_next(virtual_clock, pool):
            await creche.sleep(1)
        """
    )
    for backend in ("asyncio", "trio"):
        assert told.of(f"test_deadlock[{backend}]") == "failed in call"
        text = told.text(f"test_deadlock[{backend}]")
        assert "1 task can never proceed" in text
        assert f"test_deadlock[{backend}]  waits for Event made at" in text
        assert told.of(f"test_deadlock_in_a_fixture[{backend}]") == "failed in setup"
        assert "EscapedSimulationError" in told.text(f"test_boundary[{backend}]")
        assert "its own" in told.text(f"test_failure[{backend}]")
        assert told.of(f"test_skip[{backend}]") == "skipped in call"
        assert told.of(f"test_next[{backend}]") == "passed"


def test_what_virtual_time_does_not_go_with_is_told(inner: Inner) -> None:
    told = inner.run(
        test="""
        import creche, pytest

        @pytest.fixture(scope="module")
        async def for_several():
            yield 1

        def test_plain(virtual_clock):
            pass

        @pytest.mark.creche
        async def test_before(for_several):
            pass

        async def test_with_a_higher_scope(virtual_clock, for_several):
            pass

        class TestOptions:
            @pytest.fixture
            def creche_backend(self):
                return "asyncio", {"use_uvloop": True}

            async def test_it(self, virtual_clock):
                pass
        """
    )
    assert told.of("test_before[trio]") == "passed"
    assert told.of("test_plain") == "failed in setup"
    assert "virtual_clock is for async tests" in told.text("test_plain")
    for backend in ("asyncio", "trio"):
        name = f"test_with_a_higher_scope[{backend}]"
        assert told.of(name) == "failed in setup"
        assert "the async fixture 'for_several' is made once for several" in told.text(name)
    assert told.of("TestOptions::test_it") == "failed in call"
    assert "never on uvloop" in told.text("TestOptions::test_it")


def test_virtual_time_goes_with_anyio_s_mark_too(inner: Inner) -> None:
    told = inner.run(
        "-p",
        "creche._pytest.anyio_plugin",
        test="""
        import creche, pytest

        @pytest.fixture
        async def fixture():
            await creche.sleep(10_000)

        @pytest.mark.anyio
        async def test_it(virtual_clock, fixture):
            await creche.sleep(10_000)
            assert creche.current_time() == pytest.approx(20_000)
        """,
    )
    assert told.names() == ["test_it[asyncio]", "test_it[trio]"]
    assert told.counts() == {"passed": 2}


EXPLORED = """
    import creche, pytest
    from creche import testing

    counted = []

    @testing.explore(runs=3, strategy="random", backends=["asyncio"])
    async def test_right():
        counted.append(1)
        async with creche.create_task_group() as group:
            group.start_soon(creche.sleep, 0)

    @testing.explore(runs=200, strategy="random", backends=["asyncio"])
    async def test_lost_update():
        value = 0

        async def add():
            nonlocal value
            seen = value
            await creche.sleep(0)
            value = seen + 1

        async with creche.create_task_group() as group:
            group.start_soon(add)
            group.start_soon(add)
        assert value == 2

    def test_count(pytestconfig):
        expected = pytestconfig.getoption("creche_runs") or 3
        assert len(counted) == expected

    @testing.explore
    async def test_without_parentheses():
        await creche.sleep(0)

    def test_plain():
        pass
    """


def test_explore_needs_no_parentheses(inner: Inner) -> None:
    assert inner.run("-k", "without", test=EXPLORED).counts() == {"passed": 1}


def test_the_number_of_runs_can_be_given(inner: Inner) -> None:
    assert inner.run("-k", "right or count", test=EXPLORED).counts() == {"passed": 2}
    told = inner.run("-k", "right or count", "--creche-runs=7")
    assert told.counts() == {"passed": 2}
    assert inner.run("-k", "right or count").counts() == {"passed": 2}


def test_a_token_gives_the_failing_run_again(inner: Inner) -> None:
    told = inner.run("-k", "lost", test=EXPLORED)
    assert told.of("test_lost_update") == "failed in call"
    command = told.text("test_lost_update").partition("replay with: ")[2].splitlines()[0]
    pytest_word, node, option = shlex.split(command)
    assert pytest_word == "pytest"
    assert node.endswith("::test_lost_update")
    token = option.removeprefix("--creche-replay=")
    told = inner.run("-k", "lost or without_parentheses", option)
    assert told.counts() == {"failed in call": 1}
    assert told.of("test_lost_update") == "failed in call"
    assert "replayed on asyncio" in told.text("test_lost_update")
    apart = inner.run_apart("-k", "lost", f"--creche-replay={token}")
    assert "replayed on asyncio" in apart.stdout


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ([f"--creche-replay={TOKEN}", "-k", "plain"], "none of the selected tests is under"),
        (
            [f"--creche-replay={TOKEN}-0000", "-k", "right or lost"],
            "the token belongs to a test that is not selected; name the test that printed it",
        ),
        (["--creche-replay=nonsense"], "'nonsense' is not a token of a run"),
        (["--creche-runs=0"], "--creche-runs must be 1 or more, not 0"),
    ],
)
def test_options_that_make_no_sense_are_refused(
    inner: Inner, options: list[str], words: str
) -> None:
    result = inner.run_apart(*options, test=EXPLORED)
    assert result.returncode == pytest.ExitCode.USAGE_ERROR
    assert words in result.stderr
