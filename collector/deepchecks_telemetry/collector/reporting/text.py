"""Stored text is shown as text: nothing in it moves a cursor or turns the reading direction, or is a formula."""

FORMULAS = ("=", "+", "-", "@")  # what a spreadsheet takes for the beginning of one


def plain(value: object) -> str:
    """The value with every letter spelled out that does not show."""
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in str(value))


def in_a_sheet(value: object) -> str:
    """The same for a spreadsheet, in which an apostrophe before a formula makes it a text."""
    text = plain(value)
    return f"'{text}" if text.lstrip().startswith(FORMULAS) else text
