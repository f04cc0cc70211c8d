"""`lifecycle verify`: the offline verifier, as a process of its own that imports nothing but `lifecycle.evidence`."""

from __future__ import annotations

from pathlib import Path

import click

from lifecycle.cli.session import Session, pass_session, verb, write


@verb("verify", example="verify acme.bundle --trust trust.yaml")
@click.argument("bundle", type=click.Path(path_type=Path), metavar="BUNDLE")
@click.option("--trust", type=click.Path(path_type=Path), required=True, metavar="FILE", help="The trust file.")
@click.option("--now", metavar="INSTANT", help="Refuse dates after this UTC instant, YYYY-MM-DDTHH:MM:SSZ.")
@pass_session
def command(session: Session, bundle: Path, trust: Path, now: str | None) -> None:
    """Verify a certificate's bundle offline: 0 valid, 1 invalid, 2 usage, 3 a proof is missing."""
    import subprocess
    import sys

    # -I: neither the folder it is called from nor the environment can put another module in its way.
    call = [
        sys.executable,
        "-I",
        "-m",
        "lifecycle.evidence",
        "--trust",
        str(trust),
        *(["--json"] if session.json else []),
    ]
    call += ["--now", now] if now else []
    done = subprocess.run([*call, "--", str(bundle)], capture_output=True, text=True, check=False)
    session.emitted = bool(done.stdout)
    write(done.stderr, error=True)
    if session.json or not session.quiet:
        write(done.stdout)
    raise click.exceptions.Exit(done.returncode)
