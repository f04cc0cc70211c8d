"""A store in memory."""

from lifecycle.stores.memory.reading import open_keys
from lifecycle.stores.memory.store import MemoryStore

__all__ = ["MemoryStore", "open_keys"]
