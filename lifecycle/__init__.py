"""Keeps the deletion promises of data-processing agreements, and proves it."""

__version__ = "0.1.0"
