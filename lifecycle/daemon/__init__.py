"""The service: one process that calls `flow.cycle.tick` for years, looks with other eyes, and can be watched."""

from lifecycle.daemon.service import serve

__all__ = ["serve"]
