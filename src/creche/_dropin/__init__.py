"""The drop-in: what makes `import anyio` mean Creche.

    switch.py     turns it on
    modules.py    the table of the public names    private.py    the table of the private ones
    lazy.py       modules that are there before they are loaded
    finder.py     answers the import system for modules that are imported later
    metadata.py   answers `importlib.metadata` where AnyIO is not installed
    importers.py  finds what imported the real AnyIO first
    backend.py    what stands behind the private names
    refusals.py   names that are not there, in words

Knows no event loop, and imports nothing of Creche before it is used: this runs at the start of every
Python process in which the variable is set.
"""
