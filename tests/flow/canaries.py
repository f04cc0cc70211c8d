"""Looking for values that must not be there: plain, encoded, or as a hash that anybody could compute again."""

from __future__ import annotations

import base64
import hashlib
import io
import re
import zipfile
from collections.abc import Iterator, Mapping

_HASHES = ("md5", "sha1", "sha224", "sha256", "sha384", "sha512", "blake2b", "blake2s", "sha3_256")
_BASE64 = re.compile(rb"[A-Za-z0-9+/_-]{16,}={0,2}")
_SHORTEST = 16
"""Hex digits of a shortened hash that still count as that hash."""


def found(canaries: Mapping[str, str], haystacks: Mapping[str, bytes], prefixes: tuple[str, ...] = ()) -> set[str]:
    """Return `canary in haystack (form)` for everything that was found."""
    needles = {name: dict(_forms(value, prefixes)) for name, value in canaries.items()}
    hits: set[str] = set()
    for place, body in haystacks.items():
        whole = b"\n".join(_parts(body))
        lower = whole.lower()
        for name, forms in needles.items():
            shown = (form for form, needle in forms.items() if needle in (lower if form.islower() else whole))
            hits |= {f"{name} in {place} ({form})" for form in shown}
    return hits


def _forms(value: str, prefixes: tuple[str, ...]) -> Iterator[tuple[str, bytes]]:
    """Yield every form; a lower-case name is looked for without regard to case."""
    plain = value.encode()
    yield "plain", plain.lower()
    yield "hex", plain.hex().encode()
    yield "utf-16", value.encode("utf-16-le").lower()
    for shift in range(3):
        # At each of the three places at which a value can begin within a longer text in base64.
        encoded = base64.b64encode(b"\0" * shift + plain)
        start, stop = (0, 2, 3)[shift], len(encoded) - (4 if (shift + len(plain)) % 3 else 0)
        yield f"BASE64 {shift}", encoded[start:stop]
    for prefix in ("", *prefixes):
        for spelled in {value, value.lower()}:
            for algorithm in _HASHES:
                digest = hashlib.new(algorithm, (prefix + spelled).encode()).digest()
                label = f"{algorithm} of {prefix!r}"
                yield f"{label} hex".lower(), digest.hex()[:_SHORTEST].encode()
                yield f"{label} RAW", digest[:12]
                yield f"{label} BASE64", base64.b64encode(digest)[:16]
                yield f"{label} URLSAFE", base64.urlsafe_b64encode(digest)[:16]
                yield f"{label} base32".lower(), base64.b32encode(digest)[:16].lower()


def _parts(body: bytes, depth: int = 3) -> Iterator[bytes]:
    """Yield the body, what is packed in it, and what its base64 texts say."""
    yield body
    if not depth:
        return
    if zipfile.is_zipfile(io.BytesIO(body)):
        with zipfile.ZipFile(io.BytesIO(body)) as archive:
            for name in archive.namelist():
                yield name.encode()
                yield from _parts(archive.read(name), depth - 1)
    for match in _BASE64.finditer(body):
        text = match[0].rstrip(b"=")
        text = text.replace(b"-", b"+").replace(b"_", b"/")
        text = text[: len(text) - (len(text) % 4 == 1)]
        yield from _parts(base64.b64decode(text + b"=" * (-len(text) % 4)), depth - 1)
