"""The command line: parse, one flow call, show. `lifecycle --help` lists the verbs."""


def main() -> None:
    """Run the command line and end the process with its exit code."""
    from lifecycle.cli.app import root

    root.main(prog_name="lifecycle")
