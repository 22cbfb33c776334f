"""Async fixtures: their scopes, order and errors, and the one task that they share with tests."""

from __future__ import annotations

from _inner import Inner

from _harness import Backend


def test_fixtures_of_all_kinds_and_scopes(either: Inner, backend: Backend) -> None:
    either.on(backend)
    told = either.run(
        test="""
        import creche, pytest
        pytestmark = pytest.mark.creche
        log = []

        @pytest.fixture(scope="session")
        async def session():
            await creche.sleep(0)
            log.append("session up")
            yield creche.get_current_task().id
            log.append("session down")

        @pytest.fixture(scope="module", autouse=True)
        async def module(session):
            await creche.sleep(0)
            log.append("module up")
            yield
            log.append("module down")

        @pytest.fixture(params=["a", "b"])
        async def parametrized(request, module):
            await creche.sleep(0)
            return request.param

        class TestClass:
            @pytest.fixture(scope="class")
            async def of_class(self, session):
                log.append("class up")
                yield "of class"
                await creche.sleep(0)
                log.append("class down")

            @pytest.fixture
            async def own(self):
                self.seen = "by the same instance"
                await creche.sleep(0)

            async def test_one(self, of_class, own, session):
                assert of_class == "of class"
                assert self.seen == "by the same instance"
                assert creche.get_current_task().id == session

            async def test_two(self, of_class, session):
                assert not hasattr(self, "seen")
                assert creche.get_current_task().id == session

        @pytest.fixture
        def plain(parametrized):
            return parametrized.upper()

        async def test_params(plain, parametrized):
            assert plain == parametrized.upper()

        def test_plain_with_async_fixtures(creche_backend, parametrized):
            assert parametrized in "ab"

        def test_order():
            assert log == ["session up", "module up", "class up", "class down"]
        """
    )
    assert told.counts() == {"passed": 7}


def test_teardown_goes_backwards_and_in_one_task(either: Inner, backend: Backend) -> None:
    either.on(backend)
    told = either.run(
        test="""
        import creche, pytest
        log = []

        @pytest.fixture
        async def first():
            task = creche.get_current_task()
            yield
            await creche.sleep(0)
            log.append("first")
            assert creche.get_current_task() == task

        @pytest.fixture
        async def second(first):
            task = creche.get_current_task()
            with creche.CancelScope() as scope:
                yield scope
            log.append("second")
            assert creche.get_current_task() == task

        @pytest.mark.creche
        async def test_it(second):
            await creche.sleep(0)

        def test_log():
            assert log == ["second", "first"]
        """
    )
    assert told.counts() == {"passed": 2}


def test_a_task_group_of_a_fixture_lives_over_the_test(either: Inner, backend: Backend) -> None:
    either.on(backend)
    told = either.run(
        test="""
        import creche, pytest
        pytestmark = pytest.mark.creche

        @pytest.fixture(scope="module")
        async def server():
            send, receive = creche.create_memory_object_stream(1)
            back, answers = creche.create_memory_object_stream(1)

            async def serve(*, task_status):
                with send, receive, back, answers:
                    task_status.started()
                    async for item in receive:
                        await back.send(item * 2)

            async with creche.create_task_group() as group:
                await group.start(serve)
                yield send, answers
                group.cancel_scope.cancel()

        @pytest.mark.parametrize("number", [1, 2, 3])
        async def test_call(server, number):
            send, answers = server
            await send.send(number)
            assert await answers.receive() == number * 2
        """
    )
    assert told.counts() == {"passed": 3}


def test_a_background_task_that_fails_ends_the_test_and_is_told(
    either: Inner, backend: Backend
) -> None:
    either.on(backend)
    told = either.run(
        test="""
        import creche, pytest
        pytestmark = pytest.mark.creche

        @pytest.fixture
        async def failing():
            async def fail():
                raise ValueError("background")

            async with creche.create_task_group() as group:
                group.start_soon(fail)
                yield

        async def test_waits(failing):
            await creche.sleep(10)

        async def test_does_not_wait(failing):
            pass

        async def test_next():
            await creche.sleep(0)
        """
    )
    assert told.of("test_waits") == "failed in call, failed in teardown"
    called = next(str(r.longrepr) for r in told.reports if r.when == "call" and r.failed)
    plugin = "JobCancelledError: cancelled from outside: by the failure of task"
    assert called.index("ValueError: background") < called.index(plugin)
    assert called.index("raise ValueError") < called.index("await creche.sleep(10)")
    assert "ValueError: background" in told.text("test_waits")
    assert told.of("test_does_not_wait") == "failed in teardown"
    assert told.of("test_next") == "passed"


