"""Names that a module does not have, in words of our own, whichever way they were asked for.

`from module import name` turns an AttributeError into a message of its own, and `hasattr` lets
nothing else through. So the import statement gets an ImportError and everybody else an AttributeError.
Owns that difference.
"""

from __future__ import annotations

from opcode import opmap
from sys import _getframe  # pyright: ignore[reportPrivateUsage]  # nothing public gives frames
from typing import NoReturn

IMPORT_FROM = opmap["IMPORT_FROM"]


def refuse(module: str, name: str, why: str) -> NoReturn:
    """Raise for `module.name`. To be called by the module's `__getattr__` itself.

    :raises ImportError: the name was asked for by `from module import name`
    :raises AttributeError: it was asked for in another way
    """
    asking = _getframe(2)
    message = f"cannot import name {name!r} from {module!r}: {why}"
    if asking.f_lasti >= 0 and asking.f_code.co_code[asking.f_lasti] == IMPORT_FROM:
        raise ImportError(message, name=module)
    raise AttributeError(message, name=name)
