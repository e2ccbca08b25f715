"""The way of a count from a program to a receiver, drawn as four stations, with the gate as it stands now."""

from collections.abc import Iterator

from deepchecks_telemetry.cli.explain import SILENT
from deepchecks_telemetry.cli.output import count_text, number_text
from deepchecks_telemetry.cli.page.facts import Facts
from deepchecks_telemetry.cli.page.html import Html, table, tag
from deepchecks_telemetry.cli.status import RULES, next_upload, tried

STORY = "deepchecks runs a check or a suite. Recorded are the event, the UTC day and the fields under “By environment”."
COMMANDS = (
    ("deepchecks telemetry disable", "turn off in all your environments, wipe all data, and check that none is left"),
    ("deepchecks telemetry local", "record on this machine, and never send"),
    ("deepchecks telemetry enable --endpoint URL", "record, and send to URL"),
    ("deepchecks telemetry preview", "print the exact body of the next request"),
)


def way(facts: Facts) -> Iterator[Html]:
    """The stations and what stands between them."""
    status = facts.status
    stored = f"{count_text(_stored(facts), 'event')} in {count_text(status['rows'], 'row')} in"
    passed = "open" if status["sends"] else "shut"
    gate = status["sending"]
    yield tag(
        "ol",
        _station("Your program", STORY),
        _station("Your disk", stored, " ", tag("code", status["spool"])),
        _station("Upload", gate, class_=passed),
        _station("The receiver", *_receiver(facts), class_=passed),
        class_="way",
    )
    yield tag("p", _last(facts), class_="note")


def _station(title: str, *said: object, class_: str = "open") -> Html:
    return tag("li", tag("h3", title), tag("p", *said), class_=class_)


def _receiver(facts: Facts) -> Iterator[object]:
    status = facts.status
    if status["endpoint"]:
        yield tag("code", status["endpoint"])
        yield f", set by {status['endpoint_from']}. "
    else:
        yield "No endpoint is set, and none is built in. "
    yield f"{number_text(status['delivered'])} delivered so far."


def _stored(facts: Facts) -> int:
    return sum(int(facts.status[state] or 0) for state in ("pending", "sealed", "parked"))


def _last(facts: Facts) -> str:
    last = facts.status["last_upload"]
    past = f"Last upload: {tried(last)}." if last else "No upload yet."
    return f"{past} Next upload: {next_upload(facts.status)}."


def answers(facts: Facts) -> Iterator[Html]:
    """Every source that was asked, and its answer."""
    for question, rule in RULES.items():
        asked = [each for each in facts.answers if each.question == question]
        lines = [(each.source, each.answer or SILENT, tag("code", each.where)) for each in asked]
        yield table(("source", "answer", "where"), lines, caption=rule.rstrip(":"))


def commands() -> Html:
    """What to type."""
    return tag("dl", *(tag("div", tag("dt", tag("code", line)), tag("dd", does)) for line, does in COMMANDS))
