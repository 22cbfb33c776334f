"""The modules are Creche's own, under both names, from the start, however they are looked at."""

from __future__ import annotations

import pytest
from _dropin_pythons import Python

from _harness import Backend, on_each_kernel
from creche._dropin.modules import MODULES

ON = {"CRECHE_AS_ANYIO": "1"}
ALL = ", ".join(f"anyio.{name}" for name in MODULES)


def test_every_public_module_is_there_from_the_start_under_both_names(python: Python) -> None:
    program = f"""
        import sys
        for name in {MODULES!r}:
            assert sys.modules[f"anyio.{{name}}"] is sys.modules[f"creche.{{name}}"], name
        assert sys.modules["anyio"] is sys.modules["creche"]
    """
    python.run(program, **ON)


def test_starting_loads_no_event_loop_and_nothing_else_that_takes_time(python: Python) -> None:
    program = """
        import sys
        heavy = {"asyncio", "trio", "uvloop", "ssl", "socket", "subprocess", "threading", "pytest",
                 "inspect", "logging", "importlib.metadata", "creche._kernel"}
        print(sorted(heavy & sys.modules.keys()))
    """
    assert python.run(program, **ON) == "[]"


def test_every_module_can_be_used_by_its_whole_name(python: Python) -> None:
    program = f"""
        import {ALL}
        for name in {MODULES!r}:
            thing = anyio
            for part in name.split("."):
                thing = getattr(thing, part)
            __import__(f"creche.{{name}}")
            assert type(thing).__name__ == "module", name
            assert thing.__name__ == thing.__spec__.name == f"creche.{{name}}"
        assert anyio.streams.memory.MemoryObjectSendStream is (
            __import__("creche.streams.memory").streams.memory.MemoryObjectSendStream)
    """
    python.run(program, **ON)


@pytest.mark.parametrize("order", ["anyio.abc, creche.abc", "creche.abc, anyio.abc"])
def test_a_module_is_loaded_once_whichever_name_comes_first(python: Python, order: str) -> None:
    program = f"""
        import {order}, sys
        files = [vars(m).get("__file__") for m in {{*sys.modules.values()}} if hasattr(m, "__dict__")]
        print(files.count(creche.abc.__file__), anyio.abc is creche.abc)
    """
    assert python.run(program, **ON) == "1 True"


def test_modules_that_creche_had_loaded_before_are_the_same_too(python: Python) -> None:
    program = """
        import warnings
        import creche.abc, creche.streams.memory
        before = creche.abc, creche.streams.memory
        import creche.as_anyio, anyio.abc, anyio.streams.memory
        assert (anyio.abc, anyio.streams.memory) == before
        warnings.simplefilter("ignore")
        from anyio.abc import Lock
        assert Lock is anyio.Lock
    """
    python.run(program)


def test_reload_loads_the_same_module_again(python: Python) -> None:
    program = """
        import importlib, anyio, anyio.abc, anyio.streams.text
        for module in (anyio, anyio.abc, anyio.streams.text):
            assert importlib.reload(module) is module
        import creche
        assert anyio is creche and anyio.abc is creche.abc
    """
    python.run(program, **ON)


def test_specs_are_found_where_there_is_a_module_and_not_elsewhere(python: Python) -> None:
    program = """
        from importlib.util import find_spec
        from importlib import import_module
        assert find_spec("anyio").origin == import_module("creche").__file__
        assert find_spec("anyio.streams.memory").name == "creche.streams.memory"
        assert find_spec("anyio.nothing") is None
        assert find_spec("anyio.streams.nothing") is None
        assert find_spec("anyioneer") is None
        assert import_module(".memory", "anyio.streams") is import_module("creche.streams.memory")
    """
    python.run(program, **ON)


def test_a_module_that_does_not_exist_is_missing_in_the_usual_words(python: Python) -> None:
    done = python.start("-c", "import anyio.nothing", **ON)
    assert done.stderr.splitlines()[-1] == "ModuleNotFoundError: No module named 'anyio.nothing'"


def test_all_of_it_can_be_walked(python: Python) -> None:
    program = """
        import anyio, inspect, pkgutil, sys
        names = [each.name for each in pkgutil.walk_packages(anyio.__path__, "anyio.")]
        assert "anyio.streams.memory" in names
        for name in names:
            if name in sys.modules:
                assert sys.modules[name] is sys.modules["creche" + name[5:]], name
        assert inspect.getmodule(anyio.abc.TaskGroup).__name__.startswith("creche")
    """
    python.run(program, **ON)


