"""Relational databases behind the store seam: PostgreSQL, MariaDB and SQLite."""
