"""All dashboards, in the order in which somebody opens them."""

from __future__ import annotations

from typing import Final

from scripts.dashboards.evidence import EVIDENCE
from scripts.dashboards.promises import PROMISES
from scripts.dashboards.runs import RUNS

DASHBOARDS: Final = (PROMISES, RUNS, EVIDENCE)
