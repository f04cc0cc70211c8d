"""A store in memory."""

from lifecycle.stores.memory.listed import ListedMemoryStore
from lifecycle.stores.memory.reading import open_keys
from lifecycle.stores.memory.store import MemoryStore

__all__ = ["ListedMemoryStore", "MemoryStore", "open_keys"]