def test_a_test_that_a_fixture_cancels_says_why(either: Inner, backend: Backend) -> None:
    either.on(backend)
    told = either.run(
        test="""
        import creche, pytest
        pytestmark = pytest.mark.creche

        @pytest.fixture
        async def limit():
            with creche.move_on_after(0.05):
                yield

        @pytest.fixture
        async def leader():
            async def leave():
                group.cancel("no leader")

            async with creche.create_task_group() as group:
                group.start_soon(leave)
                yield

        async def test_limited(limit):
            await creche.sleep(10)

        async def test_led(leader):
            await creche.sleep(10)
        """
    )
    assert "cancelled from outside: by the deadline of the scope" in told.text("test_limited")
    assert "no leader" in told.text("test_led")
    assert "A fixture has that" in told.text("test_led")


def test_a_simulated_test_that_a_fixture_cancels_says_why(inner: Inner) -> None:
    told = inner.run(
        test="""
        import creche, pytest

        @pytest.fixture
        async def limit(virtual_clock):
            with creche.move_on_after(5):
                yield

        @pytest.mark.creche
        async def test_virtual(limit):
            await creche.sleep(10)
        """
    )
    for loop in ("asyncio", "trio"):
        text = told.text(f"test_virtual[{loop}]")
        assert "cancelled from outside: by the deadline of the scope" in text


def test_the_loop_s_own_task_groups_work_in_fixtures(inner: Inner, backend: Backend) -> None:
    inner.on(backend)
    told = inner.run(
        test="""
        import creche, pytest
        pytestmark = pytest.mark.creche

        @pytest.fixture
        async def failing(creche_backend_name):
            async def fail():
                raise ValueError("background")

            if creche_backend_name == "asyncio":
                import asyncio
                async with asyncio.TaskGroup() as group:
                    group.create_task(fail())
                    yield
            else:
                import trio
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(fail)
                    yield

        @pytest.fixture
        async def outer():
            yield
            await creche.sleep(0.001)  # Nothing of the cancellation is left by now.

        async def test_waits(outer, failing):
            await creche.sleep(10)

        async def test_does_not_wait(outer, failing):
            pass
        """
    )
    assert told.of("test_waits") == "failed in call, failed in teardown"
    assert told.of("test_does_not_wait") == "failed in teardown"
    for name in ("test_waits", "test_does_not_wait"):
        assert "ValueError: background" in told.text(name)


def test_context_variables_are_seen_by_all_that_comes_after(
    either: Inner, backend: Backend
) -> None:
    either.on(backend)
    told = either.run(
        test="""
        import contextvars, creche, pytest
        from hypothesis import given, settings, strategies as st
        pytestmark = pytest.mark.creche
        one = contextvars.ContextVar("one")
        two = contextvars.ContextVar("two")

        @pytest.fixture
        async def by_async():
            token = one.set("async")
            yield
            assert two.get("reset already") == "reset already"
            one.reset(token)

        @pytest.fixture
        def by_plain(by_async):
            assert one.get() == "async"
            token = two.set("plain")
            yield
            two.reset(token)

        @pytest.fixture
        async def by_coroutine(by_plain):
            assert (one.get(), two.get()) == ("async", "plain")
            one.set("coroutine")

        async def test_async(by_coroutine):
            assert (one.get(), two.get()) == ("coroutine", "plain")

        def test_plain(creche_backend, by_plain):
            assert (one.get(), two.get()) == ("async", "plain")

        @given(st.integers())
        @settings(max_examples=3, database=None)
        async def test_given(by_plain, number):
            assert (one.get(), two.get()) == ("async", "plain")

        async def test_nothing_is_left():
            assert one.get(None) is two.get(None) is None

        def test_nothing_is_left_here():
            assert one.get(None) is two.get(None) is None
        """
    )
    assert told.counts() == {"passed": 5}


def test_errors_of_fixtures_come_out_where_they_belong(either: Inner, backend: Backend) -> None:
    either.on(backend)
    told = either.run(
        test="""
        import creche, pytest
        pytestmark = pytest.mark.creche
        log = []

        @pytest.fixture
        async def below():
            yield
            log.append("below")

        @pytest.fixture
        async def fails_in_setup(below):
            await creche.sleep(0)
            raise RuntimeError("setup")
            yield

        @pytest.fixture
        async def fails_in_teardown(below):
            yield
            await creche.sleep(0)
            raise RuntimeError("teardown")

        @pytest.fixture
        async def yields_twice(below):
            yield 1
            yield 2

        @pytest.fixture
        async def yields_never(below):
            if False:
                yield

        async def test_setup(fails_in_setup):
            pass

        async def test_teardown(fails_in_teardown):
            pass

        async def test_twice(yields_twice):
            pass

        async def test_never(yields_never):
            pass

        def test_log():
            assert log == ["below"] * 4
        """
    )
    assert told.of("test_setup") == "failed in setup"
    assert told.of("test_teardown") == "failed in teardown"
    assert told.of("test_twice") == "failed in teardown"
    assert "did not stop: it must yield only once" in told.text("test_twice")
    assert told.of("test_never") == "failed in setup"
    assert "did not yield" in told.text("test_never")
    assert told.of("test_log") == "passed"


