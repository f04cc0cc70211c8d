"""Folders as a store: documents under tenants' folders, and rotated logs."""

from lifecycle.stores.files.lists import open_keys
from lifecycle.stores.files.store import FilesStore

__all__ = ["FilesStore", "open_keys"]
