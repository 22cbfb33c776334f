"""That both kernels keep the contract, as far as types can say. `make check` reads this."""

from __future__ import annotations

from creche._kernel import contract, probing, running
from creche._kernel.asyncio import here as asyncio_here
from creche._kernel.asyncio import kernel as asyncio_kernel
from creche._kernel.asyncio import nursery as asyncio_nursery
from creche._kernel.asyncio import probe as asyncio_probe
from creche._kernel.asyncio import readiness as asyncio_readiness
from creche._kernel.asyncio import runner as asyncio_runner
from creche._kernel.asyncio import simulation as asyncio_simulation
from creche._kernel.asyncio import tasks as asyncio_tasks
from creche._kernel.main import MainLabel
from creche._kernel.trio import here as trio_here
from creche._kernel.trio import kernel as trio_kernel
from creche._kernel.trio import nursery as trio_nursery
from creche._kernel.trio import probe as trio_probe
from creche._kernel.trio import readiness as trio_readiness
from creche._kernel.trio import runner as trio_runner
from creche._kernel.trio import simulation as trio_simulation
from creche._kernel.trio import tasks as trio_tasks

kernels: list[type[contract.Kernel]] = [asyncio_kernel.AsyncioKernel, trio_kernel.TrioKernel]
tasks: list[type[contract.Task]] = [
    asyncio_tasks.Task,
    asyncio_tasks.ForeignTask,
    trio_tasks.Task,
]
firm_waiters: list[type[contract.FirmWaiter]] = [asyncio_tasks.FirmFuture, trio_tasks.FirmWaiter]
waiters: list[type[contract.Waiter]] = [asyncio_tasks.Future[object], trio_tasks.Waiter]
probes: list[type[probing.TestProbe]] = [asyncio_probe.TestProbe, trio_probe.TestProbe]
nests: list[type[contract.Nursery]] = [asyncio_nursery.Nursery, trio_nursery.Nursery]
watches: list[type[contract.Watch]] = [asyncio_readiness.Watch, trio_readiness.Watch]
starters: list[running.Starter] = [asyncio_runner, trio_runner]
finders: list[running.Finder] = [asyncio_here, trio_here]
simulators: list[running.Simulator] = [asyncio_simulation, trio_simulation]
labels: list[type[contract.Label]] = [MainLabel]
