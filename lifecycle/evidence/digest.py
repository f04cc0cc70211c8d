"""Digests that may stand in evidence.

A bare hash is for public bytes (plans, documents, statements). Whatever could be guessed — ids, row keys, tenants —
gets a *keyed* digest: a bare hash of an id is reversed in seconds, a keyed one only while the key exists.
"""

import base64
import hashlib
import hmac
from typing import Final

from lifecycle.evidence.errors import KeyRefused

_ALIAS_BYTES: Final = 10
_MIN_KEY: Final = 32


def digest(data: bytes) -> str:
    """``sha256:`` and 64 hexadecimal digits."""
    return "sha256:" + hashlib.sha256(data).hexdigest()


def keyed_digest(key: bytes, data: bytes) -> str:
    """``hmac-sha256:`` and 64 hexadecimal digits.

    Raises:
        KeyRefused: a key of less than 32 bytes.
    """
    return "hmac-sha256:" + _mac(key, b"lifecycle/digest/v1\n", data).hex()


def alias_for(key: bytes, tenant_id: str) -> str:
    """A tenant's opaque name in the log: ``t-`` and 16 base32 characters, stable under one deployment's key.

    The id is taken as it is: no case folding, no Unicode normalisation; two ids that differ are two tenants.

    Raises:
        KeyRefused: a key of less than 32 bytes.
    """
    mac = _mac(key, b"lifecycle/tenant-alias/v1\n", tenant_id.encode())
    return "t-" + base64.b32encode(mac[:_ALIAS_BYTES]).decode("ascii").lower()


def _mac(key: bytes, purpose: bytes, data: bytes) -> bytes:
    if len(key) < _MIN_KEY:
        raise KeyRefused("a digest key has at least 32 bytes")
    return hmac.digest(key, purpose + data, "sha256")
