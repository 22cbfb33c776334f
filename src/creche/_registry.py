"""The registry of kernels: what is known of a kernel before one of its loops runs.

Owns one record for each kernel. Everything that lists kernels, or the loops that they run on, reads it
here: `run`, simulated runs, the command line, the drop-in, the pytest plugins, the tests, the benchmarks. So
a new kernel is a package and a record; "Adding a kernel" in `docs/architecture.md` has the steps.

Imports no loop and no kernel, because the pytest plugin and the drop-in are loaded where no loop runs.
Does not know what a kernel does: that is `_kernel/contract.py`.

Rules
-----
* The name of a kernel is what users give as `backend`. Its variants are the loops that it can run on, each
  chosen by options; the first one has the kernel's own name and no options.
* The first record is asyncio's. It is always installed, and the default.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import Any, Literal, NamedTuple, TypeAlias

BackendName: TypeAlias = Literal["asyncio", "trio", "uvloop"] | str  # noqa: PYI051  # others may be registered
"""The name of a kernel, or of the loop that it runs on. Editors offer those that come with Creche."""


class Option(NamedTuple):
    """A backend option that a kernel knows, and its flag on the command line, if it has one."""

    name: str
    flag: str | None = None
    """`"--uvloop"`: sets the option to True."""
    help: str = ""


COMMON = (Option("budget"),)
"""The options that every kernel knows: `run` itself carries them out."""


class Variant(NamedTuple):
    """One loop that a kernel can run on: a backend of the demo, the tests and the benchmarks."""

    name: str
    title: str
    kernel: str
    """The name of the kernel, which is the `backend` of `run`."""
    options: Mapping[str, Any] = {}
    """The `backend_options` of `run`."""
    packages: tuple[str, ...] = ()
    """The packages that have the loop: any one of them will do. None where Python has it."""
    extra: str | None = None
    """The extra of Creche that installs one of them."""

    def installed(self) -> bool:
        """Tell whether the loop can be run here. Imports nothing of it."""
        if not self.packages:
            return True
        from importlib.util import find_spec  # two milliseconds that few runs need

        return any(find_spec(name) is not None for name in self.packages)

    def how_to_install(self) -> str:
        """Return the command that installs what the loop needs."""
        return f"pip install 'creche[{self.extra}]'"


class Simulated(NamedTuple):
    """How a kernel simulates: what is known of its loop in a simulated run.

    The loop itself is in the package's `simulation.py`, with the doors that lead out of it.
    """

    letter: str
    """What the tokens of its runs begin with."""
    steppers: frozenset[str]
    """The modules that step tasks: whatever called them has nothing to do with what the task does."""


class KernelRecord(NamedTuple):
    """All that is known of one kernel."""

    name: str
    package: str
    """The package that keeps the contract, with `runner.py`, `here.py` and `simulation.py`; what each of
    them offers is told in `_kernel/running.py`."""
    library: str
    """The loop's own package. Once it is imported, one of its loops may run. Its frames are not the
    program's, and it logs under this name."""
    entry: str
    """How a program starts the loop without Creche, for messages."""
    variants: tuple[Variant, ...]
    options: tuple[Option, ...] = ()
    """The backend options that have a meaning of ours; the kernel checks those it is given."""
    simulated: Simulated | None = None
    """None if the kernel has no simulated runs."""
    alias: str | None = None
    """The module of AnyIO's that stands for this kernel in the drop-in, below `anyio._backends`."""
    pool_threads: tuple[str, ...] = ()
    """How the names of threads begin that the loop keeps for the next call."""
    test_plugin: str | None = None
    """The mark of the pytest plugin that the loop's own users have, which would take the same tests."""

    @property
    def plain(self) -> Variant:
        """The kernel without options."""
        return self.variants[0]


ASYNCIO = KernelRecord(
    name="asyncio",
    package="creche._kernel.asyncio",
    library="asyncio",
    entry="asyncio.run()",
    variants=(
        Variant("asyncio", "asyncio", "asyncio"),
        Variant(
            "uvloop",
            "uvloop",
            "asyncio",
            options={"use_uvloop": True},
            packages=("uvloop", "winloop"),
            extra="uvloop",
        ),
    ),
    options=(
        Option("debug", "--debug", "asyncio's debug mode"),
        Option("loop_factory"),
        Option("use_uvloop", "--uvloop", "asyncio on uvloop's event loop"),
    ),
    simulated=Simulated("a", steppers=frozenset(["asyncio.events"])),
    alias="_asyncio",
    pool_threads=("asyncio_",),
    test_plugin="asyncio",
)

