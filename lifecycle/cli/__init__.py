"""The command line: parse, one flow call, show. `lifecycle --help` lists the verbs."""

import sys


def main() -> None:
    """Run the command line and end the process with its exit code."""
    try:
        from lifecycle.cli.app import root

        root.main(prog_name="lifecycle")
    except KeyboardInterrupt:
        # Before the command line could take it: nothing has begun.
        sys.exit(130)
