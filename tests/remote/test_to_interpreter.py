"""Calls into subinterpreters, where Python has them; one clear error where it has not."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import threading
from pathlib import Path
from textwrap import dedent
from types import ModuleType
from typing import Any

import _remote
import pytest

from _harness import Backend
from creche import BrokenWorkerInterpreter, CapacityLimiter, create_task_group, move_on_after
from creche._remote import interpreters
from creche._remote.outcomes import processors
from creche.to_interpreter import current_default_interpreter_limiter, run_sync

if sys.version_info >= (3, 13):

    def count() -> int:
        import _interpreters  # type: ignore[import-not-found,unused-ignore]

        return len(_interpreters.list_all())

    async def test_the_function_runs_in_this_process_in_another_interpreter() -> None:
        assert await run_sync(_remote.pid) == os.getpid()
        assert await run_sync(_remote.thread_count) == 1
        assert threading.active_count() > 1

    async def test_arguments_and_results_travel() -> None:
        assert await run_sync(divmod, 17, 5) == (3, 2)
        data = os.urandom(1_000_000)
        assert await run_sync(_remote.identity, data) == data
        assert await run_sync(_remote.identity, b"") == b""

    async def test_an_interpreter_is_used_again() -> None:
        before = count()
        for _ in range(5):
            await run_sync(int)
        assert count() == before + 1

    async def test_an_error_is_raised_with_its_remote_traceback() -> None:
        with pytest.raises(ValueError, match="in the worker") as caught:
            await run_sync(_remote.fail)
        (note,) = caught.value.__notes__
        assert "Raised in a subinterpreter by _remote.fail()" in note
        assert "_remote.py" in note

    async def test_a_system_exit_is_an_error_like_others() -> None:
        with pytest.raises(SystemExit):
            await run_sync(_remote.leave)
        assert await run_sync(int) == 0

    async def test_an_error_that_cannot_be_pickled_breaks_with_its_traceback() -> None:
        with pytest.raises(BrokenWorkerInterpreter, match="Unpicklable: 1 and 2") as caught:
            await run_sync(_remote.fail_badly)
        assert "in fail_badly" in str(caught.value)
        assert "in fail_badly" in caught.value.excinfo.errdisplay
        assert await run_sync(int) == 0

    async def test_a_result_that_cannot_be_pickled_breaks_with_its_traceback() -> None:
        with pytest.raises(BrokenWorkerInterpreter, match="lambda"):
            await run_sync(_remote.lambda_)
        assert await run_sync(int) == 0

    async def test_what_cannot_be_pickled_here_is_reported_here() -> None:
        before = count()
        with pytest.raises(TypeError):
            await run_sync(_remote.identity, threading.Lock())
        assert count() == before

    async def test_interpreters_work_at_a_time() -> None:
        before = count()
        limiter = CapacityLimiter(3)
        async with create_task_group() as group:
            for _ in range(3):
                group.start_soon(lambda: run_sync(_wait_a_moment, limiter=limiter))
        assert before < count() <= before + 3

    async def test_the_default_limiter_has_a_token_for_each_processor() -> None:
        assert current_default_interpreter_limiter().total_tokens == processors()

    async def test_idle_interpreters_are_ended_when_the_next_call_comes(
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        before = count()
        await run_sync(int)
        monkeypatch.setattr(interpreters, "IDLE", -1.0)
        async with create_task_group() as group:
            group.start_soon(run_sync, _wait_a_moment)
            group.start_soon(run_sync, _wait_a_moment)
        await run_sync(int)
        assert count() <= before + 2

    def test_the_interpreters_end_with_the_loop(backend: Backend) -> None:
        before = count()

        async def main() -> None:
            await run_sync(int)
            assert count() == before + 1

        backend.run(main)
        gc.collect()
        assert count() == before

    async def test_a_call_cancelled_while_it_waits_for_a_token_makes_no_interpreter() -> None:
        before = count()
        with move_on_after(0.01) as scope:
            await run_sync(int, limiter=CapacityLimiter(0))
        assert scope.cancelled_caught
        assert count() == before

    def test_an_interpreter_finds_the_functions_of_the_main_module(tmp_path: Path) -> None:
        program = tmp_path / "the_program.py"
        program.write_text(
            dedent("""
                import os

                import creche
                from creche import to_interpreter

                print("loaded", __name__, flush=True)

                class Number:
                    def __init__(self, value):
                        self.value = value

                def double(number):
                    return Number(number.value * 2)

                async def main():
                    result = await to_interpreter.run_sync(double, Number(21))
                    assert type(result) is Number
                    print(result.value)

                if __name__ == "__main__":
                    creche.run(main)
            """)
        )
        done = subprocess.run(
            [sys.executable, str(program)], capture_output=True, text=True, timeout=30
        )
        assert done.stdout.splitlines() == ["loaded __main__", "loaded __mp_main__", "42"], (
            done.stderr
        )

    async def test_an_interpreter_that_cannot_be_prepared_is_not_left(
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        before = count()
        monkeypatch.setattr(interpreters, "PREPARE", "raise LookupError('not today')")
        with pytest.raises(BrokenWorkerInterpreter, match="not today"):
            await run_sync(int)
        assert count() == before

    async def test_the_public_module_of_later_pythons_is_used_as_its_pep_says(
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setitem(sys.modules, "concurrent.interpreters", pep_734())
        monkeypatch.setattr(interpreters, "_maker", interpreters._Public)
        before = count()
        assert await run_sync(divmod, 17, 5) == (3, 2)
        assert count() == before + 1
        with pytest.raises(BrokenWorkerInterpreter, match="lambda"):
            await run_sync(_remote.lambda_)

    def pep_734() -> Any:
        """What Python 3.14 has as `concurrent.interpreters`, as far as it is used here."""
        import _interpreters

        class ExecutionFailed(Exception):
            def __init__(self, excinfo: Any) -> None:
                self.excinfo = excinfo

        class Interpreter:
            def __init__(self) -> None:
                self.id = _interpreters.create("isolated")

            def exec(self, code: str) -> None:
                if (excinfo := _interpreters.exec(self.id, code)) is not None:
                    raise ExecutionFailed(excinfo)

            def close(self) -> None:
                _interpreters.destroy(self.id)

        module: Any = ModuleType("concurrent.interpreters")
        module.ExecutionFailed, module.create = ExecutionFailed, Interpreter
        return module

    def _wait_a_moment() -> None:
        pass

else:

    async def test_an_older_python_gets_a_clear_error() -> None:
        words = "subinterpreters require at least Python 3.13"
        with pytest.raises(RuntimeError, match=words):
            await run_sync(int)
        with pytest.raises(RuntimeError, match=words):
            current_default_interpreter_limiter()
