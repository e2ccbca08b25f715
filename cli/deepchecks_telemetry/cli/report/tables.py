"""The tables of the page: retention and pairs of fields as heat maps, fields with their shares, the last periods."""

from collections.abc import Iterator, Sequence

from deepchecks_telemetry.cli.html import Html, tag
from deepchecks_telemetry.cli.output import number_text
from deepchecks_telemetry.collector import Cell, Report, wording

VALUES, COLUMNS = 8, 6  # of a field
SHADES = 10


def data_table(heads: Sequence[str], rows: Sequence[Sequence[object]], *, caption: str, class_: str = "") -> Html:
    """A table whose first column names the rows, in a frame that scrolls by keyboard where it is too wide."""
    head = tag("thead", tag("tr", *(tag("th", name, scope="col") for name in heads)))
    body = tag("tbody", *(tag("tr", tag("th", row[0], scope="row"), *map(_cell, row[1:])) for row in rows))
    content = tag("table", tag("caption", caption), head, body)
    return tag("div", content, class_=f"wide {class_}".strip(), tabindex="0", role="region", aria_label=caption)


def _cell(value: object) -> Html:
    return value if isinstance(value, Html) else tag("td", "" if value is None else number_text(value))


def shaded(text: str, share: float) -> Html:
    """A cell whose background shows a share."""
    return tag("td", text, class_=f"shade-{round(SHADES * min(max(share, 0), 1))}")


def retention(report: Report, cohorts: int) -> Html:
    """The installations that were active again, in percent of those that were new; what is in the future is empty."""
    chosen, by = wording.last_cohorts(report, cohorts), report.options.by
    if not chosen:
        return tag("p", f"None of the last {cohorts} {by}s has enough new installations.")
    width = max(map(len, chosen.values()), default=0)
    rows = [
        (
            first,
            numbers[0],
            *(shaded(wording.percent(number, numbers[0]), number / numbers[0]) for number in numbers[1:]),
            *[""] * (width - len(numbers)),
        )
        for first, numbers in chosen.items()
    ]
    heads = ("first active", "number", *(f"+{later}" for later in range(1, width)))
    return data_table(heads, rows, caption=f"Active again after this many {by}s, in %", class_="retention")


def fields(report: Report) -> Iterator[Html]:
    """For each field, its most frequent values."""
    total = report.recent_total.installations
    for name, title in wording.TITLES.items():
        cells = list(report.by[name].items())
        rows = [
            (
                value,
                shaded(f"{wording.percent(cell.installations, total)} %", cell.installations / total),
                *_numbers(cell),
            )
            for value, cell in cells[:VALUES]
        ]
        heads = ("value", "share", "installations", *(["events"] if report.options.min_cell == 1 else []))
        more = f", the first {VALUES} of {len(cells)}" if len(cells) > VALUES else ""
        if rows:
            yield data_table(heads, rows, caption=f"{title}{more}")


def _numbers(cell: Cell) -> tuple[int, ...]:
    return (cell.installations,) if cell.events is None else (cell.installations, cell.events)


def pair(report: Report, names: tuple[str, str]) -> Html:
    """The installations with a value of one field and a value of another."""
    table, (one, two) = report.pairs[names], (wording.TITLES[name] for name in names)
    columns = list(report.by[names[1]])[:COLUMNS]
    largest = max((number for others in table.values() for number in others.values()), default=0) or 1
    rows = [
        (value, *(shaded(number_text(others[column]), others[column] / largest) for column in columns))
        for value, others in list(table.items())[:VALUES]
    ]
    return data_table((one, *columns), rows, caption=f"Installations by {one} and {two}")
