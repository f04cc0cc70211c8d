"""Writes a package of many rows in a process of its own and prints its peak memory in KiB, and rows a second of CPU."""

from __future__ import annotations

import contextlib
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from lifecycle.exports import ExportDataset, write_package
from lifecycle.ports.store import Rows

COLUMNS = ("id", "tenant_id", "subject", "body", "created_at")


def main(path: str, count: str) -> None:
    moment = datetime(2026, 3, 4, tzinfo=UTC)
    rows = ((n, "acme", f"Betreff {n}", "Text " * 8, moment) for n in range(int(count)))
    dataset = ExportDataset("tickets", "main", "communication", contextlib.nullcontext(Rows(COLUMNS, 1, rows)))
    begin = time.process_time()
    manifest = write_package(
        Path(path),
        [dataset],
        export="x-1",
        alias="t-" + "a" * 16,
        tenant="acme",
        created_at=moment,
        key=b"k" * 32,
    )
    seconds = time.process_time() - begin
    # Not ru_maxrss: that one is inherited from whoever started us.
    status = Path("/proc/self/status").read_text()
    peak = int(status.partition("VmHWM:")[2].split()[0])
    print(manifest.rows(), peak, int(manifest.rows() / seconds))


if __name__ == "__main__":
    main(*sys.argv[1:])
