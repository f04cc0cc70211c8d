"""A service that dies at a failpoint: `python child.py FOLDER NAME HIT`."""

import os
import signal
import sys
from pathlib import Path

from lifecycle.daemon import serve
from lifecycle.wiring.deployment import Options


def main() -> int:
    """Serve, and be gone at the HIT-th time that NAME is reached, as a power cut does it."""
    folder, name, hit = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    hits = 0

    def failpoint(reached: str) -> None:
        nonlocal hits
        hits += reached == name
        if reached == name and hits == hit:
            sys.stdout.flush()
            os.kill(os.getpid(), signal.SIGKILL)

    return serve(folder, sys.stdout, Options(failpoint=failpoint))


if __name__ == "__main__":
    sys.exit(main())
