"""A host with subinterpreters, each of which records where this Python loads sqlite3 in it.

python -m ... COUNT
"""

import importlib
import os
import threading
from typing import Any

from tests.campaigns.hosts.program import Book, play

CODE = """
import sys
sys.path[:] = {path!r}
try:
    import sqlite3
except ImportError:
    sqlite3 = None  # this Python does not load it in a subinterpreter
if sqlite3:
    from tests.campaigns.hosts.program import Book
    book = Book()
    book.record(20)
    book.count("interpreters")
    book.write()
"""


def main(book: Book, count: str) -> None:
    """Record in this interpreter, and in others, one after the other and two at a time."""
    import sys

    book.record(5)
    code = CODE.format(path=[os.getcwd(), *sys.path])
    for _ in range(int(count)):
        run(code)
        threads = [threading.Thread(target=run, args=(code,)) for _ in range(2)]
        for thread in threads:
            thread.start()
        book.record(5)
        for thread in threads:
            thread.join()
    book.record(5)
    book.count("wanted", 3 * int(count))


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
    play(main)
