"""Describes the machine of a run, without the names of the machine and the user."""

import os
import platform
import sqlite3
from datetime import datetime, timezone
from pathlib import Path


def describe() -> dict[str, str | int]:
    """The processor, the kernel, the versions and the date."""
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)),
        "system": f"{platform.system()} {platform.release().partition('-')[0]}",
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "date": datetime.now(timezone.utc).date().isoformat(),
    }


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.machine()
