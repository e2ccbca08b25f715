"""The page as one HTML file: mode and sending first, then the counts, the requests, and the settings."""

from collections.abc import Iterator
from dataclasses import replace
from html import escape
from importlib.metadata import version
from importlib.resources import files

from deepchecks_telemetry.cli.html import Html, document, tag
from deepchecks_telemetry.cli.output import number_text, time_text
from deepchecks_telemetry.cli.page import counts, requests, sending
from deepchecks_telemetry.cli.page.chart import hatching
from deepchecks_telemetry.cli.page.data import PageData
from deepchecks_telemetry.spool.stats import explain_dropped

TITLE = "Deepchecks usage counts on this machine"
FRAME_HEIGHT = 720
NOT_SHOWN = "not shown here, because a notebook keeps its output"


def page(data: PageData, *, notebook: bool = False) -> str:
    """The document.

    For a `notebook`, which keeps its output, identifiers, digests, bytes of requests and paths are left out.
    """
    if notebook:
        data = _redacted(data)
    style = files(__package__).joinpath("page.css").read_text("utf-8")
    body = tag("body", hatching(), tag("main", _head(data), *_sections(data, notebook=notebook)), _foot(data))
    return document(TITLE, style, body)


def frame(document: str) -> str:
    """The document for a notebook, in a sandboxed frame, which runs and loads nothing."""
    source = escape(document, quote=True)
    size = f'width="100%" height="{FRAME_HEIGHT}" style="border: 0"'
    return f'<iframe title="{TITLE}" sandbox srcdoc="{source}" {size}></iframe>'


def _head(data: PageData) -> Html:
    status = data.status
    mode = tag("strong", status["mode"], class_=f"mode {status['mode']}")
    return tag(
        "header",
        tag("h1", TITLE),
        tag("p", "Telemetry is ", mode, f" decided by {status['decided_by']}.", class_="answer"),
        tag("p", status["sending"], class_="answer"),
        *(
            tag("p", problem, class_="problem")
            for problem in (status["problem"], sending.last_failure(status))
            if problem
        ),
        tag("dl", *_figures(data), class_="figures"),
        tag("p", f"Dropped: {explain_dropped(status['dropped_by_reason'])}.", class_="note")
        if status["dropped"]
        else "",
    )


def _figures(data: PageData) -> Iterator[Html]:
    status = data.status
    figures = {name: status[name] for name in ("recorded", "pending", "delivered")}
    figures |= {name: status[name] for name in ("sealed", "parked", "exported", "rejected", "dropped") if status[name]}
    for name, value in figures.items():
        yield tag("div", tag("dt", name), tag("dd", number_text(value)))


def _redacted(data: PageData) -> PageData:
    problem = data.status["problem"] and "There is a problem. To see it, run deepchecks telemetry status."
    sentence = _without_problems(data, data.status["sending"])
    status = {**data.status, "installation_id": NOT_SHOWN, "spool": NOT_SHOWN, "problem": problem, "sending": sentence}
    answers = (
        replace(answer, where=NOT_SHOWN, answer=answer.answer and _without_problems(data, answer.answer))
        for answer in data.answers
    )
    return replace(data, status=status, answers=tuple(answers))


def _without_problems(data: PageData, text: str) -> str:
    """Remove the problem of a source of the mode from the text, because it contains a path."""
    for unknown in data.status["not_understood"]:
        text = text.replace(f" ({unknown['problem']})", "")
    return text


def _sections(data: PageData, *, notebook: bool) -> Iterator[Html]:
    not_shown = tag("p", f"{NOT_SHOWN[:1].upper()}{NOT_SHOWN[1:]}. To see it, run deepchecks telemetry view.")
    for title, *parts in (
        counts.over_time(data),
        ("Where counts are sent", *sending.stations(data)),
        ("What was recorded", counts.events(data), counts.environments(data)),
        ("Next request", *((not_shown,) if notebook else requests.next_request(data))),
        ("Batches", *((not_shown,) if notebook else requests.ledger(data))),
        ("Settings", *sending.settings(data)),
        ("Commands", sending.commands()),
    ):
        yield tag("section", tag("h2", title), *parts)


def _foot(data: PageData) -> Html:
    origin = f"Made {time_text(int(data.now))} by deepchecks-telemetry {version('deepchecks-telemetry')}."
    installation = data.status["installation_id"] or "none"
    return tag(
        "footer",
        tag("p", f"{origin} This page is a file: it loads nothing, runs nothing and sends nothing."),
        tag("p", "Random identifier of this installation: ", tag("code", installation), "."),
    )
