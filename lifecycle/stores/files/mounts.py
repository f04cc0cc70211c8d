"""What the system says of mounted file systems: where one begins below a root, and whether it is another host's."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

REMOTE = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "ceph", "glusterfs", "lustre", "fuse.sshfs", "fuse.s3fs"}
)
_OCTAL = re.compile(rb"\\([0-7]{3})")
LEAST_BYTES, LEAST_FILES = 1 << 20, 64
"""What must be free for fence, receipts and lists. Moving files aside needs no room."""


@dataclass(frozen=True, slots=True)
class Mounts:
    """How many file systems are mounted below a root, and the kind of the one that it lies on."""

    below: int
    kind: str

    @property
    def remote(self) -> bool:
        """Tell whether another host serves it: locks and times are then as good as that host's."""
        return self.kind in REMOTE


def mounts(root: bytes, table: bytes | None = None) -> Mounts:
    """Read the mounts around a root; `table` is the system's own, or an example of it."""
    listed = Path("/proc/self/mountinfo").read_bytes() if table is None else table
    real = os.path.realpath(root)
    below, longest, kind = 0, -1, ""
    for line in listed.splitlines():
        fields, _, rest = line.partition(b" - ")
        point = _OCTAL.sub(lambda found: bytes([int(found[1], 8)]), fields.split(b" ")[4])
        below += _inside(point, real) and point != real
        if _inside(real, point) and len(point) >= longest:
            longest, kind = len(point), os.fsdecode(rest.split(b" ")[0])
    return Mounts(below, kind)


def _inside(path: bytes, folder: bytes) -> bool:
    return path == folder or path.startswith(folder.rstrip(b"/") + b"/")


def full(system: os.statvfs_result) -> bool:
    """Tell whether there is no room left for our own files; a file system that does not count files has files 0."""
    return system.f_bavail * system.f_frsize < LEAST_BYTES or (system.f_files > 0 and system.f_favail < LEAST_FILES)