def test_fixtures_are_made_anew_for_the_next_backend(either: Inner) -> None:
    told = either.run(
        test="""
        import creche, pytest
        pytestmark = pytest.mark.creche

        @pytest.fixture(scope="module", autouse=True)
        async def loop():
            yield creche.lowlevel.current_token()
            await creche.sleep(0)

        @pytest.mark.parametrize("number", [1, 2])
        async def test_loop(loop, number):
            await creche.sleep(0)
            assert loop == creche.lowlevel.current_token()
        """
    )
    assert told.counts() == {"passed": 4}


def test_a_fixture_that_outlives_its_backend_is_a_clear_error(either: Inner) -> None:
    told = either.run(
        test="""
        import pytest
        pytestmark = pytest.mark.creche

        @pytest.fixture(scope="session")
        async def session():
            return 1

        async def test_it(session):
            pass
        """
    )
    assert told.counts() == {"failed in setup": 2}
    assert "ScopeMismatch" in told.text("test_it[asyncio]")


def test_an_async_fixture_cannot_be_asked_for_inside_the_loop(
    either: Inner, backend: Backend
) -> None:
    either.on(backend)
    told = either.run(
        test="""
        import pytest
        pytestmark = pytest.mark.creche

        @pytest.fixture
        async def fixture():
            return 1

        @pytest.fixture
        def by_hand(request):
            return request.getfixturevalue("fixture")

        async def test_by_hand(by_hand):
            assert by_hand == 1

        async def test_inside(request):
            request.getfixturevalue("fixture")
        """
    )
    assert told.of("test_by_hand") == "passed"
    assert told.of("test_inside") == "failed in call"
    assert "name an async fixture as an argument" in told.text("test_inside")


def test_other_loops_run_while_a_fixture_is_alive(inner: Inner, backend: Backend) -> None:
    inner.on(backend)
    told = inner.run(
        test="""
        import asyncio, signal, sys
        import creche, pytest
        from creche.lowlevel import current_token

        @pytest.fixture(scope="module")
        async def alive():
            async with creche.create_task_group() as group:
                group.start_soon(creche.sleep_forever)
                yield
                group.cancel_scope.cancel()

        @pytest.mark.creche
        async def test_async(alive):
            await creche.sleep(0.001)

        async def main():
            await creche.sleep(0.001)
            return "done"

        def test_plain(alive, creche_backend):
            assert sys.get_asyncgen_hooks() == (None, None)
            assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
            assert signal.set_wakeup_fd(-1) == -1
            with pytest.raises(creche.NoEventLoopError):
                current_token()
            assert creche.run(main) == "done"
            assert creche.run(main, backend="trio") == "done"
            assert asyncio.run(main()) == "done"

        @pytest.mark.creche
        async def test_async_again(alive):
            await creche.sleep(0.001)
        """
    )
    assert told.counts() == {"passed": 3}


def test_ports_are_free_and_never_the_same(either: Inner) -> None:
    told = either.run(
        test="""
        import socket

        V4 = (socket.AF_INET, "127.0.0.1")
        V6 = (socket.AF_INET6, "::1")

        def has_ipv6():
            try:
                bind(*V6, socket.SOCK_STREAM, 0)
            except OSError:
                return False
            return True

        def bind(family, host, kind, port):
            with socket.socket(family, kind) as sock:
                sock.bind((host, port))

        def test_ports(free_tcp_port_factory, free_udp_port_factory, free_tcp_port, free_udp_port):
            both = [V4, V6] if has_ipv6() else [V4]
            asked = [(both, [])] * 20 + [([here], [here[0]]) for here in both]
            for factory, port, kind in (
                (free_tcp_port_factory, free_tcp_port, socket.SOCK_STREAM),
                (free_udp_port_factory, free_udp_port, socket.SOCK_DGRAM),
            ):
                assert factory.kind == kind
                given = {port}
                for places, family in asked:
                    number = factory(*family)
                    for place in places:  # At once, before anybody else on the machine takes it.
                        bind(*place, kind, number)
                    assert number not in given
                    given.add(number)
        """
    )
    assert told.counts() == {"passed": 1}
