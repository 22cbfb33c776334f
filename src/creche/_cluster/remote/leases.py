"""The leases of one worker: each asks its caller, is granted once, makes one call, and answers.

Owns the life of a lease, the graces of a stop, and what becomes of leases whose caller is not heard
of. Knows neither Dask nor sockets between machines: messages leave through a function, and come in
through methods.

A lease:

    asking --grant--> running --answer--> over
      |                 `--stop--> asked to end --grace--> SIGTERM --grace--> SIGKILL --> over
      |                 `--its caller is lost--> SIGTERM --0.5 s--> SIGKILL --> over
      `--refuse, stop, its caller is lost--> over, and nothing was run

Messages are lists that begin with a word:

    to the caller     ["ask", lease, offer]
                      ["done", lease, offer, kind, data, exit code]    after the process group is reaped
                      ["output", lease, bytes], ["log", lease, bytes]
                      ["alive"]
    from the caller   ["alive", seconds it may be silent]    answered with the same word
                      ["grant", lease, offer, options, data]
                      ["refuse", lease, offer], ["stop", lease, offer, grace, grace]

Rules
-----
* `run` has a thread of its own, the slot's, in which the call stays from the question to the answer.
* An answer is sent when the function has ended. If it was stopped, has left processes behind, or is not
  to leave a warm child, its process group is reaped before that.
* A caller that is silent for longer than it said is lost. A grant that comes late finds no lease.
"""

from __future__ import annotations

import os
import queue
import select
import threading
import time

from .child import ASYNC, HEADER, JOB, SYNC
from .children import Child, Children
from .perform import CANCELLED, UNOPENED, CallCancelled, call, call_module, dump_error, perform

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

DIED, GIVEN_UP = b"D", b"G"
"""Kinds of answers that no child gives: it has ended; it was ended, for its caller was not heard of."""

TICK = 0.2
"""Seconds between looks at who is silent."""

UNKNOWN_TTL = 15.0
"""Seconds that a caller may be silent until it has said what it promises."""

ABRUPT = (0.0, 0.5)
"""The graces of a call whose caller is lost."""

CHUNK = 1 << 18


class Caller:
    """What the worker knows of one caller."""

    def __init__(self, ttl: float) -> None:
        self.ttl = ttl
        self.heard = time.monotonic()


class Leases:
    """All leases of one worker."""

    def __init__(self, send: Callable[[str, list[Any]], None], children: Children) -> None:
        """`send(caller, message)` never blocks, and may be called from any thread."""
        self.send = send
        self.children = children
        self._callers: dict[str, Caller] = {}
        self._leases: dict[str, Lease] = {}
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._promise = self._renewed = 0.0
        self._watch = threading.Thread(target=self._watch_over, name="creche leases", daemon=True)
        self._watch.start()

    # From the slots

    def run(self, lease: str, caller: str) -> None:
        """Be a lease from beginning to end. In the slot's thread; never raises."""
        made = Lease(self, lease, caller)
        with self._lock:
            # Dask may be faster than the caller's first sign of life.
            self._callers.setdefault(caller, Caller(UNKNOWN_TTL))
            self._leases[made.offer] = made
        try:
            made.run()
        finally:
            with self._lock:
                del self._leases[made.offer]

    # From the caller

    def heard(self, caller: str, message: list[Any]) -> None:
        """Take a message from a caller. Never blocks."""
        with self._lock:
            known = self._callers.setdefault(caller, Caller(UNKNOWN_TTL))
        known.heard = time.monotonic()
        if message[0] == "alive":
            known.ttl = message[1]
            self._renew()  # Before any grant: this process may be stopped at any moment.
            self.send(caller, ["alive"])
            return
        lease = self._leases.get(message[2])
        if lease is not None:
            lease.tell(message)

    def caller_lost(self, caller: str) -> None:
        """End what runs for a caller that is not there any more."""
        with self._lock:
            self._callers.pop(caller, None)
            leases = [lease for lease in self._leases.values() if lease.caller == caller]
        for lease in leases:
            lease.tell(["lost"])
        if not self._callers:
            self.children.end_idle(0)

    def all_lost(self) -> None:
        """End everything: the way to the callers is gone."""
        for caller in list(self._callers):
            self.caller_lost(caller)

    def close(self) -> None:
        """End everything, and wait for it."""
        self._closing.set()
        self.all_lost()
        self.children.close()
        self._watch.join()

    def _watch_over(self) -> None:
        """Look for callers that are silent, and tell the fork server that this process is not."""
        looked = time.monotonic()
        while not self._closing.wait(TICK):
            now = time.monotonic()
            late, looked = now - looked - TICK, now
            for name, caller in list(self._callers.items()):
                if late > TICK:  # This process stood still: what they said meanwhile is unread.
                    caller.heard += late
                elif now - caller.heard > caller.ttl:
                    self.caller_lost(name)
            self._renew()
            self.children.end_idle()

    def _renew(self) -> None:
        """Tell the fork server, now and then, for how long this process may be silent: what its callers expect."""
        now = time.monotonic()
        ttl = min((each.ttl for each in list(self._callers.values())), default=0.0)
        if ttl != self._promise or (ttl and now - self._renewed > ttl / 4):
            self._renewed, self._promise = now, ttl
            self.children.renew(ttl)


