"""Grafana's JSON of a dashboard: file-provisioned, without ids of an installation, the same bytes every time."""

from __future__ import annotations

import json
from typing import Any, Final

from scripts.dashboards.panels import Dashboard, Panel, Query

SCHEMA: Final = 39
"""Version of the dashboard model that the keys below are of (Grafana 10.4 and later)."""

_COLUMNS: Final = 24
_HEIGHT: Final = {"stat": 5, "bars": 9, "lines": 9, "table": 5}
_TYPE: Final = {"stat": "stat", "bars": "bargauge", "lines": "timeseries", "table": "table"}
_SOURCE: Final = {"type": "prometheus", "uid": "${datasource}"}
_LAST: Final = {"calcs": ["lastNotNull"], "fields": "", "values": False}


def document(dashboard: Dashboard) -> str:
    """Return a dashboard's file."""
    made: dict[str, Any] = {
        "uid": dashboard.uid,
        "title": dashboard.title,
        "description": dashboard.what,
        "tags": ["lifecycle"],
        "schemaVersion": SCHEMA,
        "editable": False,
        "refresh": "1m",
        "time": {"from": "now-24h", "to": "now"},
        "timezone": "browser",
        "links": [{"type": "dashboards", "tags": ["lifecycle"], "title": "lifecycle", "asDropdown": False}],
        "templating": {"list": _variables()},
        "annotations": {"list": [_firing()]},
        "panels": _panels(dashboard),
    }
    return json.dumps(made, indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def _variables() -> list[dict[str, Any]]:
    job = "label_values(lifecycle_build_info, job)"
    return [
        {"name": "datasource", "type": "datasource", "query": "prometheus", "label": "Prometheus"},
        {
            "name": "job",
            "type": "query",
            "label": "Deployment",
            "datasource": _SOURCE,
            "definition": job,
            "query": {"query": job, "refId": "job"},
            "includeAll": True,
            "multi": True,
            "current": {"text": ["All"], "value": ["$__all"]},
            "refresh": 2,
            "sort": 1,
        },
    ]


def _firing() -> dict[str, Any]:
    return {
        "name": "Alerts",
        "datasource": _SOURCE,
        "enable": True,
        "expr": 'ALERTS{service="lifecycle", severity=~"page|ticket", alertstate="firing"}',
        "titleFormat": "{{alertname}}",
        "textFormat": "{{rule}} {{store}}",
        "iconColor": "red",
        "step": "60s",
    }


def _panels(dashboard: Dashboard) -> list[dict[str, Any]]:
    made: list[dict[str, Any]] = []
    top = 0
    for title, panels in dashboard.rows:
        made.append(_placed(len(made) + 1, 0, top, _COLUMNS, 1) | {"type": "row", "title": title, "panels": []})
        top, left, height = top + 1, 0, 0
        for panel in panels:
            if left + panel.width > _COLUMNS:
                top, left, height = top + height, 0, 0
            tall = _HEIGHT[panel.kind]
            made.append(_placed(len(made) + 1, left, top, panel.width, tall) | _panel(panel))
            left, height = left + panel.width, max(height, tall)
        top += height
    return made


def _placed(number: int, left: int, top: int, width: int, height: int) -> dict[str, Any]:
    return {"id": number, "gridPos": {"x": left, "y": top, "w": width, "h": height}}


def _panel(panel: Panel) -> dict[str, Any]:
    return {
        "type": _TYPE[panel.kind],
        "title": panel.title,
        "description": panel.what,
        "datasource": _SOURCE,
        "targets": [_target(number, panel, query) for number, query in enumerate(panel.queries)],
        "fieldConfig": {"defaults": _defaults(panel), "overrides": []},
        "options": _options(panel),
    }


def _target(number: int, panel: Panel, query: Query) -> dict[str, Any]:
    now = panel.kind != "lines"
    return {
        "refId": chr(ord("A") + number),
        "datasource": _SOURCE,
        "expr": query.expression,
        "legendFormat": query.legend or "__auto",
        "instant": now,
        "range": not now,
        "format": "table" if panel.kind == "table" else "time_series",
    }


def _defaults(panel: Panel) -> dict[str, Any]:
    steps = [{"value": value, "color": colour} for value, colour in panel.steps]
    drawn = {"custom": {"fillOpacity": 8, "lineWidth": 1, "showPoints": "never"}} if panel.kind == "lines" else {}
    # Colours by threshold say good or bad; lines are told apart by the palette.
    mode = "palette-classic" if panel.kind == "lines" else "thresholds"
    return {
        "unit": panel.unit,
        "color": {"mode": mode},
        "thresholds": {"mode": "absolute", "steps": steps},
        "noValue": "none",
        **drawn,
    }


def _options(panel: Panel) -> dict[str, Any]:
    match panel.kind:
        case "stat":
            return {"reduceOptions": _LAST, "colorMode": "background", "graphMode": "none", "textMode": "auto"}
        case "bars":
            return {"reduceOptions": _LAST, "orientation": "horizontal", "displayMode": "basic", "minVizHeight": 16}
        case "lines":
            return {
                "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True},
                "tooltip": {"mode": "multi", "sort": "desc"},
            }
        case "table":
            return {"showHeader": True}
