"""The drop-in: what makes `import anyio` mean Creche.

`switch.py` turns it on, `names.py` and `private.py` are the tables of what there is, `waiting.py` are
modules that are there before they are loaded, `finder.py` answers the import system for whatever is
asked for later, `metadata.py` answers `importlib.metadata` where AnyIO is not installed,
`importers.py` finds out who was faster. Knows no event loop, and imports nothing of Creche before it
is used: this runs at the start of every Python process of whoever sets the variable.
"""
