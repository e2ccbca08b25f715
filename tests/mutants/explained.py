"""The mutants that no test can notice, or should, each with its reason."""

from typing import NamedTuple


class Explained(NamedTuple):
    """A mutant of a module: the line as it is, the line as it would be, and why nothing changes by that."""

    module: str
    was: str
    becomes: str
    why: str


EXPLAINED = (
    Explained(
        "spool/catalogue.py",
        "for number, digits in zip(numbers, most, strict=False)",
        "for number, digits in zip(numbers, most, **{})",
        "that is what is meant where nothing is said",
    ),
    Explained(
        "spool/catalogue.py",
        "isinstance(value, str) and field.allows(value) for field, value in zip(FIELDS, environment, strict=True)",
        "isinstance(value, str) and field.allows(value) for field, value in zip(FIELDS, environment, **{})",
        "the lengths have just been compared",
    ),
    Explained(
        "spool/catalogue.py",
        "isinstance(value, str) and field.allows(value) for field, value in zip(FIELDS, environment, strict=True)",
        "isinstance(value, str) and field.allows(value) for field, value in zip(FIELDS, environment, strict=False)",
        "the lengths have just been compared",
    ),
    Explained(
        "spool/catalogue.py",
        r'return Field(name, wire, "|".join(values).replace("-", r"\-"), known.__contains__, why)',
        r'return Field(name, wire, "|".join(values).replace("mutant", r"\-"), known.__contains__, why)',
        "a hyphen stands for itself there; the stroke before it is for readers that take patterns apart",
    ),
    Explained(
        "uploader/url.py",
        'if "[" in url.netloc:',
        'if "mutant" in url.netloc:',
        "only before Python 3.11 does urlsplit() take any text for an address",
    ),
    Explained(
        "uploader/url.py",
        'ipaddress.IPv6Address(host or "")',
        'ipaddress.IPv6Address(host or "mutant")',
        "only before Python 3.11 does urlsplit() take any text for an address, and neither of the two is one",
    ),
    Explained(
        "uploader/url.py",
        'ipaddress.IPv6Address(host or "")',
        "ipaddress.IPv6Address(host or False)",
        "only before Python 3.11 does urlsplit() take any text for an address",
    ),
    Explained(
        "uploader/url.py",
        'ipaddress.IPv6Address(host or "")',
        "pass",
        "only before Python 3.11 does urlsplit() take any text for an address",
    ),
    Explained(
        "uploader/url.py",
        'if url.scheme == "http" and not allow_http and not _is_near(host):',
        'if url.scheme <= "http" and not allow_http and not _is_near(host):',
        "it is http or https by now",
    ),
    Explained(
        "uploader/url.py",
        'if url.scheme not in {"https", "http"} or not host or not PLACE.fullmatch(url.netloc):',
        'if url.scheme not in {"https", "http"} or False or not PLACE.fullmatch(url.netloc):',
        "a place without a host does not match either; it is for the types",
    ),
    Explained(
        "uploader/url.py",
        "return False",
        "return None",
        "only the truth is asked",
    ),
    Explained(
        "spool/choice.py",
        'if os.name == "posix":',
        'if os.name >= "posix":',
        'the systems are called "posix" and "nt", and "nt" comes before',
    ),
    Explained(
        "spool/sealing.py",
        "LOCK_S = 5.0",
        "LOCK_S = 4.0",
        "a margin of patience: the tests hold it between the bounds that matter, not to the second",
    ),
    Explained(
        "spool/sealing.py",
        "LOCK_S = 5.0",
        "LOCK_S = 6.0",
        "a margin of patience: the tests hold it between the bounds that matter, not to the second",
    ),
    Explained(
        "spool/sealing.py",
        "[(row.uid, batch, *key) for row, key in zip(rows, keys, strict=True)],",
        "[(row.uid, batch, *key) for row, key in zip(rows, keys, **{})],",
        "the rows are made from these keys, one from each",
    ),
    Explained(
        "spool/sealing.py",
        "[(row.uid, batch, *key) for row, key in zip(rows, keys, strict=True)],",
        "[(row.uid, batch, *key) for row, key in zip(rows, keys, strict=False)],",
        "the rows are made from these keys, one from each",
    ),
    Explained(
        "spool/erasing.py",
        "UPLOAD_WAIT_S = 45.0",
        "UPLOAD_WAIT_S = 44.0",
        "a margin of patience: the tests hold it between the bounds that matter, not to the second",
    ),
    Explained(
        "spool/erasing.py",
        "UPLOAD_WAIT_S = 45.0",
        "UPLOAD_WAIT_S = 46.0",
        "a margin of patience: the tests hold it between the bounds that matter, not to the second",
    ),
    Explained(
        "spool/erasing.py",
        "READERS_WAIT_S = 10.0",
        "READERS_WAIT_S = 11.0",
        "a margin of patience: the tests hold it between the bounds that matter, not to the second",
    ),
    Explained(
        "spool/erasing.py",
        "READERS_WAIT_S = 10.0",
        "READERS_WAIT_S = 9.0",
        "a margin of patience: the tests hold it between the bounds that matter, not to the second",
    ),
    Explained(
        "spool/erasing.py",
        "files: int = 0",
        "files: int = -1",
        "never used: whoever makes an `Erased` says how many",
    ),
    Explained(
        "spool/erasing.py",
        "files: int = 0",
        "files: int = 1",
        "never used: whoever makes an `Erased` says how many",
    ),
    Explained(
        "spool/erasing.py",
        "if time.monotonic() >= deadline:",
        "if time.monotonic() > deadline:",
        "the clock does not stand still at the deadline",
    ),
    Explained(
        "spool/erasing.py",
        "time.sleep(2 * LEASE_S)",
        "time.sleep( 3 * LEASE_S)",
        "a margin: the tests hold it between two leases and a tenth of a second",
    ),
    Explained(
        "spool/erasing.py",
        "return False",
        "return None",
        "only its truth is asked",
    ),
    Explained(
        "spool/ledger.py",
        "LARGEST_BODY = 2**22",
        "LARGEST_BODY = 2** 21",
        "a bound between the largest body that there can be and what memory bears",
    ),
    Explained(
        "spool/ledger.py",
        "LARGEST_BODY = 2**22",
        "LARGEST_BODY = 2** 23",
        "a bound between the largest body that there can be and what memory bears",
    ),
    Explained(
        "spool/ledger.py",
        "GZIP = 31",
        "GZIP = 32",
        "zlib's word for any of its formats, gzip too",
    ),
    Explained(
        "spool/ledger.py",
        'body = b""',
        'body = b"mutant"',
        "no batch has the digest of either",
    ),
    Explained(
        "spool/ledger.py",
        'query = f"SELECT {_COLUMNS} FROM batches WHERE state IN ({marks}) ORDER BY id"',
        'query = f"SELECT {_COLUMNS} FROM batches WHERE state IN ({marks})"',
        "SQLite reads a table by its number where no index leads elsewhere; the order is written down all the same",
    ),
    Explained(
        "spool/ledger.py",
        "return tried.rowcount == 1",
        "return tried.rowcount >= 1",
        "the number of a batch is unique, so one row changes or none",
    ),
    Explained(
        "spool/ledger.py",
        "if settled.rowcount != 1:",
        "if settled.rowcount < 1:",
        "the number of a batch is unique, so one row changes or none",
    ),
    Explained(
        "spool/ledger.py",
        "failed = verdict.state == SEALED",
        "failed = verdict.state >= SEALED",
        'no other state comes after "sealed" in the alphabet',
    ),
    Explained(
        "uploader/outcome.py",
        'DELIVERED, RETRY, PARKED, REJECTED, EXPORTED = "delivered", "retry", "parked", "rejected", "exported"',
        'DELIVERED, RETRY, PARKED, REJECTED, EXPORTED = "delivered", "mutant", "parked", "rejected", "exported"',
        "a word of our own, which is compared with itself only",
    ),
    Explained(
        "uploader/outcome.py",
        'body: bytes = b""',
        'body: bytes = b"mutant"',
        "no JSON either",
    ),
    Explained(
        "uploader/outcome.py",
        "if 300 <= answer.status < 400:",
        "if 299 <= answer.status < 400:",
        "what is below 300 was judged before",
    ),
    Explained(
        "uploader/outcome.py",
        'text = headers.get("retry-after", "").strip()',
        'text = headers.get("retry-after", "mutant").strip()',
        "no number and no date either",
    ),
    Explained(
        "uploader/outcome.py",
        "seconds = int(text[:9])",
        "seconds = int(text[: 10])",
        "seven digits are more than the week that is waited at most",
    ),
    Explained(
        "uploader/outcome.py",
        "seconds = int(text[:9])",
        "seconds = int(text[: 8])",
        "seven digits are more than the week that is waited at most",
    ),
    Explained(
        "uploader/outcome.py",
        "return False",
        "return None",
        "only its truth is asked",
    ),
    Explained(
        "uploader/outcome.py",
        'code, message, details = said.get("code", 0), said.get("message", ""), said.get("details", [])',
        'code, message, details = said.get("code", 0), said.get("message", "mutant"), said.get("details", [])',
        "any text is a message",
    ),
    Explained(
        "uploader/outcome.py",
        'code, message, details = said.get("code", 0), said.get("message", ""), said.get("details", [])',
        'code, message, details = said.get("code", 1), said.get("message", ""), said.get("details", [])',
        "any of the 17 codes will do where none was said",
    ),
)
