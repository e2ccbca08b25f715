"""The one form of an identifier: a UUID as text (RFC 9562), by the standard library's `uuid4`."""


def is_uuid(value: object) -> bool:
    """Whether a value is such a text; any other could say who somebody is."""
    hexadecimal = isinstance(value, str) and set(value) <= set("0123456789abcdef-")
    return hexadecimal and [len(part) for part in str(value).split("-")] == [8, 4, 4, 4, 12]
