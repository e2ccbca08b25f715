"""An embedded receiver for one machine or one isolated network.

A request's way: `connection` (slow clients) → `app` (HTTP) → `intake` (limits) → `encoding` and `wire` (OTLP to rows)
→ `store` (SQLite). `serve` runs it, `loading` takes courier files in. What was stored is read by `report`, under the
rules of `cells`, and shown by `sheet` (CSV) and `page` (HTML), as `texts`. Only serving needs the extra `[collector]`.
"""

from deepchecks_telemetry.collector.cells import MIN_CELL, Cell, Share
from deepchecks_telemetry.collector.errors import CollectorError
from deepchecks_telemetry.collector.loading import Loaded, load
from deepchecks_telemetry.collector.page import as_html
from deepchecks_telemetry.collector.report import Report, report
from deepchecks_telemetry.collector.serve import HOST, PORT, TOKEN_VARIABLE, running, serve
from deepchecks_telemetry.collector.sheet import as_csv

__all__ = [
    "HOST",
    "MIN_CELL",
    "PORT",
    "TOKEN_VARIABLE",
    "Cell",
    "CollectorError",
    "Loaded",
    "Report",
    "Share",
    "as_csv",
    "as_html",
    "load",
    "report",
    "running",
    "serve",
]
