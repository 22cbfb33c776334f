"""The abstract classes that streams, listeners and other resources are made from.

One room for each family; `creche.abc` publishes their names.
"""
