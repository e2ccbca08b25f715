"""What `disable --report` writes: what was done, and each file before and after with its SHA-256, to be kept."""

import hashlib
import json
import os
import stat
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from importlib.metadata import version
from typing import Any

import click

from deepchecks_telemetry.cli.output import time_text
from deepchecks_telemetry.spool.batches.export_files import find_ledger, read_list
from deepchecks_telemetry.spool.errors import Unusable
from deepchecks_telemetry.spool.files.atomic import replace_file
from deepchecks_telemetry.spool.files.paths import Home
from deepchecks_telemetry.spool.files.residue import list_files


def describe_files(home: Home) -> list[dict[str, Any]]:
    """Path, size and SHA-256 of each existing file that `disable` is about; never in a process that has the spool open.

    The size and the SHA-256 are None for what is not a regular file, or cannot be read.
    """
    paths = dict.fromkeys([*list_files(home), *_files_elsewhere(home)])
    return [{"path": path, **_describe(path)} for path in paths if os.path.lexists(path)]


def _files_elsewhere(home: Home) -> Iterator[str]:
    for target in home.with_default:
        with suppress(Unusable):  # a list that cannot be read is reported by the wipe
            for export in read_list(target):
                yield from (export.path, export.part)
        yield find_ledger(target)


def _describe(path: str) -> dict[str, Any]:
    try:
        if stat.S_ISREG(os.lstat(path).st_mode):
            with open(path, "rb") as file:
                content = file.read()
            return {"size_bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    except OSError:
        pass
    return {"size_bytes": None, "sha256": None}


def check_new(path: str | None) -> float:
    """Fail before anything is done if the report could not be written; returns the time, in Unix seconds."""
    if path is not None and os.path.lexists(path):
        raise click.UsageError(f"--report needs the name of a new file: {path} exists.")
    if path is not None and not os.access(os.path.dirname(os.path.abspath(path)), os.W_OK):
        raise click.UsageError(f"--report cannot write {path}: its directory is missing or read-only.")
    return time.time()


def write_report(path: str, started: float, users: Sequence[dict[str, Any]]) -> None:
    """Write the report (mode 0600); each user has `user_id`, `home`, `error`, and `facts` as of `wipe_user`."""
    document = {
        "package": f"deepchecks-telemetry {version('deepchecks-telemetry')}",
        "command": "disable",
        "started": time_text(int(started)),
        "finished": time_text(int(time.time())),
        "users": users,
    }
    replace_file(path, f"{json.dumps(document, indent=2, default=repr)}\n".encode())
