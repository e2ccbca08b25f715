"""Writing HTML in which every text is escaped: only what `tag` itself has made is taken as markup."""

from collections.abc import Sequence
from html import escape

from deepchecks_telemetry.cli.output import plain


class Html(str):
    """Markup that `tag` has made; any other text is shown as text."""

    __slots__ = ()


def tag(name: str, *children: object, **attributes: object) -> Html:
    """An element; an attribute's `_` is a hyphen (`class_`, `aria_label`), and None leaves it out."""
    said = "".join(_attribute(key, value) for key, value in attributes.items() if value is not None)
    return Html(f"<{name}{said}>{join(*children)}</{name}>")


def join(*children: object) -> Html:
    """The children one after the other."""
    return Html("".join(map(text, children)))


def text(value: object) -> Html:
    """A value as text, with what would move a cursor or turn the reading direction spelled out."""
    return value if isinstance(value, Html) else Html(escape(plain(str(value)), quote=True))


def _attribute(key: str, value: object) -> str:
    name = key.rstrip("_").replace("_", "-")
    return f' {name}="{text(value)}"'


def table(heads: Sequence[str], lines: Sequence[Sequence[object]], *, caption: str) -> Html:
    """A table with a caption, in a frame that scrolls by keyboard where it is too wide; numbers stand to the right."""
    kinds = [_kind(cell) for cell in lines[0]] if lines else [None] * len(heads)
    head = (tag("th", name, scope="col", class_=kind) for name, kind in zip(heads, kinds, strict=True))
    body = (tag("tr", *map(_cell, line)) for line in lines)
    made = tag("table", tag("caption", caption), tag("thead", tag("tr", *head)), tag("tbody", *body))
    return tag("div", made, class_="wide", tabindex="0", role="region", aria_label=caption)


def _cell(value: object) -> Html:
    return tag("td", f"{value:,}" if isinstance(value, int) else value, class_=_kind(value))


def _kind(value: object) -> str | None:
    return "number" if isinstance(value, int) else None
