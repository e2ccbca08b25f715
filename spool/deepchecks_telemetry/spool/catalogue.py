"""Everything that may ever be recorded, stored or sent: what is not on this page has no way in.

Events are stored by their number, so that the files of an emptied spool name none. A number is never given twice.
"""

import re
from typing import NamedTuple


class Event(NamedTuple):
    """One thing that may be counted: its number on disk, its name, and the moment it stands for."""

    number: int
    name: str
    when: str


class Field(NamedTuple):
    """One thing that may be known about the machine: our name, OpenTelemetry's, its allowed values and the reason."""

    name: str
    wire: str
    allowed: re.Pattern[str]
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
    Event(1, "package-import", "deepchecks was imported in a process"),
    Event(2, "run-check", "a check's run() was called"),
    Event(3, "run-suite", "a suite's run() was called"),
    Event(4, "check-to-html", "a check's result was saved as HTML"),
    Event(5, "suite-to-html", "a suite's result was saved as HTML"),
    Event(6, "suite-to-json", "a suite's result was turned into JSON"),
    Event(7, "suite-to-wandb", "a suite's result was sent to Weights & Biases"),
)
NUMBERS = {event.name: event.number for event in EVENTS}
NAMES = {event.number: event.name for event in EVENTS}

LAST_DAY = 2**16
MOST_OF_ONE = 10**10  # a larger count of one event on one day is a flipped bit, or a text that somebody hid in it

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
VERSION = r"\d{1,4}(\.\d{1,5}){0,3}((a|b|rc)\d{1,3})?(\.post\d{1,3})?(\.dev\d{1,6})?|" + UNKNOWN


def _only(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.ASCII)  # else \d takes the digits of every script


def _one_of(values: "list[str] | tuple[str, ...]") -> re.Pattern[str]:
    return _only("|".join(map(re.escape, values)))


FIELDS = (
    Field("deepchecks_version", "service.version", _only(VERSION), "which releases are in use and must be cared for"),
    Field("os_type", "os.type", _one_of(OS_TYPES), "which systems to build and test for"),
    Field("os_name", "os.name", _one_of(OS_NAMES), "which distributions to test on"),
    Field("os_version", "os.version", _only(r"\d{1,5}(\.\d{1,3})?|" + UNKNOWN), "which releases of it to support"),
    Field("python_name", "process.runtime.name", _one_of(PYTHON_NAMES), "which Python implementations to support"),
    Field("python_version", "process.runtime.version", _only(r"\d{1,2}\.\d{1,3}"), "when a Python can be dropped"),
    Field("runtime", "deepchecks.runtime", _one_of(RUNTIMES), "notebook, container, CI: where usability matters most"),
)


def is_day(value: object) -> bool:
    """Whether a value counts UTC days since 1970-01-01, up to the year 2149."""
    return type(value) is int and 0 <= value < LAST_DAY


def is_count(value: object) -> bool:
    """Whether a value can be how often something happened in one day."""
    return type(value) is int and 0 < value < MOST_OF_ONE


def is_allowed(environment: "tuple[object, ...]") -> bool:
    """Whether every value is one that the catalogue names; anything else is neither stored nor sent."""
    return len(environment) == len(FIELDS) and all(
        isinstance(value, str) and field.allowed.fullmatch(value)
        for field, value in zip(FIELDS, environment, strict=True)
    )
