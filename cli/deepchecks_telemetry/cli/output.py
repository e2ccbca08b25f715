"""Showing things: tables for people, JSON for scripts, and no terminal control sequence from a stored text."""

import json
import shutil
import sys
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta, timezone
from typing import TextIO

import click

EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
GUTTER = 2
LONGEST_BLOCK = 9  # lines for one row; a matrix of weeks is better wrapped than listed

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON for a script.")


def say_json(value: object) -> None:
    """Print one JSON document, with its keys in their order."""
    # default: a spool that was edited by hand can hold bytes anywhere.
    click.echo(json.dumps(value, indent=2, ensure_ascii=True, default=repr))


def say_table(headers: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print an aligned table; every cell is text, control characters spelled out.

    In a terminal that it does not fit into without breaking a word, each row becomes a block of lines.
    """
    found = list(rows)
    shown = [[plain(str(cell)) for cell in row] for row in found]
    limit = _limit(sys.stdout)
    widths = None if limit is None else fit(*_measured([headers, *shown]), limit)
    if limit is None or widths or len(headers) > LONGEST_BLOCK:
        _say_aligned(headers, shown, _aligned(found), widths)
    else:
        _say_blocks(headers, shown)


def _say_blocks(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    under = max(map(len, headers)) + GUTTER
    for number, row in enumerate(rows):
        if number:
            click.echo()
        for header, cell in zip(headers, row, strict=True):
            if cell:
                say_line(f"{header:{under}}{cell}", indent=under)


def _say_aligned(
    headers: Sequence[str], shown: Sequence[Sequence[str]], sides: Sequence[str] | None, widths: Sequence[int] | None
) -> None:
    import tabulate

    tabulate.MIN_PADDING = 0  # else each header is two letters wider than its column needs
    click.echo(
        tabulate.tabulate(
            shown,
            headers=headers,
            tablefmt="simple",
            disable_numparse=True,
            colalign=sides,
            maxcolwidths=widths,
            maxheadercolwidths=widths,
        )
    )


def _measured(lines: Sequence[Sequence[str]]) -> tuple[list[int], list[int]]:
    """How wide each column is, and the longest word in it."""
    columns = list(zip(*lines, strict=True))
    words = [max((len(word) for cell in column for word in cell.split()), default=0) for column in columns]
    return [max(map(len, column)) for column in columns], words


def fit(widths: Sequence[int], words: Sequence[int], limit: int) -> list[int] | None:
    """The widths, the widest made narrower until all of them and the gutters keep within the limit.

    None where a column would become narrower than its longest word.
    """
    fitted = list(widths)
    while sum(fitted) + GUTTER * (len(fitted) - 1) > limit:
        spare = [width if width > word else 0 for width, word in zip(fitted, words, strict=True)]
        if not any(spare):
            return None
        fitted[spare.index(max(spare))] -= 1
    return fitted


def say_line(line: str, *, indent: int = 0, mark: str = "", err: bool = False) -> None:
    """Print a line of text that begins with `mark`; in a terminal folded between words, `indent` from the left."""
    limit, text = _limit(sys.stderr if err else sys.stdout), plain(line)
    if limit is not None and len(text) > limit:
        import textwrap

        under = " " * indent
        text = textwrap.fill(text, limit, subsequent_indent=under, break_long_words=False, break_on_hyphens=False)
    click.echo(mark + text[len(click.unstyle(mark)) :], err=err)


def _limit(stream: TextIO) -> int | None:
    """The terminal's width; none in a pipe, where a line stays a line."""
    return shutil.get_terminal_size().columns if stream.isatty() else None


def plain(text: str) -> str:
    """The text with nothing in it that moves a cursor or colours a line."""
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)


def _aligned(rows: Sequence[Sequence[object]]) -> list[str] | None:
    return ["right" if isinstance(cell, int) else "left" for cell in rows[0]] if rows else None


def day_text(day: int) -> str:
    """A UTC day, counted from 1970-01-01, as YYYY-MM-DD; as it stands where it is no such day."""
    try:
        return f"{EPOCH + timedelta(days=day):%Y-%m-%d}"
    except (OverflowError, TypeError):  # a spool that was edited by hand can hold anything
        return str(day)


def time_text(seconds: int | None) -> str | None:
    """A moment in Unix seconds as ISO 8601 in UTC; as it stands where it is no such moment."""
    try:
        return None if seconds is None else f"{EPOCH + timedelta(seconds=seconds):%Y-%m-%dT%H:%M:%SZ}"
    except (OverflowError, TypeError):
        return str(seconds)


def digest_text(digest: object) -> str:
    """As many letters of a digest as tell batches apart."""
    return str(digest)[:8]


def count_text(number: object, singular: str) -> str:
    """A number with its noun."""
    return f"{number_text(number)} {singular}{'' if number == 1 else 's' if not singular.endswith('ch') else 'es'}"


def number_text(number: object) -> str:
    """A number with its thousands set apart; as it stands where it is none."""
    return f"{number:,}" if isinstance(number, int) else str(number)