TRIO = KernelRecord(
    name="trio",
    package="creche._kernel.trio",
    library="trio",
    entry="trio.run()",
    variants=(Variant("trio", "Trio", "trio", packages=("trio",), extra="trio"),),
    simulated=Simulated("t", steppers=frozenset(["trio._core._run"])),
    alias="_trio",
    pool_threads=("Trio thread ",),
    test_plugin="trio",
)

KERNELS: dict[str, KernelRecord] = {record.name: record for record in (ASYNCIO, TRIO)}
"""The registered kernels by name, the default one first."""
LIBRARIES = {record.library for record in KERNELS.values()}
"""The loops' own packages."""


def default() -> KernelRecord:
    """Return the kernel that is used where none is named."""
    return ASYNCIO


def find(name: str) -> KernelRecord:
    """Return the record of a kernel.

    :raises LookupError: there is no such kernel
    """
    try:
        return KERNELS[name]
    except KeyError:
        known = ", ".join(variant.name for variant in variants())
        raise LookupError(f"No such backend: {name}. Known backends: {known}") from None


def find_installed(name: str) -> KernelRecord:
    """Return the record of a kernel that can be run here.

    :raises LookupError: there is no such kernel, or what it needs is not installed
    """
    record = find(name)
    if not record.plain.installed():
        raise LookupError(
            f"No such backend: {name} is not installed. To install it: "
            f"{record.plain.how_to_install()}"
        )
    return record


def chosen(name: str, options: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return the kernel and the options that a backend stands for: `"uvloop"` is asyncio on uvloop."""
    for variant in variants():
        if variant.name == name:
            return variant.kernel, {**variant.options, **options}
    return name, options


def names() -> tuple[str, ...]:
    """Return the names of the kernels, installed or not."""
    return tuple(KERNELS)


def installed() -> tuple[str, ...]:
    """Return the names of the kernels that can be run here."""
    return tuple(name for name, record in KERNELS.items() if record.plain.installed())


def simulating() -> tuple[str, ...]:
    """Return the names of the kernels that have simulated runs, installed or not."""
    return tuple(name for name, record in KERNELS.items() if record.simulated is not None)


def variants() -> tuple[Variant, ...]:
    """Return the loops of all kernels, installed or not."""
    return tuple(variant for record in KERNELS.values() for variant in record.variants)


@contextmanager
def registered(record: KernelRecord) -> Generator[None]:
    """Have one more kernel, in a block.

    :raises ValueError: its name, library, letter or the name of a variant is taken
    """
    _check(record)
    KERNELS[record.name] = record
    LIBRARIES.add(record.library)
    try:
        yield
    finally:
        del KERNELS[record.name]
        LIBRARIES.discard(record.library)


def _check(record: KernelRecord) -> None:
    first = record.variants[0] if record.variants else None
    if first is None or first.name != record.name or first.options:
        raise ValueError(
            f"the first variant of kernel {record.name!r} must have its name and no options, "
            f"because run(backend={record.name!r}) runs it"
        )
    if record.library in LIBRARIES:
        raise ValueError(
            f"{record.library!r} is the library of another kernel: each kernel needs its own"
        )
    taken = {variant.name for variant in variants()}
    for variant in record.variants:
        if variant.name in taken:
            raise ValueError(f"a backend {variant.name!r} already exists: choose another name")
        if variant.kernel != record.name:
            raise ValueError(
                f"variant {variant.name!r} names kernel {variant.kernel!r}, but it is "
                f"in the record of {record.name!r}"
            )
    if record.simulated is not None:
        letter = record.simulated.letter
        for other in KERNELS.values():
            if other.simulated is not None and other.simulated.letter == letter:
                raise ValueError(
                    f"tokens that begin with {letter!r} belong to kernel {other.name!r}: "
                    f"choose another letter for {record.name!r}"
                )
