"""Runs one target under atheris, guided by the coverage of our code: `python -m tests.fuzz courier FOLDER… -runs=1000`.

The options are libFuzzer's: new inputs go into the first folder, the inputs of the others are read too. Given a file
instead, it is that one input which is run: so a crash is repeated.
"""

import logging
import os
import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["deepchecks_telemetry", "email._parseaddr"]):
    from tests.fuzz.files import NAMED
    from tests.fuzz.targets import TARGETS

MEMORY = "/dev/shm"  # ten times as fast as a disk
TOKENS = (
    "on",
    "local",
    "off",
    "allow-http",
    "https://a.example",
    "partialSuccess",
    "rejectedLogRecords",
    "1e999",
    "[[[[",
)


def main(name: str, *options: str) -> None:
    """Feed the target until libFuzzer's options say that it is enough, or an input breaks it."""
    logging.disable()  # urllib3 tells of every header that it cannot read
    with tempfile.TemporaryDirectory(dir=MEMORY if os.path.isdir(MEMORY) else None) as scratch:
        folder = Path(scratch)
        words = folder / "words"
        words.write_text("".join(f'"{word}"\n' for word in sorted({*NAMED, *TOKENS})), "ascii")
        atheris.Setup(["fuzz", f"-dict={words}", *options], lambda data: TARGETS[name](folder, data) and None)
        atheris.Fuzz()


if __name__ == "__main__":
    main(*sys.argv[1:])
