"""`python -m creche` and the `creche` command. Owns nothing: the code is in `_cli/`."""

from __future__ import annotations

import sys

from ._cli import main as main

if __name__ == "__main__":
    sys.exit(main())
