"""Everything that may ever be recorded, stored or sent; nothing else is.

Events are stored by their number, so that the files of a wiped spool contain no event name. A number is never reused.
"""

from collections.abc import Callable, Iterable
from typing import NamedTuple


class Event:
    """One thing that may be counted: its number on disk, its name, and when it happens."""

    def __init__(self, number: int, name: str, when: str) -> None:
        self.number, self.name, self.when = number, name, when


class Field:
    """One fact about the environment: our name, OpenTelemetry's (`wire`), its allowed values and why it is collected.

    `pattern` describes what `allows` accepts, for documents and other programs. `allows` is not a regular expression,
    because importing `re` would cost the host 4 ms.
    """

    def __init__(self, name: str, wire: str, pattern: str, allows: Callable[[str], bool], why: str) -> None:
        self.name, self.wire, self.pattern, self.allows, self.why = name, wire, pattern, allows, why


class Environment(NamedTuple):
    """Where an event happened, in coarse values only; each must be allowed by its `Field` in `FIELDS`, same order."""

    deepchecks_version: str
    os_type: str
    os_name: str
    os_version: str
    python_name: str
    python_version: str
    runtime: str


EVENTS = (
    Event(1, "package-import", "a program imported deepchecks; imports in most worker processes are not counted"),
    Event(2, "run-check", "a check's run() was called"),
    Event(3, "run-suite", "a suite's run() was called"),
    Event(4, "check-to-html", "a check's result was saved as HTML"),
    Event(5, "suite-to-html", "a suite's result was saved as HTML"),
    Event(6, "suite-to-json", "a suite's result was converted to JSON"),
    Event(7, "suite-to-wandb", "a suite's result was sent to Weights & Biases"),
)
EVENT_NUMBERS = {event.name: event.number for event in EVENTS}
EVENT_NAMES = {event.number: event.name for event in EVENTS}

LAST_DAY = 2**16
MAX_COUNT = 10**10  # a larger count of one event on one day is a flipped bit, or text that somebody hid in the number

OS_TYPES = ("linux", "darwin", "windows", "freebsd", "other")
# The ID of os-release(5). Any other is recorded as "other", because a private distribution could name a company.
OS_NAMES = (
    "almalinux alpine amzn arch azurelinux centos chromeos debian endeavouros fedora freebsd gentoo kali linuxmint "
    "macos manjaro mariner nixos ol opensuse-leap opensuse-tumbleweed photon pop raspbian rhel rocky sles ubuntu void "
    "windows wolfi zorin other"
).split()
PYTHON_NAMES = ("cpython", "pypy", "graalpy", "other")
RUNTIMES = (
    "colab databricks kaggle sagemaker ci jupyter vscode test kubernetes docker podman container wsl ipython repl "
    "script other"
).split()

UNKNOWN = "unknown"
# A release, pre-release, post- or dev-release of PEP 440. A local part ("+acme.7") is free text, so it is not allowed.
VERSION_PATTERN = rf"\d{{1,4}}(\.\d{{1,5}}){{0,3}}((a|b|rc)\d{{1,3}})?(\.post\d{{1,3}})?(\.dev\d{{1,6}})?|{UNKNOWN}"


def is_version(text: str) -> bool:
    """Whether the whole text matches `VERSION_PATTERN`."""
    for mark, digits in ((".dev", 6), (".post", 3)):
        before, separator, number = text.rpartition(mark)
        if separator:
            if not _is_dotted(number, digits):
                return False
            text = before
    for mark in ("rc", "a", "b"):
        before, separator, number = text.rpartition(mark)
        if separator:
            return _is_dotted(number, 3) and _is_dotted(before, 4, 5, 5, 5)
    return text == UNKNOWN or _is_dotted(text, 4, 5, 5, 5)


def _is_dotted(text: str, *max_digits: int) -> bool:
    """Whether the text is numbers separated by dots, each with at max_digits so many digits."""
    numbers = text.split(".")
    return len(numbers) <= len(max_digits) and all(
        number.isascii() and number.isdigit() and len(number) <= digits
        for number, digits in zip(numbers, max_digits, strict=False)
    )


def _one_of(name: str, wire: str, values: Iterable[str], why: str) -> Field:
    return Field(name, wire, "|".join(values).replace("-", r"\-"), frozenset(values).__contains__, why)


FIELDS = (
    Field(
        "deepchecks_version",
        "service.version",
        VERSION_PATTERN,
        is_version,
        "which releases are in use and need support",
    ),
    _one_of("os_type", "os.type", OS_TYPES, "which systems to build and test for"),
    _one_of("os_name", "os.name", OS_NAMES, "which distributions to test on"),
    Field(
        "os_version",
        "os.version",
        rf"\d{{1,5}}(\.\d{{1,3}})?|{UNKNOWN}",
        lambda text: text == UNKNOWN or _is_dotted(text, 5, 3),
        "which releases of each system to support",
    ),
    _one_of("python_name", "process.runtime.name", PYTHON_NAMES, "which Python implementations to support"),
    Field(
        "python_version",
        "process.runtime.version",
        r"\d{1,2}\.\d{1,3}",
        lambda text: "." in text and _is_dotted(text, 2, 3),
        "when support for a Python version can end",
    ),
    _one_of("runtime", "deepchecks.runtime", RUNTIMES, "which runtimes to improve first"),
)


def is_day(value: object) -> bool:
    """Whether a value is a number of UTC days since 1970-01-01, up to the year 2149."""
    return type(value) is int and 0 <= value < LAST_DAY


def is_count(value: object) -> bool:
    """Whether a value can be the count of one event on one day."""
    return type(value) is int and 0 < value < MAX_COUNT


def is_allowed(environment: "tuple[object, ...]") -> bool:
    """Whether every value is in the catalogue; anything else is neither stored nor sent."""
    return len(environment) == len(FIELDS) and all(
        isinstance(value, str) and field.allows(value) for field, value in zip(FIELDS, environment, strict=True)
    )
