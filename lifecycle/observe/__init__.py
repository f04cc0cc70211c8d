"""Logs and metrics, both folded from the same events."""