_offers = iter(range(1, 1 << 62))
_process = os.urandom(6).hex()


class Lease:
    """One lease, and the call that it makes if it is granted."""

    def __init__(self, leases: Leases, lease: str, caller: str) -> None:
        self.lease = lease
        self.caller = caller
        self.offer = f"{_process}-{next(_offers)}"
        self._leases = leases
        self._inbox: queue.SimpleQueue[list[Any]] = queue.SimpleQueue()
        self._child: Child | None = None
        self._stopped = False

    def tell(self, message: list[Any]) -> None:
        """Hand over a message. From any thread."""
        self._inbox.put(message)
        self._stopped = self._stopped or message[0] in {"stop", "lost"}
        child = self._child
        if child is not None:
            child.wake()

    def run(self) -> None:
        """Ask, and make the call if it is granted."""
        self._send("ask", self.offer)
        message = self._inbox.get()
        if message[0] == "stop":  # It has overtaken the grant.
            self._send("done", self.offer, CANCELLED, b"", None)
        if message[0] != "grant":
            return
        options, data = message[3], message[4]
        exit_code = None
        if options["threads"]:
            kind, answer = self._call_here(data)
        else:
            try:
                kind, answer, exit_code = Conversation(self, options, data).run()
            except BaseException as exc:  # No process could be had.
                kind, answer = UNOPENED, dump_error(exc)[1]
        self._send("done", self.offer, kind, answer, exit_code)

    def _send(self, word: str, *rest: Any) -> None:
        self._leases.send(self.caller, [word, self.lease, *rest])

    # In the worker's own thread

    def _call_here(self, data: Any) -> tuple[bytes, bytes]:
        here = call_module().here
        here.check = self._check
        try:
            return perform(data, call)
        finally:
            here.check = None

    def _check(self) -> None:
        if self._stopped:
            raise CallCancelled("the caller is cancelled")

    # In a child

    def serve(self, child: Child | None) -> None:
        """Have messages wake up who serves `child`; None for nobody."""
        self._child = child

    def messages(self) -> list[list[Any]]:
        """Take what has come."""
        found: list[list[Any]] = []
        while not self._inbox.empty():
            found.append(self._inbox.get())
        return found

    def pass_on(self, word: str, data: bytes) -> None:
        """Send what the call printed or logged."""
        self._send(word, data)

    @property
    def children(self) -> Children:
        """Where children come from."""
        return self._leases.children


