"""Every identifier is a UUID as text (RFC 9562), as `uuid.uuid4` makes it."""


def is_uuid(value: object) -> bool:
    """Whether a value is such a text; any other text could identify a person."""
    hexadecimal = isinstance(value, str) and set(value) <= set("0123456789abcdef-")
    return hexadecimal and [len(part) for part in str(value).split("-")] == [8, 4, 4, 4, 12]
