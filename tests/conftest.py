"""Runs every test on every backend, and fails the test that leaves something behind.

Owns: the parametrisation by backend (an ``async def test_*`` or a test that asks for `backend`),
how an async test is run (``creche.run``), the checks around a test, its safety timeout, and the
profiles of hypothesis. Knows nothing about what is tested. Needs no plug-in; if pytest finds
AnyIO's, ``-p no:anyio`` keeps it out.

Markers: ``@pytest.mark.backends("asyncio", ...)`` names the only backends that a test is for,
``@pytest.mark.time_limit(seconds)`` replaces the safety timeout. Options: ``--backend NAME``,
``--hypothesis-profile=soak``.
"""

from __future__ import annotations

import faulthandler
import functools
import os
import signal
import warnings
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, nullcontext
from inspect import iscoroutinefunction
from itertools import count
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis.strategies import none

from _harness import BACKENDS, EVERY, Backend
from _harness._leaks import LoopReports, Snapshot, other_tasks, settle, sweep, tasks_left_since

SAFETY_TIMEOUT = 60.0
ON_THE_TOY = {"sync", "tasks", "test_memory", "test_memory_ends", "test_memory_invariants"}
"""Folders and files whose tests run on the third kernel too: what stands on the contract alone."""

settings.register_profile("creche", max_examples=50, deadline=None, print_blob=True)
settings.register_profile("soak", max_examples=2000, deadline=None, print_blob=True)
settings.load_profile("creche")
with warnings.catch_warnings():
    # Once in a process, and on Python 3.15 for no reason, hypothesis warns of how it keeps its randomness.
    warnings.simplefilter("ignore")
    given(none())(lambda nothing: None)()

loop_reports_key = pytest.StashKey[LoopReports]()
stderr_key = pytest.StashKey[int]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--backend", choices=list(EVERY), help="run the tests on this backend only")


def hear_signals_again() -> None:
    """Take signals that a shell in the background, or nohup, has had ignored: programs of tests inherit that."""
    for name, handler in (
        ("SIGINT", signal.default_int_handler),
        ("SIGQUIT", signal.SIG_DFL),
        ("SIGHUP", signal.SIG_DFL),
    ):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, handler)


def pytest_configure(config: pytest.Config) -> None:
    hear_signals_again()
    config.addinivalue_line("markers", "backends(*names): the only backends this test is for")
    config.addinivalue_line("markers", "time_limit(seconds): the safety timeout of this test")
    config.addinivalue_line("markers", "ipv6: for machines that have IPv6 (see net/conftest.py)")
    if not config.getini("filterwarnings"):
        config.addinivalue_line("filterwarnings", "error")
    reports = config.stash[loop_reports_key] = LoopReports()
    reports.install()
    # Output is captured while a test runs; a traceback at the timeout goes where pytest writes.
    config.stash[stderr_key] = os.dup(2)


def pytest_unconfigure(config: pytest.Config) -> None:
    os.close(config.stash[stderr_key])


def pytest_report_header() -> str:
    missing = [backend.name for backend in BACKENDS.values() if not backend.installed]
    present = [name for name in BACKENDS if name not in missing]
    return f"backends: {', '.join(present)}" + (f"; missing: {', '.join(missing)}" * bool(missing))


# Which tests run, and on what


def _coroutine_function(obj: object) -> bool:
    """Whether pytest found an async test, be it plain or under hypothesis' `given`."""
    inner = getattr(getattr(obj, "hypothesis", None), "inner_test", obj)
    return iscoroutinefunction(inner)


@pytest.hookimpl(tryfirst=True)
def pytest_pycollect_makeitem(collector: pytest.Collector, name: str, obj: object) -> None:
    if not isinstance(collector, pytest.Module | pytest.Class):
        return
    if collector.istestfunction(obj, name) and _coroutine_function(obj):
        pytest.mark.usefixtures("backend")(obj)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "backend" in metafunc.fixturenames:
        marker = metafunc.definition.get_closest_marker("backends")
        names = marker.args if marker else _ordinary_backends(metafunc)
        metafunc.parametrize("backend", [pytest.param(EVERY[name], id=name) for name in names])


