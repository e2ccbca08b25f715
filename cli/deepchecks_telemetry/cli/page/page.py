"""The picture as one HTML file: the answer first, then the numbers, the way they take, the bytes, and who decides."""

import base64
import hashlib
from collections.abc import Iterator
from dataclasses import replace
from html import escape
from importlib.metadata import version
from importlib.resources import files

from deepchecks_telemetry.cli.output import number_text, time_text
from deepchecks_telemetry.cli.page import counts, requests, way
from deepchecks_telemetry.cli.page.facts import Facts
from deepchecks_telemetry.cli.page.html import Html, tag
from deepchecks_telemetry.spool.stats import explain_dropped

TITLE = "Deepchecks usage counts on this machine"
FRAME_HIGH = 720
HIDDEN = "not shown here, because a notebook keeps its output"


def page(facts: Facts, *, kept: bool = False) -> str:
    """The document; its policy allows one style sheet, by its digest, and nothing else.

    `kept` is for a notebook, which keeps what it shows: without identifiers, digests, bytes of requests and paths.
    """
    if kept:
        facts = _without_names(facts)
    style = files(__package__).joinpath("page.css").read_text("utf-8")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    body = tag("body", tag("main", _head(facts), *_sections(facts, kept=kept)), _foot(facts))
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{TITLE}</title>\n<style>{style}</style>\n</head>\n{body}\n</html>\n"
    )


def frame(document: str) -> str:
    """The document for a notebook: in a frame of its own that may run nothing and reach nothing."""
    source = escape(document, quote=True)
    size = f'width="100%" height="{FRAME_HIGH}" style="border: 0"'
    return f'<iframe title="{TITLE}" sandbox srcdoc="{source}" {size}></iframe>'


def _head(facts: Facts) -> Html:
    status = facts.status
    mode = tag("strong", status["mode"], class_=f"mode {status['mode']}")
    return tag(
        "header",
        tag("h1", TITLE),
        tag("p", "Telemetry is ", mode, f" decided by {status['decided_by']}.", class_="answer"),
        tag("p", status["sending"], class_="answer"),
        tag("p", status["problem"], class_="problem") if status["problem"] else "",
        tag("dl", *_figures(facts), class_="figures"),
        tag("p", f"Dropped: {explain_dropped(status['dropped_by_reason'])}.", class_="note")
        if status["dropped"]
        else "",
    )


def _figures(facts: Facts) -> Iterator[Html]:
    status = facts.status
    shown = {name: status[name] for name in ("recorded", "pending", "delivered")}
    shown |= {name: status[name] for name in ("sealed", "parked", "exported", "rejected", "dropped") if status[name]}
    for name, value in shown.items():
        yield tag("div", tag("dt", name), tag("dd", number_text(value)))


def _without_names(facts: Facts) -> Facts:
    problem = facts.status["problem"] and "There is a problem. To see it, run deepchecks telemetry status."
    sending = _without_problems(facts, facts.status["sending"])
    status = {**facts.status, "installation_id": HIDDEN, "spool": HIDDEN, "problem": problem, "sending": sending}
    answers = (
        replace(each, where=HIDDEN, answer=each.answer and _without_problems(facts, each.answer))
        for each in facts.answers
    )
    return replace(facts, status=status, answers=tuple(answers))


def _without_problems(facts: Facts, text: str) -> str:
    """The text without what is wrong with a source of the mode, which names a path."""
    for unknown in facts.status["not_understood"]:
        text = text.replace(f" ({unknown['problem']})", "")
    return text


def _sections(facts: Facts, *, kept: bool) -> Iterator[Html]:
    hidden = tag("p", f"{HIDDEN[:1].upper()}{HIDDEN[1:]}. To see it, run deepchecks telemetry view.")
    for title, *parts in (
        ("Events by day", *counts.days(facts)),
        ("Where counts are sent", *way.way(facts)),
        ("What was recorded", counts.events(facts), counts.environments(facts)),
        ("Next request", *((hidden,) if kept else requests.upcoming(facts))),
        ("Batches", hidden if kept else requests.ledger(facts)),
        ("Settings", *way.answers(facts)),
        ("Commands", way.commands()),
    ):
        yield tag("section", tag("h2", title), *parts)


def _foot(facts: Facts) -> Html:
    made = f"Made {time_text(int(facts.now))} by deepchecks-telemetry {version('deepchecks-telemetry')}."
    installation = facts.status["installation_id"] or "none"
    return tag(
        "footer",
        tag("p", f"{made} This page is a file: it loads nothing, runs nothing and sends nothing."),
        tag("p", "Random identifier of this installation: ", tag("code", installation), "."),
    )
