"""A dashboard's numbers without Grafana: each panel's queries, answered by a Prometheus, as a table of text."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode
from urllib.request import urlopen

from scripts.dashboards.pages import DASHBOARDS
from scripts.dashboards.panels import Dashboard, Panel, Query

_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Answer:
    """What one query of one panel returned: series by the text of their legend, with their values."""

    dashboard: Dashboard
    panel: Panel
    query: Query
    values: tuple[tuple[str, float], ...]


def concrete(expression: str, *, span: str = "5m", job: str = ".*") -> str:
    """Return the expression as Prometheus takes it: Grafana's variables replaced."""
    return expression.replace("$job", job).replace("$__rate_interval", span).replace("$__range", span)


def answers(url: str, *, span: str = "5m", job: str = ".*") -> Iterator[Answer]:
    """Ask a Prometheus every query of every panel; `job`: a regular expression of the deployments."""
    for dashboard in DASHBOARDS:
        for panel in dashboard.panels():
            for query in panel.queries:
                yield Answer(dashboard, panel, query, _ask(url, query, concrete(query.expression, span=span, job=job)))


def table(found: Iterator[Answer]) -> str:
    """Return the answers as lines: panel, series, value."""
    lines: list[str] = []
    title = ""
    for answer in found:
        if answer.dashboard.title != title:
            title = answer.dashboard.title
            lines += ["", f"== {title} =="]
        values = answer.values or (("", math.nan),)
        for legend, value in values:
            lines.append(f"{answer.panel.title:44} {legend:44} {_text(value, answer)}".rstrip())
    return "\n".join(lines).strip() + "\n"


def _ask(url: str, query: Query, expression: str) -> tuple[tuple[str, float], ...]:
    asked = urlencode({"query": expression})
    with urlopen(f"{url.rstrip('/')}/api/v1/query?{asked}", timeout=_SECONDS) as answer:  # noqa: S310  # the caller's own address
        result = json.load(answer)["data"]["result"]
    return tuple((_legend(query, series["metric"]), float(series["value"][1])) for series in result)


def _legend(query: Query, labels: dict[str, Any]) -> str:
    legend = query.legend
    for name, value in labels.items():
        legend = legend.replace(f"{{{{{name}}}}}", value)
    return legend


def _text(value: float, answer: Answer) -> str:
    if not answer.values:
        return f"none ({answer.query.may_be_empty})" if answer.query.may_be_empty else "none"
    unit = {"short": "", "ops": "/s", "bool_on_off": "", "bytes": " B"}.get(answer.panel.unit, f" {answer.panel.unit}")
    return "none" if math.isnan(value) else f"{value:,.6g}{unit}"
