"""An operation that keeps its contract, but for the one rule that it is told to break."""

from __future__ import annotations

from collections.abc import Callable

from creche.flow import Operation, Waiter


class FlawedOperation(Operation[str]):
    def __init__(self, flaw: str) -> None:
        self.flaw = flaw
        self.possible = 0
        self.asked = 0
        self.waiters: list[Waiter] = []
        self.left: list[Waiter] = []

    def is_ready(self) -> bool:
        if self.flaw == "it_is_ready_when_it_is_possible":
            return True
        self.asked += 1
        if self.flaw == "asking_changes_nothing" and self.asked > 1:
            return False
        return self.possible > 0

    def commit(self) -> str:
        self.possible -= 1
        return "done"

    def join(self, waiter: Waiter, /) -> None:
        if self.flaw == "first_come_first_served":
            self.waiters.insert(0, waiter)
        else:
            self.waiters.append(waiter)

    def leave(self, waiter: Waiter, /) -> None:
        if waiter in self.waiters and not self.keeps_those_who_leave():
            self.waiters.remove(waiter)

    def keeps_those_who_leave(self) -> bool:
        return self.flaw in (
            "a_waiter_that_has_left_gets_nothing",
            "a_cancelled_select_takes_nothing",
        )

    def fulfil(self) -> None:
        if self.flaw == "a_wait_ends_when_it_is_possible":
            self.waiters.clear()
        if self.flaw == "one_fulfilment_ends_one_select":
            while self.waiters:
                self.grant()
        elif self.flaw == "a_cancelled_select_is_passed_over" and len(self.waiters) > 1:
            del self.waiters[1:]
            self.grant()
        elif not self.grant():
            self.possible += 1

    def grant(self) -> bool:
        """Serve the first that waits; return whether there was one."""
        while self.waiters:
            waiter = self.waiters.pop(0)
            if self.flaw == "a_cancel_at_the_grant_loses_nothing":
                return True  # and tells nobody
            if not waiter.done():
                waiter.set_result("granted")
                return True
            if self.flaw == "a_waiter_that_is_done_gets_nothing":
                waiter.set_result("granted")
                return True
            if self.flaw in (
                "a_select_that_chose_another_takes_nothing",
                "a_waiter_that_has_left_gets_nothing",
                "a_cancelled_select_takes_nothing",
            ):
                return True
        return False


def offered(flaw: str) -> tuple[Operation[str], Callable[[], None]]:
    operation = FlawedOperation(flaw)
    return operation, operation.fulfil