def test_pickles_are_read_by_either_name_and_written_with_creches(python: Python) -> None:
    program = """
        import pickle, anyio, creche
        assert pickle.loads(b"canyio\\nEndOfStream\\n.") is creche.EndOfStream
        assert pickle.loads(b"ccreche\\nEndOfStream\\n.") is creche.EndOfStream
        assert pickle.loads(b"canyio.streams.memory\\nMemoryObjectSendStream\\n.")
        for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
            data = pickle.dumps(anyio.EndOfStream, protocol)
            assert b"anyio" not in data and pickle.loads(data) is creche.EndOfStream
    """
    python.run(program, **ON)


def test_modules_that_were_taken_out_come_back_as_the_same(python: Python) -> None:
    program = f"""
        import {ALL}, sys, anyio._core._eventloop
        before = {{n: m for n, m in sys.modules.items() if n.partition(".")[0] == "anyio"}}
        for name in before:
            del sys.modules[name]
        import importlib
        for name, module in before.items():
            assert importlib.import_module(name) is module, name
        for name in {MODULES!r}:
            assert sys.modules[f"creche.{{name}}"].__spec__.name == f"creche.{{name}}"
        importlib.reload(sys.modules["anyio.abc"])
    """
    python.run(program, **ON)


def test_those_who_look_through_all_modules_load_none(python: Python) -> None:
    program = """
        import sys
        before = {*sys.modules}
        for module in list(sys.modules.values()):
            for name in ("__file__", "__name__", "__doc__", "__dict__", "__warningregistry__"):
                getattr(module, name, None)
            isinstance(module, type(sys))
        print([name for name in {*sys.modules} - before if name.startswith("creche")])
        assert all(vars(sys.modules[f"anyio.{name}"])["__file__"] for name in ("abc", "streams"))
        import inspect, unittest
        assert inspect.getmodule(inspect.getmodule) is inspect
        with unittest.TestCase().assertWarns(UserWarning):
            __import__("warnings").warn("as expected")
    """
    assert python.run(program, **ON) == "[]"


def test_setting_and_listing_names_load_a_module_first(python: Python) -> None:
    program = """
        import sys
        module = sys.modules["anyio.to_thread"]
        module.run_sync = "patched"
        import anyio.to_thread
        assert anyio.to_thread.run_sync == "patched"
        assert "TextStream" in dir(sys.modules["anyio.streams.text"])
        assert "creche.streams.tls" in repr(sys.modules["anyio.streams.tls"])
    """
    python.run(program, **ON)


def test_threads_that_import_at_the_same_time_get_whole_modules(python: Python) -> None:
    program = f"""
        import importlib, sys, threading
        sys.setswitchinterval(1e-6)
        names = {MODULES!r}
        barrier = threading.Barrier(8)
        failed = []
        def work(turn):
            barrier.wait()
            for name in names[turn:] + names[:turn]:
                try:
                    module = importlib.import_module(f"anyio.{{name}}")
                    assert module is sys.modules[f"creche.{{name}}"]
                    assert [n for n in vars(module) if n[0] != "_"] or name == "streams", name
                    if name == "abc":
                        module.UNIXSocketStream, module.TaskGroup
                except BaseException as exc:
                    failed.append((name, exc))
        threads = [threading.Thread(target=work, args=(2 * turn,)) for turn in range(8)]
        for thread in threads: thread.start()
        for thread in threads: thread.join()
        print(failed)
    """
    assert python.run(program, **ON) == "[]"


def test_a_thread_that_asks_a_module_while_another_loads_it_waits_until_it_is_whole(
    python: Python,
) -> None:
    program = """
        import sys, threading
        from creche._dropin import lazy
        spec, alias = lazy.known["creche.abc"]
        entered, go_on, results = threading.Event(), threading.Event(), []
        class Slow:
            def exec_module(self, module):
                entered.set()
                go_on.wait()
                loader.exec_module(module)
        loader, spec.loader = spec.loader, Slow()
        def ask():
            module = sys.modules["anyio.abc"]
            results.append((module.TaskGroup, module.BlockingPortal, "ByteStream" in dir(module)))
        import warnings
        warnings.simplefilter("ignore")
        first = threading.Thread(target=ask)
        first.start()
        entered.wait()
        others = [threading.Thread(target=ask) for _ in range(3)]
        for thread in others: thread.start()
        for thread in others: thread.join(0.1)
        print(len(results), [thread.is_alive() for thread in others])
        go_on.set()
        for thread in (first, *others): thread.join()
        print(len(results), len(set(results)), type(sys.modules["anyio.abc"]).__name__)
    """
    assert python.run(program, **ON).splitlines() == ["0 [True, True, True]", "4 1 module"]


