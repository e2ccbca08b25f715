"""Everything that may ever be recorded, stored or sent: what is not on this page has no way in.

Events are stored by their number, so that the files of an emptied spool name none. A number is never given twice.
"""

from collections.abc import Callable, Iterable
from typing import NamedTuple


class Event(NamedTuple):
    """One thing that may be counted: its number on disk, its name, and the moment it stands for."""

    number: int
    name: str
    when: str


class Field(NamedTuple):
    """One thing that may be known about the machine: our name, OpenTelemetry's, its allowed values and the reason.

    `pattern` says what `allows` does, to people and to other programs; hosts are spared the import of `re` (4 ms).
    """

    name: str
    wire: str
    pattern: str
    allows: Callable[[str], bool]
    why: str


class Environment(NamedTuple):
    """Where an event happened, in coarse values only; each is held to its `Field` in `FIELDS`, in this order."""

    deepchecks_version: str
    os_type: str
    os_name: str
    os_version: str
    python_name: str
    python_version: str
    runtime: str


EVENTS = (
    Event(1, "package-import", "a program imported deepchecks; its worker processes do not count"),
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
MAX_COUNT = 10**10  # a larger count of one event on one day is a flipped bit, or a text that somebody hid in it

OS_TYPES = ("linux", "darwin", "windows", "freebsd", "other")
# The ID of os-release(5); anything else is told as "other": a home-made distribution could carry a company's name.
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
# A release, pre-release, post- or dev-release of PEP 440. A local part ("+acme.7") is free text and has no way in.
VERSION_PATTERN = rf"\d{{1,4}}(\.\d{{1,5}}){{0,3}}((a|b|rc)\d{{1,3}})?(\.post\d{{1,3}})?(\.dev\d{{1,6}})?|{UNKNOWN}"


def is_version(text: str) -> bool:
    """Whether `VERSION_PATTERN` describes all of the text."""
    for mark, digits in ((".dev", 6), (".post", 3)):
        before, found, number = text.rpartition(mark)
        if found:
            if not _is_dotted(number, digits):
                return False
            text = before
    for mark in ("rc", "a", "b"):
        before, found, number = text.rpartition(mark)
        if found:
            return _is_dotted(number, 3) and _is_dotted(before, 4, 5, 5, 5)
    return text == UNKNOWN or _is_dotted(text, 4, 5, 5, 5)


def _is_dotted(text: str, *most: int) -> bool:
    """Whether the text is numbers between dots, each of them with at most so many digits."""
    numbers = text.split(".")
    return len(numbers) <= len(most) and all(
        number.isascii() and number.isdigit() and len(number) <= digits
        for number, digits in zip(numbers, most, strict=False)
    )


def _one_of(name: str, wire: str, values: Iterable[str], why: str) -> Field:
    known = frozenset(values)
    return Field(name, wire, "|".join(values).replace("-", r"\-"), known.__contains__, why)


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
    _one_of("runtime", "deepchecks.runtime", RUNTIMES, "which environments to improve first"),
)


def is_day(value: object) -> bool:
    """Whether a value counts UTC days since 1970-01-01, up to the year 2149."""
    return type(value) is int and 0 <= value < LAST_DAY


def is_count(value: object) -> bool:
    """Whether a value can be how often something happened in one day."""
    return type(value) is int and 0 < value < MAX_COUNT


def is_allowed(environment: "tuple[object, ...]") -> bool:
    """Whether every value is one that the catalogue names; anything else is neither stored nor sent."""
    return len(environment) == len(FIELDS) and all(
        isinstance(value, str) and field.allows(value) for field, value in zip(FIELDS, environment, strict=True)
    )
