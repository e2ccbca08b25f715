"""Writes HTML in which every text is escaped: only the output of `tag` is taken as markup."""

import base64
import hashlib
from collections.abc import Sequence
from html import escape

from deepchecks_telemetry.cli.output import escape_control_chars


class Html(str):
    """Markup made by `tag`; any other text is escaped."""

    __slots__ = ()


def tag(name: str, *children: object, **attributes: object) -> Html:
    """An element; an attribute's `_` is a hyphen (`class_`, `aria_label`), and None leaves it out."""
    attributes_text = "".join(_attribute(key, value) for key, value in attributes.items() if value is not None)
    return Html(f"<{name}{attributes_text}>{join(*children)}</{name}>")


def join(*children: object) -> Html:
    """Concatenate the children."""
    return Html("".join(map(text, children)))


def text(value: object) -> Html:
    """Escape a value: its markup, and its control and bidirectional characters."""
    return value if isinstance(value, Html) else Html(escape(escape_control_chars(str(value)), quote=True))


def document(title: str, style: str, body: Html) -> str:
    """A page; its content security policy allows one style sheet, by its digest, and nothing else."""
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{text(title)}</title>\n<style>{style}</style>\n</head>\n{body}\n</html>\n"
    )


def _attribute(key: str, value: object) -> str:
    name = key.rstrip("_").replace("_", "-")
    return f' {name}="{text(value)}"'


def table(headers: Sequence[str], rows: Sequence[Sequence[object]], *, caption: str, blocks: bool = False) -> Html:
    """A table with a caption, in a frame that scrolls by keyboard where it is too wide; numbers are right-aligned.

    With `blocks`, a phone shows each row as a block of lines. Elements that are displayed as blocks lose their role in
    a table, so the roles are written.
    """

    def role(name: str) -> str | None:
        return name if blocks else None

    def cell(value: object, label: str) -> Html:
        return tag("td", _text(value), class_=_class(value), role=role("cell"), data_label=label if blocks else None)

    classes = [_class(value) for value in rows[0]] if rows else [None] * len(headers)
    head = (
        tag("th", name, scope="col", class_=class_, role=role("columnheader"))
        for name, class_ in zip(headers, classes, strict=True)
    )
    content = tag(
        "table",
        tag("caption", caption),
        tag("thead", tag("tr", *head, role=role("row")), role=role("rowgroup")),
        tag("tbody", *(tag("tr", *map(cell, row, headers), role=role("row")) for row in rows), role=role("rowgroup")),
        class_="blocks" if blocks else None,
        role=role("table"),
    )
    return tag("div", content, class_="wide", tabindex="0", role="region", aria_label=caption)


def _text(value: object) -> object:
    return f"{value:,}" if isinstance(value, int) else value


def _class(value: object) -> str | None:
    return "number" if isinstance(value, int) else None
