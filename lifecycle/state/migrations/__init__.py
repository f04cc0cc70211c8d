"""Alembic's scripts for our own state."""
