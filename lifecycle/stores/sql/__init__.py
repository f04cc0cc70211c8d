"""Relational databases behind the store seam: PostgreSQL, MariaDB and SQLite."""

from lifecycle.stores.sql.store import SqlStore

__all__ = ["SqlStore"]
