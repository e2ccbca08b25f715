"""The sections on sending: the way of a count to the receiver as four stations, the settings, the commands."""

from collections.abc import Iterator
from typing import Any

from deepchecks_telemetry.cli.errors import instruction
from deepchecks_telemetry.cli.html import Html, table, tag
from deepchecks_telemetry.cli.output import count_text, number_text
from deepchecks_telemetry.cli.page.data import PageData
from deepchecks_telemetry.cli.show.explain import NOT_SET, RULES
from deepchecks_telemetry.cli.show.status import last_attempt, next_upload

RECORDED = (
    "deepchecks runs a check or a suite. Recorded are the event, the UTC day and the fields under “By environment”."
)
COMMANDS = (
    ("deepchecks telemetry disable", "turn off in all your environments, wipe all data, and check that none is left"),
    ("deepchecks telemetry local", "record on this machine, and never send"),
    ("deepchecks telemetry enable --endpoint URL", "record, and send to URL"),
    ("deepchecks telemetry preview", "print the exact body of the next request"),
)


def stations(data: PageData) -> Iterator[Html]:
    """The four stations, connected unless nothing is sent, and the last and the next upload."""
    status = data.status
    stored = f"{count_text(_stored(data), 'event')} in {count_text(status['rows'], 'row')} in"
    state = "open" if status["sends"] else "shut"
    yield tag(
        "ol",
        _station("Your program", RECORDED),
        _station("Your disk", stored, " ", tag("code", status["spool"])),
        _station("Upload", status["sending"], class_=state),
        _station("The receiver", *_receiver(data), class_=state),
        class_="stations",
    )
    yield tag("p", _uploads(data), class_="note")


def _station(title: str, *content: object, class_: str = "open") -> Html:
    return tag("li", tag("h3", title), tag("p", *content), class_=class_)


def _receiver(data: PageData) -> Iterator[object]:
    status = data.status
    if status["endpoint"]:
        yield tag("code", status["endpoint"])
        yield f", set by {status['endpoint_from']}. "
    else:
        yield "No endpoint is set, and none is built in. "
    yield f"{number_text(status['delivered'])} delivered so far."


def _stored(data: PageData) -> int:
    return sum(int(data.status[state] or 0) for state in ("pending", "sealed", "parked"))


def last_failure(status: dict[str, Any]) -> str:
    """The last upload, with what to do, if it failed; an empty text otherwise."""
    last = status["last_upload"]
    if not last or not last["remedy"]:
        return ""
    return f"The last upload failed: {last_attempt(last)}. {instruction(last['remedy'])}"


def _uploads(data: PageData) -> str:
    last = data.status["last_upload"]
    past = f"Last upload: {last_attempt(last)}." if last else "No upload yet."
    return f"{past} Next upload: {next_upload(data.status)}."


def settings(data: PageData) -> Iterator[Html]:
    """A table for each setting, with the value of every source."""
    for question, rule in RULES.items():
        answers = [answer for answer in data.answers if answer.question == question]
        rows = [(answer.source, answer.answer or NOT_SET, tag("code", answer.where)) for answer in answers]
        yield table(("source", "answer", "where"), rows, caption=rule.rstrip(":"), blocks=True)


def commands() -> Html:
    """The most important commands."""
    return tag("dl", *(tag("div", tag("dt", _code(line)), tag("dd", effect)) for line, effect in COMMANDS))


def _code(line: str) -> Html:
    """A command line; an option is not broken, because a browser would break it after its hyphens."""
    command, dashes, option = line.partition("--")
    return tag("code", command, tag("span", dashes, option, class_="whole") if option else "")
