"""A daemon whose worker hangs: `python hanging.py FOLDER FILE`. While FILE exists, no announced batch goes on."""

import sys
import threading
from pathlib import Path

from lifecycle.daemon import serve
from lifecycle.wiring.deployment import Options


def main() -> int:
    """Serve; at the point between a batch's announcement and its transaction, wait for the file to go."""
    folder, file = Path(sys.argv[1]), Path(sys.argv[2])
    pause = threading.Event()

    def failpoint(name: str) -> None:
        while name == "intent.after" and file.exists():
            pause.wait(0.05)

    return serve(folder, sys.stdout, Options(failpoint=failpoint))


if __name__ == "__main__":
    sys.exit(main())
