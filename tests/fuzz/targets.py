"""The fuzzed parsers by name; each target takes a folder to work in and an input, and tells the input's fate."""

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
