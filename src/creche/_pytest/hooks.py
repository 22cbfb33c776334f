"""`Hooks`: pytest's hooks, for one set of names: `creche_backend`, `@pytest.mark.creche`, or AnyIO's.

Two sets may be there at once. A test belongs to the first that takes it: by its mark, or in auto mode if
no mark says whose it is. The other set then sees a plain function.

    collecting    an async test that is ours asks for our backend fixture
    then          one that is marked as ours only now is collected again
    at the end    the backend fixture comes first, so that all others follow its parameters
    fixtures      an async one of a test that has our backend fixture becomes a plain generator
    running       the bridge of an async test that has it gets a runner
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import AbstractContextManager
from functools import partial, wraps
from typing import TYPE_CHECKING, Any

import pytest

from .._registry import KERNELS
from . import advice
from .bridges import bridge_of, is_async
from .hangs import watched
from .late_marks import take_late
from .leases import extract_backend_and_options, get_runner, virtual_runner

if TYPE_CHECKING:
    from .runner import JobRunner

MODES = ("strict", "auto")
OTHERS = tuple(record.test_plugin for record in KERNELS.values() if record.test_plugin)
"""Other plugins that would take our async tests, and their marks."""

in_force = pytest.StashKey[list["Hooks"]]()
"""Those that pytest has configured, in that order."""


class Hooks:
    """The plugin under the names that begin with a prefix."""

    def __init__(self, prefix: str) -> None:
        self.mark = prefix
        self.backend = f"{prefix}_backend"
        self.mode = f"{prefix}_mode"

    # Options

    def pytest_addoption(self, parser: pytest.Parser) -> None:
        told = "auto: it runs all async tests; strict: only those under its mark"
        group = parser.getgroup(self.mark)
        group.addoption(
            f"--{self.mark}-mode", dest=self.mode, metavar="MODE", choices=MODES, help=told
        )
        parser.addini(self.mode, f"mode of the {self.mark} plugin. {told}", default="strict")

    def pytest_configure(self, config: pytest.Config) -> None:
        config.addinivalue_line(
            "markers",
            f"{self.mark}: run this async test on each {self.backend}, by Creche's plugin",
        )
        self._is_auto(config)  # A mode that does not exist is reported before anything runs.
        config.stash.setdefault(in_force, []).append(self)
        if self._is_auto(config) and self.mark == "creche":
            advice.warn_of_two(config, self.mode, OTHERS)

    def _is_auto(self, config: pytest.Config) -> bool:
        mode: str = config.getoption(self.mode) or config.getini(self.mode)
        if mode not in MODES:
            raise pytest.UsageError(
                f"{self.mode} must be one of {', '.join(MODES)}, not {mode!r}: see the ini file"
            )
        return mode == "auto"

    # Collecting. The innermost wrapper, so that no other plugin has seen the items before.

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_pycollect_makeitem(
        self, collector: pytest.Collector, name: str, obj: object
    ) -> Generator[None, Any, Any]:
        function = getattr(obj, "__func__", obj)  # of a static method or a class method
        if self.mark == "creche":
            advice.check_mark(collector, name, self.mark, _marks(function))
        if (
            isinstance(collector, pytest.Module | pytest.Class)
            and is_async(function)
            and collector.istestfunction(obj, name)
            and self._takes(collector, function)
        ):
            pytest.mark.usefixtures(self.backend)(function)
        made: Any = yield
        if any(f"pytest_{other}.plugin" in sys.modules for other in OTHERS):
            for item in made if isinstance(made, Sequence) else [made]:
                if isinstance(item, pytest.Function) and self.backend in item.fixturenames:
                    bridge_of(item)
        return made

    def _takes(self, collector: pytest.Collector, function: object) -> bool:
        marks = {mark.name for mark in (*collector.iter_markers(), *_marks(function))}
        sets = collector.config.stash[in_force]
        if self.mark in marks:
            return True
        if marks & {*OTHERS, "anyio", *(other.mark for other in sets)}:
            return False
        if any(other.backend in _arguments(function) for other in sets):
            return False  # It belongs to the plugin whose fixture it asks for.
        first = next((other for other in sets if other._is_auto(collector.config)), None)
        return first is self or (first is None and "virtual_clock" in _arguments(function))

    @pytest.hookimpl(wrapper=True, tryfirst=True)  # so that all others have run before
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> Generator[None, Any, Any]:
        result: Any = yield
        take_late(items, self.mark, self.backend)
        return result

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        for item in session.items:
            if self.mark == "creche" and not is_async(getattr(item, "obj", None)):
                advice.check_is_async(item, self.mark)
            names: list[str] = getattr(item, "fixturenames", [])
            if self.backend in names and names[0] != self.backend:
                names.remove(self.backend)
                names.insert(0, self.backend)

    # Fixtures and tests. The outermost wrappers, so that the others meet plain functions.

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_fixture_setup(
        self, fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest
    ) -> Generator[None, Any, Any]:
        __tracebackhide__ = True
        function: Any = fixturedef.func
        if not _is_async_fixture(function) or self.backend not in request.fixturenames:
            return (yield)
        definition: Any = fixturedef  # Its `func` is final, to type checkers.
        definition.func = self._plain(fixturedef, request)
        try:
            return (yield)
        finally:
            definition.func = function

    def _plain(
        self, fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest
    ) -> Callable[..., Iterator[Any]]:
        """Return a generator function that does for pytest what the async fixture does.

        Every error is raised inside it, so that pytest handles a failed fixture properly.
        """
        function = _bound(fixturedef.func, request)

        @wraps(function)
        def fixture(**kwargs: Any) -> Iterator[Any]:
            __tracebackhide__ = True
            text = ""
            backend: Any = None
            try:
                backend = request.getfixturevalue(self.backend)
            except pytest.fail.Exception as exc:
                if "ScopeMismatch" not in str(exc):
                    raise
                scope = request.scope
                text = advice.wrong_scope(exc, request.fixturename, scope, self.backend)
            if text:
                pytest.fail(text, pytrace=False)
            if request.scope != "function":
                # With another backend this fixture must be made anew.
                definition: Any = request
                definition._get_active_fixturedef(self.backend).addfinalizer(
                    partial(fixturedef.finish, request=definition)
                )
            with self._runner(backend, request) as runner:
                if inspect.isasyncgenfunction(function):
                    yield from runner.run_asyncgen_fixture(function, kwargs)
                else:
                    yield runner.run_fixture(function, kwargs)

        return fixture

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_pyfunc_call(self, pyfuncitem: pytest.Function) -> Generator[None, Any, Any]:
        __tracebackhide__ = True
        if self.backend not in pyfuncitem.funcargs:
            return (yield from self._by_others())
        bridge = bridge_of(pyfuncitem)
        if bridge is None or bridge.runner is not None:
            return (yield)
        item: Any = pyfuncitem  # It has a request, which pytest does not publish.
        with self._runner(pyfuncitem.funcargs[self.backend], item._request) as runner:
            bridge.runner = runner
            try:
                with watched(pyfuncitem, runner):
                    return (yield)
            finally:
                bridge.runner = None

    def _by_others(self) -> Generator[None, Any, Any]:
        __tracebackhide__ = True
        try:
            return (yield)
        except pytest.fail.Exception as exc:
            if self.mark != "creche" or not str(exc).startswith(advice.NO_PLUGIN):
                raise
            text = advice.not_taken(exc, self.mark)
        pytest.fail(text, pytrace=False)

    def _runner(
        self, backend: object, request: pytest.FixtureRequest
    ) -> AbstractContextManager[JobRunner]:
        __tracebackhide__ = True
        name, options = extract_backend_and_options(backend, self.backend)
        advice.check_backend(name)
        if "virtual_clock" not in request.fixturenames:
            return get_runner(name, options)
        if request.scope != "function":
            raise pytest.UsageError(_mixed(request.fixturename))
        if options:
            raise ValueError(
                f"virtual_clock goes with {self.backend} {name!r} and no options, not {options!r}: "
                f"a simulated run is on a loop of its own, and never on uvloop"
            )
        return virtual_runner(name, request.node, request.node.name)


def check_virtual(request: pytest.FixtureRequest) -> None:
    """Check that a test which asks for `virtual_clock` can have it.

    :raises pytest.UsageError: the test is not async, or not ours, or has async fixtures of a higher scope
    """
    __tracebackhide__ = True
    item: Any = request.node
    ours = any(each.backend in item.fixturenames for each in request.config.stash[in_force])
    if not ours or not is_async(item.obj):
        raise pytest.UsageError(
            f"virtual_clock is for async tests that Creche runs: make {item.name} one, and mark it "
            f"with @pytest.mark.creche. A test under @creche.testing.explore or virtual_time has "
            f"virtual time without it"
        )
    for name, definitions in item._fixtureinfo.name2fixturedefs.items():
        if definitions[-1].scope != "function" and _is_async_fixture(definitions[-1].func):
            raise pytest.UsageError(_mixed(name))


def _mixed(name: str | None) -> str:
    return (
        f"virtual_clock gives a test a simulated run of its own, and the async fixture {name!r} is "
        f"made once for several tests: give it scope='function', or do without virtual_clock"
    )


def _is_async_fixture(function: Any) -> bool:
    if not (inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function)):
        return False
    # Those of @pytest_asyncio.fixture and @pytest_trio.trio_fixture ask for their own plugins.
    return not any(hasattr(function, f"_force_{other}_fixture") for other in OTHERS)


def _bound(function: Any, request: pytest.FixtureRequest) -> Callable[..., Any]:
    """Return a fixture function that is a method bound to the instance of the running test."""
    holder, instance = getattr(function, "__self__", None), request.instance
    if instance is not None and holder is not None and isinstance(instance, type(holder)):
        bound: Callable[..., Any] = function.__func__.__get__(instance)
        return bound
    own: Callable[..., Any] = function
    return own


def _marks(function: object) -> Sequence[pytest.Mark]:
    marks: Any = getattr(function, "pytestmark", [])
    found: Sequence[pytest.Mark] = marks if hasattr(marks, "__iter__") else [marks]
    return found


def _arguments(function: Any) -> Sequence[str]:
    """Return the names of a test's arguments, those of `usefixtures` too."""
    used = [name for mark in _marks(function) if mark.name == "usefixtures" for name in mark.args]
    return [*inspect.signature(function).parameters, *used]
