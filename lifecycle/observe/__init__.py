"""Logs and metrics, both folded from the same events."""

from lifecycle.observe.fields import Names
from lifecycle.observe.log import Log, log_entry, open_log
from lifecycle.observe.metrics import Looked, Metrics, warning_seconds

__all__ = ["Log", "Looked", "Metrics", "Names", "log_entry", "open_log", "warning_seconds"]
