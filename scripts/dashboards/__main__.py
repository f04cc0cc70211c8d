"""Write the Grafana dashboards: `python scripts/dashboards [--check | --show URL]`.

(nothing)    write deploy/grafana/*.json from the pages in scripts/dashboards
--check      exit 1 when a file is not what the code makes
--show URL   print every panel's present values, asked from the Prometheus at URL; --span 1h for rates
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from scripts.dashboards import grafana, show  # noqa: E402  # a command finds its own folder first
from scripts.dashboards.pages import DASHBOARDS  # noqa: E402


def files() -> dict[Path, str]:
    """Return every file and its text."""
    return {ROOT / "deploy/grafana" / f"{one.uid}.json": grafana.document(one) for one in DASHBOARDS}


def main() -> int:
    """Do what the arguments say; 1: a file differs."""
    parser = argparse.ArgumentParser(prog="python scripts/dashboards", description="The Grafana dashboards.")
    parser.add_argument("--check", action="store_true", help="exit 1 when a file is not what the code makes")
    parser.add_argument("--show", metavar="URL", help="print every panel's values, asked from this Prometheus")
    parser.add_argument("--span", default="5m", help="how far back rates and increases look (with --show)")
    asked = parser.parse_args()
    if asked.show:
        print(show.table(show.answers(asked.show, span=asked.span)), end="")
        return 0
    folder = ROOT / "deploy/grafana"
    differing = [path for path, text in files().items() if not path.exists() or path.read_text("utf-8") != text]
    left_over = sorted(set(folder.glob("*.json")) - set(files()))
    if asked.check:
        for path in (*differing, *left_over):
            print(f"{path.relative_to(ROOT)}: differs; run `python scripts/dashboards`")
        return 1 if differing or left_over else 0
    folder.mkdir(parents=True, exist_ok=True)
    for path, text in files().items():
        path.write_text(text, "utf-8")
    for path in left_over:
        path.unlink()
    return 0


if __name__ == "__main__":
    sys.exit(main())
