"""A ZIP with exactly one form: what is read is written again, and must be the bytes that were read.

Members are stored (never compressed: nothing can expand), sorted by name, dated 1980-01-01, owned by nobody, without
extra fields or comments. So no byte of the container can be changed, hidden behind the last member or said twice, and
the same files always give the same archive. Any unzip program opens it.
"""

import re
import struct
import zlib
from collections.abc import Mapping
from typing import Final

from lifecycle.evidence.errors import Malformed

MAX_ARCHIVE: Final = 512 * 1024 * 1024
MAX_MEMBERS: Final = 65_000

# One or two levels of plain names: no way out of a directory, no drive, no hidden file.
_NAME: Final = re.compile(r"(?:[a-z]{1,20}/)?[A-Za-z0-9][A-Za-z0-9.-]{0,80}")
_LOCAL: Final = struct.Struct("<4s5H3I2H")
_CENTRAL: Final = struct.Struct("<4s6H3I5H2I")
_END: Final = struct.Struct("<4s4H2IH")
_LOCAL_SIGN: Final = b"PK\x03\x04"
_VERSION: Final = 20
_MADE_BY: Final = (3 << 8) | _VERSION
_MIDNIGHT: Final = 0
_FIRST_DAY: Final = (1 << 5) | 1
_REGULAR_0644: Final = 0o100644 << 16


def pack(files: Mapping[str, bytes]) -> bytes:
    """The archive of these files.

    Raises:
        Malformed: a name of another form, or more than the limits allow.
    """
    if len(files) > MAX_MEMBERS or sum(map(len, files.values())) > MAX_ARCHIVE:
        raise Malformed("more files or bytes than a bundle may have")
    members: list[bytes] = []
    directory: list[bytes] = []
    offset = 0
    for name in sorted(files):
        if _NAME.fullmatch(name) is None:
            raise Malformed("a file name that no bundle has")
        data, raw = files[name], name.encode("ascii")
        shape = (_MIDNIGHT, _FIRST_DAY, zlib.crc32(data), len(data), len(data), len(raw), 0)
        members += [_LOCAL.pack(_LOCAL_SIGN, _VERSION, 0, 0, *shape), raw, data]
        directory += [
            _CENTRAL.pack(b"PK\x01\x02", _MADE_BY, _VERSION, 0, 0, *shape, 0, 0, 0, _REGULAR_0644, offset),
            raw,
        ]
        offset += _LOCAL.size + len(raw) + len(data)
    listing = b"".join(directory)
    end = _END.pack(b"PK\x05\x06", 0, 0, len(files), len(files), len(listing), offset, 0)
    return b"".join([*members, listing, end])


def unpack(archive: bytes) -> dict[str, bytes]:
    """The files of an archive: ``pack(unpack(archive)) == archive``, or an error.

    Raises:
        Malformed: any other bytes than ``pack`` would have written.
    """
    if len(archive) > MAX_ARCHIVE:
        raise Malformed("larger than a bundle may be")
    files: dict[str, bytes] = {}
    position = 0
    while archive.startswith(_LOCAL_SIGN, position):
        name, data, position = _member(archive, position)
        files[name] = data
    if not files or pack(files) != archive:
        raise Malformed("not a bundle: the archive has another form than the one bundles have")
    return files


def _member(archive: bytes, position: int) -> tuple[str, bytes, int]:
    start = position + _LOCAL.size
    if start > len(archive):
        raise Malformed("the archive ends inside a file")
    header = _LOCAL.unpack_from(archive, position)
    size, name_length = header[8], header[9]
    middle, end = start + name_length, start + name_length + size
    if end > len(archive):
        raise Malformed("the archive ends inside a file")
    # Whatever byte is not ASCII makes a name that pack refuses.
    return archive[start:middle].decode("ascii", "replace"), archive[middle:end], end
