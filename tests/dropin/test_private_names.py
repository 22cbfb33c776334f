"""Private names of AnyIO: those of the table work as their libraries use them, all others say why not."""

from __future__ import annotations

import pytest
from _dropin_pythons import Python

from _harness import Backend
from creche import create_task_group, get_cancelled_exc_class, to_thread
from creche._dropin import backend as room
from creche._dropin.private import TABLE, is_private
from creche._exceptions import NoEventLoopError

ON = {"CRECHE_AS_ANYIO": "1"}
NAMES = [(f"anyio.{module}", name) for module, names in TABLE.items() for name in names]


def test_every_name_of_the_table_can_be_imported_in_every_way(python: Python) -> None:
    program = f"""
        import importlib, sys
        for module, name in {NAMES!r}:
            assert module in sys.modules
            whole = importlib.import_module(module)
            namespace = {{}}
            exec(f"from {{module}} import {{name}} as it; import {{module}}", namespace)
            assert namespace["it"] is getattr(whole, name)
            assert eval(f"{{module}}.{{name}}", namespace) is namespace["it"]
            assert name in dir(whole)
            assert importlib.util.find_spec(module).name == module
    """
    python.run(program, **ON)


def test_modules_that_libraries_import_for_their_effect_are_there(python: Python) -> None:
    python.run("import anyio._backends._asyncio, anyio._backends._trio", **ON)


OTHERS = [
    ("import anyio._core._sockets", "'anyio._core._sockets'"),
    ("from anyio._core._sockets import x", "'anyio._core._sockets'"),
    ("import anyio._private", "'anyio._private'"),
    ("import anyio.streams._private", "'anyio.streams._private'"),
    ("from anyio._core._eventloop import claim", "'claim' from 'anyio._core._eventloop'"),
    ("from anyio._core import _synchronization", "'_synchronization' from 'anyio._core'"),
    ("from anyio._backends._trio import Pool", "'Pool' from 'anyio._backends._trio'"),
]


def test_any_other_private_name_is_an_import_error_that_tells_what_to_do(python: Python) -> None:
    program = f"""
        for statement, name in {OTHERS!r}:
            try:
                exec(statement)
            except ImportError as exc:
                said = str(exc)
            assert name in said, said
            assert "private to AnyIO" in said, said
            assert "Use the public names, or run this program without the drop-in" in said, said
            del said
    """
    python.run(program, **ON)


def test_a_private_name_that_is_only_looked_for_is_an_attribute_error(python: Python) -> None:
    program = """
        import anyio._core._eventloop as room, anyio._core, anyio.abc
        assert not hasattr(room, "claim_worker_thread")
        assert not hasattr(room, "__wrapped__")
        assert not hasattr(anyio._core, "_sockets")
        assert not hasattr(anyio.abc, "AsyncBackend")
        assert not hasattr(anyio.abc, "Nothing")
        assert getattr(room, "claim_worker_thread", 5) == 5
    """
    python.run(program, **ON)


def test_the_backend_class_of_abc_is_refused_in_words(python: Python) -> None:
    done = python.start("-c", "from anyio.abc import AsyncBackend", **ON)
    assert (
        "cannot import name 'AsyncBackend' from 'anyio.abc': Creche has no backend" in done.stderr
    )


def test_a_public_name_that_is_missing_is_missing_in_the_usual_words(python: Python) -> None:
    done = python.start("-c", "from anyio.abc import Nothing", **ON)
    assert "ImportError: cannot import name 'Nothing' from 'creche.abc' (" in done.stderr


@pytest.mark.parametrize(
    ("name", "private"),
    [("anyio.abc", False), ("anyio.__main__", False), ("anyio._x", True), ("anyio.a._b", True)],
)
def test_what_is_private_is_told_by_its_parts(name: str, private: bool) -> None:
    assert is_private(name) is private


# ── What the names do ────────────────────────────────────────────────────────────────────────────


async def test_only_worker_threads_have_a_current_token(backend: Backend) -> None:
    def look() -> object:
        return getattr(room.threadlocals, "current_token", None)

    assert look() is None
    token = await to_thread.run_sync(look)
    assert token is not None
    assert look() is None
    found = await to_thread.run_sync(lambda: room.threadlocals.current_async_backend)
    assert found == room.get_async_backend()
    assert getattr(room.threadlocals, "current_async_module", None) is None


async def test_a_group_of_a_backend_derives_together_with_one_of_abc(backend: Backend) -> None:
    from creche.abc import TaskGroup

    class Own(TaskGroup):  # as asyncer does it
        def soonify(self) -> str:
            return "soon"

    class Extended(room.TaskGroup, Own):
        pass

    ran: list[int] = []

    async def work(number: int) -> None:
        ran.append(number)

    async with Extended() as group:
        assert group.soonify() == "soon"
        group.start_soon(work, 1)
    assert ran == [1]


async def test_the_backend_is_that_of_the_loop_and_has_the_public_functions(
    backend: Backend,
) -> None:
    found = room.get_async_backend()
    assert found.name == room.current_async_library() == backend.kernel
    assert found == room.get_async_backend(backend.kernel)
    assert hash(found) == hash(room.get_async_backend(backend.kernel))
    assert found.cancelled_exception_class() is get_cancelled_exc_class()
    with found.create_cancel_scope(deadline=found.current_time() - 1) as scope:
        await found.checkpoint()
    assert scope.cancelled_caught
    assert found.create_task_group is create_task_group
    assert backend.kernel in repr(found)
    for method in (*room.METHODS, *room.RENAMED):
        assert callable(getattr(found, method))
        assert method in dir(found)
    with pytest.raises(AttributeError, match="'connect_tcp': Creche, which stands in for AnyIO"):
        found.connect_tcp


def test_outside_of_loops_there_is_no_backend() -> None:
    assert room.current_async_library() is None
    with pytest.raises(NoEventLoopError):
        room.get_async_backend()
    with pytest.raises(
        LookupError, match=r"No such backend: curio\. Known backends: asyncio, uvloop, trio"
    ):
        room.get_async_backend("curio")
    assert room.get_async_backend("trio").name == "trio"
