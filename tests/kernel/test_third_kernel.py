"""A third kernel is a package and a record: everything that takes a backend takes it then.

The kernel is `tests/toy_kernel`. What the contract says is tried on it in the other files of this folder,
and what primitives do in those of `sync` and `tasks`; here is who finds it by its record.
"""

from __future__ import annotations

from pathlib import Path

import pytest

import creche
import toy_kernel
import toy_kernel.here
import toy_kernel.kernel
import toy_kernel.nursery
import toy_kernel.probe
import toy_kernel.readiness
import toy_kernel.runner
import toy_kernel.tasks
from _harness import Backend
from creche import from_thread, testing, to_thread
from creche._cli import main as command
from creche._kernel import contract, current_kernel, probing, running
from creche.lowlevel import current_token

pytestmark = pytest.mark.backends("toy")

# What types can say of it. `make check` reads this.
kernels: list[type[contract.Kernel]] = [toy_kernel.kernel.ToyKernel]
tasks: list[type[contract.Task]] = [toy_kernel.tasks.Task]
waiters: list[type[contract.Waiter]] = [toy_kernel.tasks.Waiter]
firm_waiters: list[type[contract.FirmWaiter]] = [toy_kernel.tasks.FirmWaiter]
nurseries: list[type[contract.Nursery]] = [toy_kernel.nursery.Nursery]
watches: list[type[contract.Watch]] = [toy_kernel.readiness.Watch]
labels: list[type[contract.Label]] = [toy_kernel.kernel.Name]
probes: list[type[probing.TestProbe]] = [toy_kernel.probe.TestProbe]
runners: list[type[running.Runner]] = [toy_kernel.runner.Runner]
starters: list[running.Starter] = [toy_kernel.runner]
finders: list[running.Finder] = [toy_kernel.here]


async def program() -> list[str]:
    """A bit of everything: groups, scopes, locks, streams, threads."""
    log: list[str] = []
    lock = creche.Lock()
    send, receive = creche.create_memory_object_stream[str](1)

    async def worker(name: str) -> None:
        async with lock:
            await creche.sleep(0)
            await send.send(name)

    async with creche.create_task_group() as group:
        for name in ("one", "two", "three"):
            group.start_soon(worker, name)
        log += [await receive.receive() for _ in range(3)]
    with creche.move_on_after(0.01) as scope:
        await creche.sleep_forever()
    assert scope.cancelled_caught
    send.close()
    receive.close()
    log.append(await to_thread.run_sync(from_thread.run, text_of_the_loop))
    return log


async def text_of_the_loop() -> str:
    return current_token().backend_name


def test_run_takes_it_by_its_name(backend: Backend) -> None:
    assert creche.get_all_backends()[-1] == creche.get_available_backends()[-1] == "toy"
    assert creche.run(program, backend="toy") == ["one", "two", "three", "toy"]


def test_it_is_gone_after_the_test_that_has_registered_it() -> None:
    """This test is on no backend."""
    assert "toy" not in creche.get_all_backends()
    with pytest.raises(LookupError, match="No such backend: toy"):
        creche.run(program, backend="toy")


def test_an_error_outside_all_loops_names_how_it_is_started(backend: Backend) -> None:
    with pytest.raises(creche.NoEventLoopError, match=r"trio.run\(\) or toy_kernel.runner.run\(\)"):
        creche.current_time()


def test_its_primitives_know_when_they_are_in_a_callback_of_its_loop(backend: Backend) -> None:
    errors: list[BaseException] = []

    def call() -> None:
        try:
            creche.Event().set()
            creche.get_current_task()
        except RuntimeError as exc:
            errors.append(exc)

    async def main() -> None:
        current_kernel().call_soon_threadsafe(call)
        await creche.sleep(0.01)

    backend.run(main)
    assert "There is no task currently running" in str(errors[0])


def test_a_portal_takes_it_by_its_name(backend: Backend) -> None:
    with from_thread.start_blocking_portal("toy") as portal:
        assert portal.call(text_of_the_loop) == "toy"


def test_a_simulated_run_says_that_it_has_none(backend: Backend) -> None:
    with pytest.raises(ValueError, match="toy cannot be simulated: its kernel has no loop whose"):
        testing.run(program, backend="toy")


def test_the_command_line_runs_programs_and_examples_on_it(
    backend: Backend, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    script = tmp_path / "on_toy.py"
    script.write_text(
        "from creche.lowlevel import current_token\n"
        "async def main(): print('on', current_token().backend_name)\n"
    )
    assert command(["run", "--backend", "toy", str(script)]) == 0
    assert capsys.readouterr().out == "on toy\n"
    assert command(["demo", "tasks", "--backend", "toy"]) == 0
    assert "✓ toy" in capsys.readouterr().out
    assert command(["demo", "--backend", "nothing"]) == 2
    assert "there are asyncio, uvloop, trio, toy" in capsys.readouterr().err
