"""An embedded receiver for one machine or one isolated network; only serving needs the extra `[collector]`.

The modules, in the order in which a request meets them:

server/      slow clients, the HTTP application, limits, the process
codec        compressed and encoded bodies
otlp         OTLP to rows
store        the SQLite store, each row once
loader       batches from files instead of requests
reporting/   the report: queries, suppression of small counts, text, CSV, HTML
errors       the exceptions of this package
"""

from deepchecks_telemetry.collector.errors import CollectorError
from deepchecks_telemetry.collector.loader import Loaded, load
from deepchecks_telemetry.collector.reporting.csv import as_csv
from deepchecks_telemetry.collector.reporting.html import as_html
from deepchecks_telemetry.collector.reporting.query import Report, report
from deepchecks_telemetry.collector.reporting.suppression import MIN_CELL, Cell, Share
from deepchecks_telemetry.collector.server.serve import HOST, PORT, TOKEN_VARIABLE, running, serve

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