class Conversation:
    """One call in a child: what is sent to it, what comes back, and how it is ended."""

    def __init__(self, lease: Lease, options: dict[str, Any], data: Any) -> None:
        self._lease = lease
        self._children = lease.children
        self._reuse: bool = options["reuse"]
        self._child = self._children.take(fresh=not self._reuse, output=options["output"])
        job = JOB.pack(
            ASYNC if options["backend"] else SYNC,
            options["remaining"],
            options["backend"].encode(),
            options["output"],
        )
        header = HEADER.pack(b"J", len(job) + len(data))
        self._outgoing = [memoryview(header + job), memoryview(data)]
        self._answer: tuple[bytes, bytes] | None = None
        self._descendants = False
        self._ended = False
        self._steps: list[tuple[float, Callable[[], None]]] = []  # a stop: when to do what
        self._stopping = False
        self._given_up = False

    def run(self) -> tuple[bytes, bytes, int | None]:
        """Return the answer's kind, its data, and the exit code if the child died."""
        child = self._child
        self._lease.serve(child)
        child.wake()  # Something may have come in between.
        try:
            while self._answer is None and not self._ended:
                self._turn()
        finally:
            self._lease.serve(None)
            self._end()
        if self._answer is not None:
            return *self._answer, None
        if self._given_up:
            return GIVEN_UP, b"", child.exit_code()
        if self._stopping:
            return CANCELLED, b"", child.exit_code()
        return DIED, b"", child.exit_code()

    # One turn

    def _turn(self) -> None:
        child = self._child
        poll = select.poll()
        poll.register(child.sock, select.POLLIN | (select.POLLOUT if self._outgoing else 0))
        poll.register(child.woken, select.POLLIN)
        if child.output is not None:
            poll.register(child.output, select.POLLIN)
        for descriptor, _ in poll.poll(self._pause()):
            if descriptor == child.output:
                self._read_output()
        self._heed()
        self._write()
        gone = child.gone.is_set()
        if not self._read() and gone:  # What it has sent before is read first.
            self._ended = True
        while self._steps and self._steps[0][0] <= time.monotonic():
            self._steps.pop(0)[1]()

    def _pause(self) -> int | None:
        if not self._steps:
            return None
        return max(0, int((self._steps[0][0] - time.monotonic()) * 1000) + 1)

    def _heed(self) -> None:
        try:
            self._child.woken.recv(4096)
        except BlockingIOError:
            return
        for message in self._lease.messages():
            if message[0] == "stop":
                self._stop(message[3], message[4])
            elif message[0] == "lost":
                self._given_up = True
                self._stop(*ABRUPT)

    def _stop(self, cooperative: float, terminated: float) -> None:
        """Begin to end the call, or to end it sooner than was said before."""
        self._stopping = True
        now = time.monotonic()
        children, child = self._children, self._child
        steps = [
            (now + cooperative, lambda: children.terminate(child)),
            (now + cooperative + terminated, lambda: children.wait_until_gone(child)),
        ]
        if not self._steps or steps[-1][0] < self._steps[-1][0]:
            self._steps = steps
        if not self._outgoing:
            self._ask_to_end()
        else:
            self._steps = [(now, lambda: children.wait_until_gone(child))]  # It has not begun.

    def _ask_to_end(self) -> None:
        try:
            self._child.sock.send(HEADER.pack(b"C", 0))
        except OSError:
            pass  # It is gone, which the next turn sees.

    def _write(self) -> None:
        while self._outgoing:
            try:
                sent = self._child.sock.send(self._outgoing[0])
            except BlockingIOError:
                return
            except OSError:
                self._outgoing.clear()  # It is gone: the answer is how.
                return
            rest = self._outgoing[0][sent:]
            if rest:
                self._outgoing[0] = rest
            else:
                self._outgoing.pop(0)

    def _read(self) -> bool:
        """Read some of what the child has sent, and tell whether there was anything."""
        child = self._child
        try:
            data = child.sock.recv(CHUNK)
        except BlockingIOError:
            return False
        except OSError:
            data = b""
        if not data:
            # The end of a socket is nearly the end of a process. The fork server says when it is.
            if not child.gone.wait(0.05):
                self._children.wait_until_gone(child)
            self._ended = True
            return False
        child.received += data
        for kind, body in child.frames():
            if kind == b"L":
                self._lease.pass_on("log", bytes(body))
            else:
                self._descendants = bool(body[0])
                self._answer = kind, bytes(body[1:])
        return True

    def _read_output(self) -> None:
        output = self._child.output
        while output is not None:
            try:
                data = os.read(output, 65536)
            except (BlockingIOError, OSError):
                return
            if not data:
                os.close(output)
                self._child.output = output = None
            else:
                self._lease.pass_on("output", data)

    # The end

    def _end(self) -> None:
        """Keep the child for the next call, or see to it that nothing is left of it."""
        child = self._child
        keep = (
            self._answer is not None
            and self._reuse
            and not (self._stopping or self._descendants or child.gone.is_set())
        )
        self._read_output()
        if keep:
            self._children.give_back(child)
            return
        self._children.wait_until_gone(child)
        self._read_output()
        child.close()
