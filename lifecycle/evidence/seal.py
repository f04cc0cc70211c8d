"""Sealing: records that only this deployment can open again, until the key is destroyed.

The sealed form is a version byte, a 12-byte nonce and the ChaCha20-Poly1305 ciphertext with its tag (RFC 8439). The
version byte is authenticated together with the caller's purpose.
"""

import os
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from lifecycle.evidence.errors import SealBroken

KEY_BYTES: Final = 32
NONCE_BYTES: Final = 12
OVERHEAD: Final = 1 + NONCE_BYTES + 16

_VERSION: Final = b"\x01"


def seal(key: bytes, plaintext: bytes, aad: bytes, *, nonce: bytes | None = None) -> bytes:
    """Encrypt and authenticate.

    Args:
        key: 32 bytes.
        plaintext: what to seal.
        aad: the purpose and the place of the record (a batch id, for one); the same bytes open it, no others do.
        nonce: 12 bytes that this key never saw before; by default from the operating system's random numbers, which
            is safe for about 2**32 records per key.

    Raises:
        SealBroken: a key or nonce of another length.
    """
    used = os.urandom(NONCE_BYTES) if nonce is None else nonce
    if len(used) != NONCE_BYTES:
        raise SealBroken("a nonce has 12 bytes")
    return _VERSION + used + _cipher(key).encrypt(used, plaintext, _VERSION + aad)


def open_sealed(key: bytes, sealed: bytes, aad: bytes) -> bytes:
    """The plaintext of a sealed record.

    Raises:
        SealBroken: another key, another purpose, or any changed byte.
    """
    if len(sealed) < OVERHEAD or sealed[:1] != _VERSION:
        raise SealBroken("not a sealed record of this version")
    nonce, ciphertext = sealed[1 : 1 + NONCE_BYTES], sealed[1 + NONCE_BYTES :]
    try:
        return _cipher(key).decrypt(nonce, ciphertext, _VERSION + aad)
    except InvalidTag:
        raise SealBroken("the record does not open with this key for this purpose") from None


def _cipher(key: bytes) -> ChaCha20Poly1305:
    if len(key) != KEY_BYTES:
        raise SealBroken("a sealing key has 32 bytes")
    return ChaCha20Poly1305(key)
