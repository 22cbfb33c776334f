"""A resource group as a fixture: made before a test and closed after it, used by tests and their tasks."""

from __future__ import annotations

from _inner import Inner

from _harness import Backend

PROJECT = """
    from contextlib import asynccontextmanager

    import creche, pytest
    from creche.services import ResourceGroup, create_resource_group

    pytestmark = pytest.mark.creche
    log = []

    @asynccontextmanager
    async def client(name):
        # Holds a task group and a deadline open over a yield, as many clients do.
        with creche.fail_after(60):
            async with creche.create_task_group() as group:
                group.start_soon(creche.sleep_forever)
                log.append(f"open {name}")
                yield name
                log.append(f"close {name}")
                group.cancel()

    @pytest.fixture
    async def resources():
        log.clear()
        async with create_resource_group() as group:
            yield group
        assert log == ["open a", "close a"]

    @pytest.fixture
    async def hooks():
        # As frameworks do it that start and stop in hooks of their own.
        log.clear()
        group = await ResourceGroup.open()
        yield group
        await group.aclose()
        assert log == ["open a", "open b", "close b", "close a"]

    @pytest.fixture(scope="module")
    async def shared():
        async with create_resource_group() as group:
            yield group

    async def test_a_test_enters_what_its_fixture_leaves(resources):
        assert await resources.enter(client("a")) == "a"
        assert log == ["open a"]

    async def test_a_task_enters_and_another_leaves(resources):
        async with creche.create_task_group() as group:
            group.start_soon(resources.enter, client("a"))
        await resources.leave("a")
        assert log == ["open a", "close a"]

    async def test_hooks_open_and_close_in_order(hooks):
        for name in "ab":
            await hooks.enter(client(name))
        assert log == ["open a", "open b"]

    async def test_one_test_opens(shared):
        log.clear()
        assert await shared.enter(client("s")) == "s"

    async def test_another_closes(shared):
        await shared.leave("s")
        assert log == ["open s", "close s"]
"""


def test_fixtures_hold_resource_groups(either: Inner, backend: Backend) -> None:
    either.on(backend)
    told = either.run(test=PROJECT)
    assert told.counts() == {"passed": 5}, "\n".join(told.text(name) for name in told.names())
