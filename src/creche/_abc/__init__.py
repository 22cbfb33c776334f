"""The abstract classes that streams, listeners and other resources are made from.

One module for each family; `creche.abc` publishes their names.
"""
