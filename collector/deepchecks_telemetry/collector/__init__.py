"""An embedded receiver for one machine or one isolated network; only serving needs the extra `[collector]`.

server/      the HTTP application, limits of memory, slow clients, the process
codec        OTLP as JSON and as protobuf
otlp         converts a request to rows of the catalogue
store        the SQLite store, each uid once
tables/      its tables and views, the sums that a report reads, the migration
loader       loads files instead of requests
reporting/   the report: queries, rounding of small counts, text, CSV, HTML
errors       the exceptions of this package
__main__     the child process of `running`
"""

from deepchecks_telemetry.collector.errors import CollectorError, ReportError
from deepchecks_telemetry.collector.loader import Loaded, load
from deepchecks_telemetry.collector.reporting import wording
from deepchecks_telemetry.collector.reporting.csv import as_csv
from deepchecks_telemetry.collector.reporting.options import BY, Options
from deepchecks_telemetry.collector.reporting.query import Report, report
from deepchecks_telemetry.collector.reporting.rounding import MIN_CELL, Cell
from deepchecks_telemetry.collector.server.serve import HOST, PORT, running, serve
from deepchecks_telemetry.collector.store import reading

__all__ = [
    "BY",
    "HOST",
    "MIN_CELL",
    "PORT",
    "Cell",
    "CollectorError",
    "Loaded",
    "Options",
    "Report",
    "ReportError",
    "as_csv",
    "load",
    "reading",
    "report",
    "running",
    "serve",
    "wording",
]
