"""Escapes stored text, so that it cannot move the cursor, change the reading direction, or be a formula."""

FORMULAS = ("=", "+", "-", "@")  # with these a spreadsheet begins a formula


def escape_control_chars(value: object) -> str:
    """The text with an escape sequence for each character that is not printable."""
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in str(value))


def escape_for_spreadsheet(value: object) -> str:
    """The same for a spreadsheet, with an apostrophe before a formula, which makes it text; None is an empty cell."""
    if value is None or isinstance(value, int | float):
        return "" if value is None else str(value)
    text = escape_control_chars(value)
    return f"'{text}" if text.lstrip().startswith(FORMULAS) else text
