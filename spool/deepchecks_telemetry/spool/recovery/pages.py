"""Reads a broken file page by page, where no tree leads to a row any more: SQLite itself goes by the trees alone.

A process that has a tree in its cache goes on adding to a file whose root is broken by now. What it acknowledged stands
in whole pages of the file or of its WAL (sqlite.org/fileformat2.html), and is found there by its shape.
"""

from collections.abc import Iterator

PAGE, FRAME, WAL_HEADER = 1024, 24, 32  # bytes of a page, and of what stands before it in a WAL
LEAF = 13  # the first byte of a page that holds rows of a table
SIZES = (0, 1, 2, 3, 4, 6, 8)  # of a whole number, by its serial type; 8 and 9 stand for the numbers 0 and 1

Row = tuple[int | str | None, ...]


def read_rows(octets: bytes, *, is_wal: bool) -> Iterator[tuple[int, Row]]:
    """Row ids and rows of all leaf pages, those of pages that are free by now too; broken ones are left out."""
    start, step = (WAL_HEADER + FRAME, PAGE + FRAME) if is_wal else (0, PAGE)
    for at in range(start, len(octets) - PAGE + 1, step):
        if octets[at] == LEAF:
            yield from _read_page(octets[at : at + PAGE])


def _read_page(page: bytes) -> Iterator[tuple[int, Row]]:
    cells = int.from_bytes(page[3:5], "big")
    for pointer in range(8, min(8 + 2 * cells, PAGE - 1), 2):
        try:
            yield _read_cell(page, int.from_bytes(page[pointer : pointer + 2], "big"))
        except (IndexError, ValueError):
            continue


def _read_cell(page: bytes, at: int) -> tuple[int, Row]:
    size, at = _read_varint(page, at)
    row_id, at = _read_varint(page, at)
    header_size, types_at = _read_varint(page, at)
    value_at, end = at + header_size, at + size
    if end > PAGE:
        raise ValueError("it goes on in another page")
    values: list[int | str | None] = []
    while types_at < at + header_size:
        kind, types_at = _read_varint(page, types_at)
        value, value_at = _read_value(page, value_at, kind)
        values.append(value)
    if not values or value_at != end:
        raise ValueError("its parts are longer or shorter than the whole")
    return row_id, tuple(values)


def _read_value(page: bytes, at: int, kind: int) -> tuple[int | str | None, int]:
    if kind < len(SIZES):
        end = at + SIZES[kind]
        return (int.from_bytes(page[at:end], "big", signed=True) if kind else None), end
    if kind in {8, 9}:
        return kind - 8, at
    if kind > 12 and kind % 2:
        end = at + (kind - 13) // 2
        return page[at:end].decode("utf-8"), end
    raise ValueError("no row of ours holds such a value")


def _read_varint(page: bytes, at: int) -> tuple[int, int]:
    """A number in 1 to 8 bytes of 7 bits, and where the next begins; none of ours takes the ninth."""
    number = 0
    for end in range(at, at + 8):
        number = number << 7 | page[end] & 0x7F
        if page[end] < 0x80:
            return number, end + 1
    raise ValueError("too long a number")
