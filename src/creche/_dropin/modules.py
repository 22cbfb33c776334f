"""The public modules that `anyio` has, as Creche has them, and the names that only AnyIO has in them.

Owns the tables. The names of modules are without their package: `streams.memory` is
`anyio.streams.memory` and `creche.streams.memory`.
"""

from __future__ import annotations

ALIAS = "anyio"
PACKAGE = __name__.partition(".")[0]
VARIABLE = "CRECHE_AS_ANYIO"
OFF = ("", "0", "false", "no", "off")
"""Values of the variable that mean the same as no variable. `creche_as_anyio.pth` has them too."""

VERSION = "4.16.0"
"""The version of AnyIO whose public API Creche has."""

MODULES = (
    "abc",
    "from_thread",
    "functools",
    "itertools",
    "lowlevel",
    "streams",
    "streams.buffered",
    "streams.file",
    "streams.memory",
    "streams.stapled",
    "streams.text",
    "streams.tls",
    "to_interpreter",
    "to_process",
    "to_thread",
    # Creche's own: visible as `anyio.debug` too, and never loaded a second time under that name.
    "debug",
    "testing",
)

PYTEST_PLUGIN = "pytest_plugin"
PYTEST_PLUGIN_HOME = "_pytest.anyio_plugin"
"""AnyIO's plugin for pytest has other names than Creche's, so it is another module."""

DO_NOT_REWRITE = "PYTEST_DONT_REWRITE"
"""What pytest looks for in a module's docstring."""

DEPRECATED = {
    "abc": {
        "BlockingPortal": "from_thread.BlockingPortal",
        "CancelScope": "CancelScope",
        "CapacityLimiter": "CapacityLimiter",
        "Condition": "Condition",
        "Event": "Event",
        "Lock": "Lock",
        "Semaphore": "Semaphore",
    }
}
"""Names that AnyIO still answers for, with a warning: where they are now."""

LENT = {
    "lowlevel": {"get_async_backend": "_dropin.backend"},
    "to_thread": {"get_async_backend": "_dropin.backend"},
}
"""Names that can be seen in AnyIO's modules and are no API: the modules of Creche that have them."""

REFUSED = {
    "abc": {
        "AsyncBackend": (
            "Creche has no backend classes, because it reaches event loops through another interface; "
            "anyio._core._eventloop.get_async_backend() offers what public functions can do"
        ),
    }
}
"""Public names that Creche does not have, with what to do."""
