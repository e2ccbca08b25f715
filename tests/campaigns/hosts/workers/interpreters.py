"""A host that records in its main interpreter, while subinterpreters that load sqlite3 call `record()` too.

python -m ... COUNT
"""

import importlib
import os
import threading
from typing import Any

from tests.campaigns.hosts.program import Journal, run_host

CODE = """
import sys
sys.path[:] = {path!r}
try:
    import sqlite3
except ImportError:
    sqlite3 = None  # this Python does not load it in a subinterpreter
if sqlite3:
    from tests.campaigns.hosts.program import Journal
    journal = Journal()
    journal.count("stored_by_subinterpreters", journal.record(20))
    journal.count("interpreters")
    journal.write()
"""


def main(journal: Journal, count: str) -> None:
    """Record in this interpreter; call `record()` in others, one after the other and two at a time."""
    import sys

    journal.record(5)
    code = CODE.format(path=[os.getcwd(), *sys.path])
    for _ in range(int(count)):
        run(code)
        threads = [threading.Thread(target=run, args=(code,)) for _ in range(2)]
        for thread in threads:
            thread.start()
        journal.record(5)
        for thread in threads:
            thread.join()
    journal.record(5)
    journal.count("wanted", 3 * int(count))


def run(code: str) -> None:
    """Run code in a new interpreter."""
    interpreters: Any = find()
    number = interpreters.create()
    failure = getattr(interpreters, "exec", interpreters.run_string)(number, code)
    assert failure is None, failure.formatted
    interpreters.destroy(number)


def find() -> Any:
    """The module of this Python."""
    try:
        return importlib.import_module("_interpreters")
    except ModuleNotFoundError:
        return importlib.import_module("_xxsubinterpreters")


if __name__ == "__main__":
    run_host(main)
