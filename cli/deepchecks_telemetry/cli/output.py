"""Printing: tables for people, JSON for scripts; control characters in stored text are escaped."""

import json
import shutil
import sys
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from typing import TextIO, TypeVar

import click

EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
GUTTER = 2
T = TypeVar("T")
MAX_BLOCK_LINES = 9  # for one row; a table with more columns, such as weeks, is better wrapped than listed

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON for a script.")
csv_option = click.option("--csv", "as_csv", is_flag=True, help="Print CSV for a spreadsheet.")
nl_option = click.option("--nl", "as_nl", is_flag=True, help="Print JSON with one row per line.")


def echo_json(value: object) -> None:
    """Print one JSON document, with its keys in their order."""
    # default: a spool that was edited by hand can hold bytes in any column.
    click.echo(json.dumps(value, indent=2, ensure_ascii=True, default=repr))


def echo_nl(rows: Sequence[Mapping[str, object]]) -> None:
    """Print newline-delimited JSON: one object per line."""
    for row in rows:
        click.echo(json.dumps(row, ensure_ascii=True, default=repr))


def echo_csv(rows: Sequence[Mapping[str, object]]) -> None:
    """Print rows as CSV with a header, without formulas and control characters; nothing if there are none."""
    import csv  # this and the next import are not needed by `status`

    from deepchecks_telemetry.collector.reporting.text import escape_for_spreadsheet

    if rows:
        writer = csv.DictWriter(sys.stdout, list(rows[0]), lineterminator="\n")
        writer.writerow({name: escape_for_spreadsheet(name) for name in rows[0]})
        writer.writerows({name: escape_for_spreadsheet(cell) for name, cell in row.items()} for row in rows)


def chosen_format(options: Mapping[str, bool]) -> Callable[[Sequence[Mapping[str, object]]], None] | None:
    """The function that prints rows as these options say, None for a table; a usage error for more than one."""
    functions = {"as_csv": echo_csv, "as_json": echo_json, "as_nl": echo_nl}
    chosen = [functions[name] for name, is_set in options.items() if is_set]
    if len(chosen) > 1:
        raise click.UsageError("Choose one of --csv, --json and --nl.")
    return chosen[0] if chosen else None


def echo_table(headers: Sequence[str], rows: Iterable[Sequence[object]], *, paged: bool = False) -> None:
    """Print an aligned table; control characters in its cells are escaped.

    In a terminal that is too narrow for it without breaking a word, each row becomes a block of lines. With `paged`, a
    table that is longer than the terminal is shown in the pager of the variable PAGER.
    """
    (echo_paged if paged else click.echo)(format_table(headers, list(rows)))


def echo_paged(text: str) -> None:
    """Print text; in a terminal that is too low for it, in the pager of the variable PAGER."""
    if sys.stdout.isatty() and text.count("\n") >= shutil.get_terminal_size().lines - 1:
        click.echo_via_pager(f"{text}\n")
    else:
        click.echo(text)


def format_table(headers: Sequence[str], values: Sequence[Sequence[object]]) -> str:
    """An aligned table, as `echo_table` prints it."""
    cells = [[escape_control_chars(str(cell)) for cell in row] for row in values]
    headers, limit = list(map(escape_control_chars, headers)), _terminal_width(sys.stdout)
    widths = None if limit is None else fit_widths(*_measure([headers, *cells]), limit)
    if limit is None or widths or len(headers) > MAX_BLOCK_LINES:
        return _align(headers, cells, _alignments(values), widths)
    return "\n\n".join(_block(headers, row, limit) for row in cells)


def _block(headers: Sequence[str], row: Sequence[str], limit: int) -> str:
    indent = max(map(len, headers)) + GUTTER
    lines = [f"{header:{indent}}{cell}" for header, cell in zip(headers, row, strict=True) if cell]
    return "\n".join(_wrap(line, limit, indent) for line in lines)


def _align(
    headers: Sequence[str],
    cells: Sequence[Sequence[str]],
    alignments: Sequence[str] | None,
    widths: Sequence[int] | None,
) -> str:
    import tabulate  # takes 30 ms, which `status` saves

    tabulate.MIN_PADDING = 0  # otherwise each header is two characters wider than its column needs
    text: str = tabulate.tabulate(
        cells,
        headers=headers,
        tablefmt="simple",
        disable_numparse=True,
        colalign=alignments,
        maxcolwidths=widths,
        maxheadercolwidths=widths,
    )
    return text


