"""Caching and reducing with async functions: what `creche.functools` publishes."""
