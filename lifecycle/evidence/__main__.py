"""``python -m lifecycle.evidence BUNDLE --trust FILE``: the offline verifier."""

import argparse
import datetime as dt
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from lifecycle.evidence.archive import MAX_ARCHIVE
from lifecycle.evidence.bundle import read_limited
from lifecycle.evidence.errors import EvidenceError
from lifecycle.evidence.report import as_json, as_text
from lifecycle.evidence.schema import parse_instant
from lifecycle.evidence.trust import MAX_TRUST, Trust
from lifecycle.evidence.verify import verify

EXIT: Final = {"valid": 0, "invalid": 1, "incomplete": 3}
USAGE: Final = 2

_DESCRIPTION: Final = """\
Verify a deletion certificate offline.

Needs no network, no database and no settings: everything is recomputed from the bundle's bytes, the public keys and
the anchors in the trust file. Get the trust file from the issuer by another way than the certificate, and keep it.
"""
_EPILOG: Final = """\
exit codes:
  0  valid       the certificate holds
  1  invalid     something contradicts it: do not rely on it
  2  usage       the command line, the trust file, or a file that cannot be read
  3  incomplete  nothing contradicts it, but a proof is missing (most often for an anchor of the trust file)
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Verify, print the report, return the exit code."""
    arguments = _parser().parse_args(argv)
    try:
        trust = Trust.parse(read_limited(arguments.trust, MAX_TRUST))
        data = read_limited(arguments.bundle, MAX_ARCHIVE)
    except EvidenceError as error:
        print(f"lifecycle.evidence: {error}; {error.advice()}", file=sys.stderr)
        return USAGE
    report = verify(data, trust, now=arguments.now)
    _print(as_json(report) if arguments.json else as_text(report))
    return EXIT[report.verdict]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m lifecycle.evidence",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("bundle", metavar="BUNDLE", type=Path, help="the bundle to verify")
    parser.add_argument("--trust", metavar="FILE", type=Path, required=True, help="the trust file (JSON)")
    parser.add_argument(
        "--now",
        metavar="INSTANT",
        type=_instant,
        help="refuse dates after this UTC instant, YYYY-MM-DDTHH:MM:SSZ; by default dates are only compared with each "
        'other (today: --now "$(date -u +%%FT%%TZ)")',
    )
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    return parser


def _instant(text: str) -> dt.datetime:
    try:
        return parse_instant(text)
    except EvidenceError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _print(text: str) -> None:
    """Print whatever the terminal's encoding is, and however early its reader leaves: the exit code is the verdict."""
    encoding = sys.stdout.encoding or "ascii"
    try:
        print(text.encode(encoding, "backslashreplace").decode(encoding), flush=True)
    except BrokenPipeError:
        # Python would complain once more when it closes standard output.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    sys.exit(main())