def _measure(rows: Sequence[Sequence[str]]) -> tuple[list[int], list[int]]:
    """The width of each column, and of its longest word."""
    columns = list(zip(*rows, strict=True))
    words = [max((len(word) for cell in column for word in cell.split()), default=0) for column in columns]
    return [max(map(len, column)) for column in columns], words


def fit_widths(widths: Sequence[int], words: Sequence[int], limit: int) -> list[int] | None:
    """Narrow the widest columns until all columns and the gutters between them fit into the limit.

    None where a column would become narrower than its longest word.
    """
    fitted = list(widths)
    while sum(fitted) + GUTTER * (len(fitted) - 1) > limit:
        narrowable = [width if width > word else 0 for width, word in zip(fitted, words, strict=True)]
        if not any(narrowable):
            return None
        fitted[narrowable.index(max(narrowable))] -= 1
    return fitted


@contextmanager
def progress_bar(label: str, length: int, *, least: int = 2) -> Iterator[Callable[[int], None]]:
    """A progress bar on standard error, which the yielded function advances.

    None is shown if standard error is not a terminal, or if the length is below `least`, which takes no second.
    """
    if length < least or not sys.stderr.isatty():
        yield lambda _: None
        return
    with click.progressbar(length=length, label=label, file=sys.stderr) as bar:
        yield bar.update


def with_progress(items: Iterable[T], label: str, length: int, steps: Callable[[T], int]) -> Iterator[T]:
    """The items; on a terminal after a progress bar, because the caller prints them, and also after an error."""
    if not sys.stderr.isatty():
        yield from items
        return
    done: list[T] = []
    try:
        with progress_bar(label, length) as advance:
            for item in items:
                done.append(item)
                advance(steps(item))
    finally:
        yield from done


def wrap_line(line: str, *, indent: int = 0) -> str:
    """A line for standard output, wrapped in a terminal, with `indent` spaces before each further line."""
    return _wrap(escape_control_chars(line), _terminal_width(sys.stdout), indent)


def echo_line(line: str, *, indent: int = 0, mark: str = "", err: bool = False) -> None:
    """Print a line; in a terminal, wrap it between words, with `indent` spaces before each further line.

    `mark` is the beginning of the line with ANSI colours, which are printed instead of being escaped.
    """
    limit, text = _terminal_width(sys.stderr if err else sys.stdout), escape_control_chars(line)
    click.echo(mark + _wrap(text, limit, indent)[len(click.unstyle(mark)) :], err=err)


def _wrap(text: str, limit: int | None, indent: int) -> str:
    if limit is None or len(text) <= limit:
        return text
    return textwrap.fill(text, limit, subsequent_indent=" " * indent, break_long_words=False, break_on_hyphens=False)


def _terminal_width(stream: TextIO) -> int | None:
    """The terminal's width; None where the stream is not a terminal, and lines are not wrapped."""
    return shutil.get_terminal_size().columns if stream.isatty() else None


def escape_control_chars(text: str) -> str:
    """Escape every character that is not printable, such as one that moves a cursor or begins a colour."""
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)


def _alignments(rows: Sequence[Sequence[object]]) -> list[str] | None:
    return ["right" if isinstance(cell, int) else "left" for cell in rows[0]] if rows else None


def day_text(day: int) -> str:
    """A UTC day, counted from 1970-01-01, as YYYY-MM-DD; unchanged where it is not a valid day."""
    try:
        return f"{EPOCH + timedelta(days=day):%Y-%m-%d}"
    except (OverflowError, TypeError):  # a spool that was edited by hand can hold any value
        return str(day)


def time_text(seconds: int | None) -> str | None:
    """A time in Unix seconds as ISO 8601 in UTC; unchanged where it is not a valid time."""
    try:
        return None if seconds is None else f"{EPOCH + timedelta(seconds=seconds):%Y-%m-%dT%H:%M:%SZ}"
    except (OverflowError, TypeError):
        return str(seconds)


def digest_text(digest: object) -> str:
    """The first characters of a digest, enough to distinguish batches."""
    return str(digest)[:8]


def count_text(number: object, singular: str) -> str:
    """A number with its noun, in the plural unless it is 1."""
    return f"{number_text(number)} {singular}{'' if number == 1 else 's' if not singular.endswith('ch') else 'es'}"


def number_text(number: object) -> str:
    """A number with thousands separators; a value that is not a number unchanged."""
    return f"{number:,}" if isinstance(number, int) else str(number)
