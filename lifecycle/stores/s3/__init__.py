"""Object storage that speaks S3: every version, every delete marker, every upload in flight."""

from lifecycle.stores.s3.lists import open_keys
from lifecycle.stores.s3.store import ObjectStore

__all__ = ["ObjectStore", "open_keys"]
