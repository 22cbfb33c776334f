"""Every row, in the order of the table, and the choice of rows by name."""

from __future__ import annotations

from . import (
    special,
    work_accept,
    work_cluster,
    work_connections,
    work_datagram,
    work_files,
    work_flow,
    work_insight,
    work_processes,
    work_services,
    work_simulation,
    work_streams,
    work_sync,
    work_tasks,
    work_tcp,
    work_threads,
    work_unix,
    work_web,
    work_wrappers,
)
from .model import Backend, Row

ROWS: tuple[Row, ...] = (
    *work_tasks.ROWS,
    *work_streams.ROWS,
    *work_sync.ROWS,
    *work_tcp.ROWS,
    *work_unix.ROWS,
    *work_datagram.ROWS,
    *work_accept.ROWS,
    *work_connections.ROWS,
    *work_wrappers.ROWS,
    *work_threads.ROWS,
    *work_processes.ROWS,
    *work_files.ROWS,
    *work_web.ROWS,
    *work_simulation.ROWS,
    *work_flow.ROWS,
    *work_services.ROWS,
    *work_insight.ROWS,
    *work_cluster.ROWS,
    *special.ROWS,
    # Last: uvloop cannot start a process where there have been interpreters.
    *work_threads.INTERPRETER_ROWS,
)


def chosen(backend: Backend, pattern: str) -> list[Row]:
    """The rows that run on a backend and have ``pattern`` in their key or title."""
    wanted = pattern.lower()
    return [
        row
        for row in ROWS
        if backend in row.backends and (wanted in row.key or wanted in row.title.lower())
    ]


def by_key(key: str) -> Row:
    return next(row for row in ROWS if row.key == key)
