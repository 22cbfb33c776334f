"""Streams, one kind in each module."""
