"""A small model of supervision trees, and the same trees made of real supervisors.

The model is OTP's rules, written down plainly: everything happens at once, as a list of lines. A real
tree, run in virtual time, has to write the same lines.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from math import inf
from random import Random
from typing import Any

from _services import Broken, Stage

from creche import sleep
from creche.abc import TaskStatus
from creche.services import ServiceHandle, create_supervisor
from creche.testing import settle

WITHIN = 5.0


@dataclass(eq=False)
class Plan:
    """What a tree is made of: a leaf, or a supervisor if it has a strategy."""

    name: str
    restart: Any
    strategy: Any = None
    max_restarts: float = 0
    children: list[Plan] = field(default_factory=list)

    def leaves(self) -> Iterator[Plan]:
        if self.strategy is None:
            yield self
        for child in self.children:
            yield from child.leaves()


def random_plan(random: Random, depth: int = 0, prefix: str = "") -> Plan:
    strategy = random.choice(["one_for_one", "one_for_all", "rest_for_one"])
    plan = Plan(prefix or "root", "always", strategy, random.choice([0, 1, 2, 3, inf]))
    if depth == 0:
        plan.max_restarts = random.choice([1, 3, inf])
    for number in range(random.randint(1, 4)):
        name = f"{prefix}{'abcd'[number]}"
        if depth < 2 and random.random() < 0.3:
            child = random_plan(random, depth + 1, name)
        else:
            child = Plan(name, "always")
        child.restart = random.choice(["always", "always", "on_failure", "never"])
        plan.children.append(child)
    return plan


# ── The model ────────────────────────────────────────────────────────────────────────────────────


class Exhausted(Exception):
    """The root has given up."""


class Model:
    """One node of a running tree: `up` if it runs."""

    def __init__(self, plan: Plan, parent: Model | None, world: World) -> None:
        self.plan = plan
        self.parent = parent
        self.world = world
        self.up = False
        self.children: list[Model] = []
        self.times: list[float] = []

    def start(self) -> bool:
        """Start the node and what is below it; return whether that went well."""
        world, name = self.world, self.plan.name
        if self.plan.strategy is None:
            if world.failing_starts.get(name, 0) > 0:
                world.failing_starts[name] -= 1
                world.lines.append(f"{name} fails to start")
                return False
            world.lines.append(f"+{name}")
            self.up = True
            return True
        self.times = []
        self.children = []
        self.up = True
        for plan in self.plan.children:
            child = Model(plan, self, world)
            world.nodes[plan.name] = child
            if not child.start():
                self.stop()
                return False
            self.children.append(child)
        return True

    def stop(self) -> None:
        if not self.up:
            return
        self.up = False
        if self.plan.strategy is None:
            self.world.lines.append(f"-{self.plan.name}")
        for child in reversed(self.children):
            child.stop()
        self.children = []

    def ended(self, *, failed: bool) -> None:
        """The node has ended by itself."""
        self.up = False
        parent, restart = self.parent, self.plan.restart
        if parent is None:
            if failed:
                raise Exhausted
            self.world.over = True
            return
        if restart == "never" or (restart == "on_failure" and not failed):
            parent.children.remove(self)
            if not parent.children:
                parent.ended(failed=False)
        else:
            parent.restart(self)

    def restart(self, failed: Model) -> None:
        """Start a child that has failed again, and those that its failure takes in."""
        while True:
            now = self.world.now
            self.times.append(now)
            if len([then for then in self.times if now - then <= WITHIN]) > self.plan.max_restarts:
                self.children.remove(failed)
                self.stop()
                self.ended(failed=True)
                return
            affected = self._affected(failed)
            for child in reversed(affected):
                child.stop()
            kept = [child for child in affected if child.plan.restart != "never"]
            self.children = [
                child for child in self.children if child not in affected or child in kept
            ]
            failed_start = next(
                (child for child in kept if not child.up and not child.start()), None
            )
            if failed_start is None:
                return
            failed = failed_start

    def _affected(self, failed: Model) -> list[Model]:
        if self.plan.strategy == "one_for_one":
            return [failed]
        if self.plan.strategy == "one_for_all":
            return list(self.children)
        return self.children[self.children.index(failed) :]


class World:
    def __init__(self, plan: Plan) -> None:
        self.lines: list[str] = []
        self.nodes: dict[str, Model] = {}
        self.failing_starts: dict[str, int] = {}
        self.now = 0.0
        self.over = False
        self.root = Model(plan, None, self)
        self.root.start()

    def running(self) -> list[str]:
        return sorted(
            name for name, node in self.nodes.items() if node.up and node.plan.strategy is None
        )


# ── The real tree ────────────────────────────────────────────────────────────────────────────────


def quiet(handle: ServiceHandle, error: BaseException) -> None:
    pass


def service_of(plan: Plan, stage: Stage) -> Any:
    if plan.strategy is None:
        return stage.service(plan.name)

    async def supervisor(*, task_status: TaskStatus[None]) -> None:
        async with create_supervisor(
            plan.strategy, max_restarts=plan.max_restarts, within=WITHIN, on_error=quiet
        ) as sv:
            for child in plan.children:
                await sv.start(service_of(child, stage), restart=child.restart)
            task_status.started()

    return supervisor


async def compare(seed: int) -> None:
    """Do random things to a random tree and to its model; fail where they differ."""
    random = Random(seed)
    plan = random_plan(random)
    stage, world = Stage(), World(plan)
    about = f"seed {seed}, {plan}"
    async with create_supervisor(max_restarts=0, on_error=quiet) as sv:
        root = await sv.start(service_of(plan, stage), restart="never")
        for _ in range(random.randint(1, 12)):
            assert stage.take() == world.lines, about
            world.lines.clear()
            names = world.running()
            if not names:
                break
            name, failed = random.choice(names), random.random() < 0.7
            if random.random() < 0.3:
                stage.failing_starts[name] = world.failing_starts[name] = random.randint(1, 3)
            stage.kick(name, Broken(name) if failed else None)
            await settle()
            try:
                world.lines.append(f"!{name}")
                world.nodes[name].ended(failed=failed)
            except Exhausted:
                assert stage.take() == world.lines, about
                assert root.state == "failed", about
                return
            pause = random.choice([0, 1, 3, 10])
            await sleep(pause)
            world.now += pause
        assert stage.take() == world.lines, about
        assert (root.state == "finished") == world.over, about
        world.lines.clear()
        world.root.stop()
        await root.stop()
        assert stage.take() == world.lines, about
