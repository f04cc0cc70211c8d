"""Logs and metrics, both folded from the same events."""

from lifecycle.observe.fields import Names
from lifecycle.observe.log import Log, log_entry, open_log
from lifecycle.observe.metrics import Looked, Metrics, pace_of_runs, pace_of_service, warning_seconds
from lifecycle.observe.textfile import Before

__all__ = [
    "Before",
    "Log",
    "Looked",
    "Metrics",
    "Names",
    "log_entry",
    "open_log",
    "pace_of_runs",
    "pace_of_service",
    "warning_seconds",
]