def _ordinary_backends(metafunc: pytest.Metafunc) -> list[str]:
    """Return the backends of a test that names none.

    One that is no ordinary one has a test if it is chosen, the third kernel also for primitives.
    """
    more = {metafunc.config.getoption("--backend")}
    path = metafunc.definition.path
    if path.parent.name in ON_THE_TOY or path.stem in ON_THE_TOY:
        more.add("toy")
    return [*BACKENDS, *(more & (EVERY.keys() - BACKENDS.keys()))]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    chosen = config.getoption("--backend")

    def wanted(item: pytest.Item) -> bool:
        backend = _backend_of(item)
        if backend is None:
            return True
        return backend.installed and chosen in (None, backend.name)

    unwanted = [item for item in items if not wanted(item)]
    if unwanted:
        config.hook.pytest_deselected(items=unwanted)
        items[:] = [item for item in items if wanted(item)]


def _backend_of(item: pytest.Item) -> Backend | None:
    callspec = getattr(item, "callspec", None)
    return callspec.params.get("backend") if callspec else None


@pytest.fixture
def loop_reports(request: pytest.FixtureRequest) -> LoopReports:
    """What the loops log as errors; a test that asks for it expects some, and is to look."""
    return request.config.stash[loop_reports_key]


# How a test runs


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool:
    backend = _backend_of(pyfuncitem)
    registered = backend.present() if backend is not None else nullcontext()
    with _limited_in_time(pyfuncitem), _left_clean(pyfuncitem), registered:
        names = pyfuncitem._fixtureinfo.argnames
        result = _runnable(pyfuncitem)(**{name: pyfuncitem.funcargs[name] for name in names})
        assert result is None, "a test that returns something may have meant to assert it"
    return True


def _runnable(pyfuncitem: pytest.Function) -> Any:
    """Return the test as something to be called: an async one becomes a run on its backend."""
    test, backend = pyfuncitem.obj, _backend_of(pyfuncitem)
    if backend is None or not _coroutine_function(test):
        return test
    if not hasattr(test, "hypothesis"):
        return _run_of(test, backend)
    # Each example is a run of its own. The wrapped test is shared by the backends: unwrap first.
    inner = test.hypothesis.inner_test
    test.hypothesis.inner_test = _run_of(getattr(inner, "async_test", inner), backend)
    return test


def _run_of(test: Callable[..., Coroutine[Any, Any, object]], backend: Backend) -> Any:
    @functools.wraps(test)
    def run(*args: Any, **kwargs: Any) -> object:
        return backend.run(_watched, backend, functools.partial(test, *args, **kwargs))

    run.async_test = test  # type: ignore[attr-defined]
    return run


async def _watched(backend: Backend, test: Callable[[], Coroutine[Any, Any, object]]) -> object:
    if backend.kernel != "asyncio":
        return await test()
    before = other_tasks()
    result = await test()
    left = await tasks_left_since(before)
    if left:
        pytest.fail("\n".join(left), pytrace=False)
    return result


# What is checked around a test


def pytest_sessionstart() -> None:
    """Let each loop open once what it keeps for the life of the process."""
    for backend in BACKENDS.values():
        if backend.installed:
            backend.run(_nothing)


async def _nothing() -> None:
    pass


def pytest_collection_finish() -> None:
    settle()


finished_tests = count(1)


def pytest_runtest_logfinish() -> None:
    """Settle again from time to time: what pytest and hypothesis keep would slow each sweep down."""
    if next(finished_tests) % 100 == 0:
        settle()


@contextmanager
def _left_clean(pyfuncitem: pytest.Function) -> Iterator[None]:
    reports = pyfuncitem.config.stash[loop_reports_key]
    reports.records.clear()
    before = Snapshot.take()
    yield
    sweep()
    problems = before.leaks()
    if "loop_reports" not in pyfuncitem.fixturenames:
        problems += reports.take()
    if problems:
        pytest.fail("\n".join(problems), pytrace=False)


@contextmanager
def _limited_in_time(pyfuncitem: pytest.Function) -> Iterator[None]:
    """End the whole run, showing where every thread is: nothing milder stops a loop that hangs."""
    marker = pyfuncitem.get_closest_marker("time_limit")
    seconds = marker.args[0] if marker else SAFETY_TIMEOUT
    faulthandler.dump_traceback_later(seconds, exit=True, file=pyfuncitem.config.stash[stderr_key])
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()