@pytest.mark.parametrize(
    "use", ["get(module, 'TaskGroup')", "put(module, 'x', 1)", "list_(module)"]
)
def test_a_thread_that_is_late_finds_an_ordinary_module_and_does_not_mind(
    python: Python, use: str
) -> None:
    """It has found the method of a module that waits, and another thread loads that before it runs."""
    program = f"""
        import sys
        module = sys.modules["anyio.abc"]
        kind = type(module)
        get, put, list_ = kind.__getattribute__, kind.__setattr__, kind.__dir__
        import anyio.abc
        assert type(module) is not kind
        {use}
        get(module, "__name__")
    """
    python.run(program, **ON)


def test_a_module_that_cannot_be_loaded_can_be_tried_again(python: Python) -> None:
    program = """
        import sys
        sys.modules["creche.streams._tls.stream"] = None
        for _ in range(2):
            try:
                from anyio.streams.tls import TLSStream
            except ImportError as exc:
                print(type(exc).__name__)
        del sys.modules["creche.streams._tls.stream"]
        import anyio.streams.tls
        print(anyio.streams.tls.TLSStream.__name__)
    """
    assert python.run(program, **ON).split() == [
        "ModuleNotFoundError",
        "ModuleNotFoundError",
        "TLSStream",
    ]


def test_deprecated_names_of_abc_work_and_warn_where_they_are_used(python: Python) -> None:
    program = """
        import warnings, anyio.abc, anyio.from_thread
        def warned(name, home):
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                imported = getattr(anyio.abc, name)
                exec(f"from anyio.abc import {name} as again")
            thing = anyio
            for part in home.split("."):
                thing = getattr(thing, part)
            assert imported is thing
            assert [str(each.message) for each in caught] == 2 * [
                f"The anyio.abc.{name} alias is deprecated, use anyio.{home} instead."]
            assert {each.category for each in caught} == {DeprecationWarning}
            assert {each.filename for each in caught} == {"<string>"}
        warned("BlockingPortal", "from_thread.BlockingPortal")
        for name in "CancelScope CapacityLimiter Condition Event Lock Semaphore".split():
            warned(name, name)
    """
    python.run(program, **ON)


def test_python_m_runs_modules_of_the_program(python: Python) -> None:
    (python.folder / "mainly.py").write_text("import anyio; print(__name__, anyio.__name__)\n")
    assert python.start("-m", "mainly", **ON).stdout.strip() == "__main__ creche"


def test_anyio_itself_cannot_be_run_as_before(python: Python) -> None:
    done = python.start("-m", "anyio", **ON)
    assert done.returncode == 1
    assert "'anyio' is a package and cannot be directly executed" in done.stderr


@on_each_kernel
def test_a_failed_handshake_is_logged_where_anyio_s_documentation_says(
    python: Python, backend: Backend
) -> None:
    program = f"""
        import logging, ssl
        import anyio
        from anyio.streams.tls import TLSListener

        class Shown(logging.Handler):
            def emit(self, record):
                print(record.name, record.levelname, record.getMessage())
                done.set()

        async def main():
            global done
            done = anyio.Event()
            logging.getLogger("anyio.streams.tls").addHandler(Shown())
            async with await anyio.create_tcp_listener(local_host="127.0.0.1") as tcp:
                async with anyio.create_task_group() as group:
                    listener = TLSListener(tcp, ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))
                    group.start_soon(listener.serve, anyio.sleep)
                    port = tcp.extra(anyio.abc.SocketAttribute.local_port)
                    async with await anyio.connect_tcp("127.0.0.1", port) as stream:
                        await stream.send(b"this is not TLS at all")
                        with anyio.fail_after(30):
                            await done.wait()
                    group.cancel_scope.cancel()

        anyio.run(main, backend={backend.kernel!r})
        """
    assert python.run(program, **ON) == "anyio.streams.tls ERROR Error during TLS handshake"
