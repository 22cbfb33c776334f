"""Names of tasks in the log: a filter for `logging`, on every loop.

Owns two attributes of log records, `task` and `task_id`.
"""

from __future__ import annotations

import logging

from .._kernel import current_task


class TaskFilter(logging.Filter):
    """Puts the running task into log records, as `record.task` and `record.task_id`, on every loop.

    A filter of handlers or loggers: `handler.addFilter(TaskFilter())`, and `%(task)s` in the format. Where no task
    runs, `task` is `"-"` and `task_id` is None. It keeps every record.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Put the running task into a record."""
        record.task, record.task_id = "-", None
        try:
            info = current_task().info()
        except RuntimeError:
            return True
        record.task, record.task_id = info.name, info.id
        return True
