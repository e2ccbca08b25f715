"""An embedded receiver for one machine or one isolated network.

A request's way: `app` (HTTP, limits) → `wire` (OTLP to rows) → `store` (SQLite); `serve` runs it, `report` counts it.
Only serving needs the extra `[collector]`; a report does not.
"""

from deepchecks_telemetry.collector.errors import CollectorError
from deepchecks_telemetry.collector.report import Report, report
from deepchecks_telemetry.collector.serve import HOST, PORT, running, serve

__all__ = ["HOST", "PORT", "CollectorError", "Report", "report", "running", "serve"]
