"""Runs one target under atheris, guided by the coverage of our code: `python -m tests.fuzz courier DIR… -runs=1000`.

The options are libFuzzer's: new inputs are written to the first directory, inputs of the others are only read. Given a
file instead, it runs this one input, to repeat a crash.
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

MEMORY = "/dev/shm"  # ten times as fast as on a disk
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
    """Run the target until libFuzzer's options end it, or an input fails."""
    logging.disable()  # urllib3 logs every header that it cannot parse
    with tempfile.TemporaryDirectory(dir=MEMORY if os.path.isdir(MEMORY) else None) as scratch:
        folder = Path(scratch)
        words = folder / "words"
        words.write_text("".join(f'"{word}"\n' for word in sorted({*NAMED, *TOKENS})), "ascii")
        atheris.Setup(["fuzz", f"-dict={words}", *options], lambda data: TARGETS[name](folder, data) and None)
        atheris.Fuzz()


if __name__ == "__main__":
    main(*sys.argv[1:])
