"""The fuzzed parsers by name; each target takes a working directory and an input, and returns what happened to it."""

from collections.abc import Callable
from pathlib import Path

from tests.fuzz.answers import answer, wire
from tests.fuzz.files import courier, receipt, settings

Target = Callable[[Path, bytes], str]
TARGETS: dict[str, Target] = {
    "settings": settings,
    "courier": courier,
    "receipt": receipt,
    "answer": answer,
    "wire": wire,
}
