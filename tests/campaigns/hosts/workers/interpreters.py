"""A host that records in its main interpreter, while subinterpreters that load sqlite3 call `record()` too.

python -m ... COUNT
"""

import importlib
import os
import threading
from typing import Any

from tests.campaigns.hosts.program import Journal, run_host

ONE_AT_A_TIME = threading.Lock()
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
        run(code, threading.Barrier(1))
        both = threading.Barrier(2)
        threads = [threading.Thread(target=run, args=(code, both)) for _ in range(2)]
        for thread in threads:
            thread.start()
        journal.record(5)
        for thread in threads:
            thread.join()
    journal.record(5)
    journal.count("wanted", 3 * int(count))


def run(code: str, created: threading.Barrier) -> None:
    """Run code in a new interpreter, when all have been created.

    CPython 3.12 and 3.13 can fail to create an interpreter while another one is created, or imports modules
    (gh-128381).
    """
    interpreters: Any = find()
    with ONE_AT_A_TIME:
        number = interpreters.create()
    created.wait(30)
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
