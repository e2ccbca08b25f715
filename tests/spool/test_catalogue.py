"""Only values of the catalogue are allowed: no free text, no digits of other scripts, nothing but text."""

import re
import string
from collections.abc import Iterator
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deepchecks_telemetry.spool.catalogue import (
    EVENT_NAMES,
    EVENT_NUMBERS,
    EVENTS,
    FIELDS,
    OS_NAMES,
    OS_TYPES,
    PYTHON_NAMES,
    RUNTIMES,
    UNKNOWN,
    Environment,
    is_allowed,
    is_count,
    is_day,
)

GOOD = Environment("0.19.1", "linux", "debian", "12", "cpython", "3.11", "script")
LISTED = {*OS_TYPES, *OS_NAMES, *PYTHON_NAMES, *RUNTIMES, UNKNOWN}
NUMERIC = set(string.digits + ".abrcpostdev")
INDEX = st.integers(0, len(FIELDS) - 1)


def with_value(index: int, value: object) -> tuple[object, ...]:
    return (*GOOD[:index], value, *GOOD[index + 1 :])


def is_coarse(value: str) -> bool:
    """A word of the catalogue, or a short number that cannot identify anybody."""
    return value in LISTED or (value[:1].isdigit() and value.isascii() and set(value) <= NUMERIC and len(value) < 50)


def test_an_environment_of_the_catalogue_is_allowed() -> None:
    assert is_allowed(GOOD)


def test_event_numbers_and_names_are_unique_and_map_to_each_other() -> None:
    assert len(EVENT_NUMBERS) == len(EVENT_NAMES) == len(EVENTS) == 7
    assert all(EVENT_NAMES[EVENT_NUMBERS[event.name]] == event.name for event in EVENTS)
    assert 0 not in EVENT_NAMES  # the number of an emptied row


def test_event_numbers_never_change() -> None:
    names = "package-import run-check run-suite check-to-html suite-to-html suite-to-json suite-to-wandb"
    assert [EVENT_NAMES[number] for number in range(1, 8)] == names.split()


def test_fields_are_in_the_order_of_environment_and_have_a_reason() -> None:
    assert tuple(field.name for field in FIELDS) == Environment._fields
    assert all(field.why and field.wire for field in FIELDS)


@given(INDEX, st.text())
def test_free_text_is_not_allowed(index: int, text: str) -> None:
    assert not is_allowed(with_value(index, text)) or is_coarse(text)


@given(INDEX, st.data())
def test_a_pattern_matches_exactly_what_its_field_allows(index: int, data: st.DataObject) -> None:
    field = FIELDS[index]
    sound = st.from_regex(re.compile(field.pattern, re.ASCII), fullmatch=True)
    text = data.draw(
        st.one_of(sound, st.text("0123456789.abrcpostdevun-", max_size=30), st.sampled_from(sorted(LISTED)))
    )
    position, letter = data.draw(st.integers(0, len(text))), data.draw(st.sampled_from("0.abrc-") | st.characters())
    for variant in (text, text[:position] + letter + text[position:], text[:position] + text[position + 1 :]):
        assert field.allows(variant) == bool(re.fullmatch(field.pattern, variant, re.ASCII)), variant


def numbers(*most: int) -> Iterator[str]:
    """Up to one too many numbers separated by dots, each in turn empty, of maximum length, and too long."""
    yield ""
    for many in range(1, len(most) + 2):
        for position in range(many):
            for digits in (0, *{(*most, 1)[position], (*most, 1)[position] + 1}):
                yield ".".join("9" * (digits if at == position else 1) for at in range(many))


def marked(*marks: str, most: int) -> list[str]:
    """Nothing, and each mark without a number, with one of maximum length, and with one that is too long."""
    return ["", *(mark + "9" * digits for mark in marks for digits in (0, most, most + 1))]


def every_version() -> Iterator[str]:
    endings = list(product(marked(".post", most=3), marked(".dev", most=6)))
    for release, pre in product(numbers(4, 5, 5, 5), marked("a", "b", "rc", "c", "ab", most=3)):
        yield from (release + pre + post + dev for post, dev in endings)
    yield from ("1.dev1.post1", "1a1b1", "1b1a1", "1rc1a1", "1.post1.post1", "1.dev1.dev1", "1.post1rc1", "v1", "1+a")


def test_is_version_agrees_with_its_pattern_at_every_limit() -> None:
    (field,) = (field for field in FIELDS if field.name == "deepchecks_version")
    allowed = {text: field.allows(text) for text in every_version()}
    assert {True, False} == set(allowed.values())
    assert allowed == {text: bool(re.fullmatch(field.pattern, text, re.ASCII)) for text in allowed}


@pytest.mark.parametrize(("name", "most"), [("os_version", (5, 3)), ("python_version", (2, 3))])
def test_numeric_fields_agree_with_their_patterns_at_every_limit(name: str, most: tuple[int, ...]) -> None:
    (field,) = (field for field in FIELDS if field.name == name)
    allowed = {text: field.allows(text) for text in [*numbers(*most), UNKNOWN, "3.x", "x.3"]}
    assert {True, False} == set(allowed.values())
    assert allowed == {text: bool(re.fullmatch(field.pattern, text, re.ASCII)) for text in allowed}


@pytest.mark.parametrize("index", [index for index, field in enumerate(FIELDS) if r"\d" not in field.pattern])
def test_a_listed_value_is_allowed_but_no_part_of_it(index: int) -> None:
    field = FIELDS[index]
    words = field.pattern.replace("\\-", "-").split("|")
    assert all(field.allows(word) and re.fullmatch(field.pattern, word) for word in words)
    assert not any(field.allows(word[:-1]) for word in words if word[:-1] not in words)


def test_a_day_and_a_count_have_limits() -> None:
    assert [value for value in (-1, 0, 65_535, 65_536, False, 1.0, "1") if is_day(value)] == [0, 65_535]
    passed = [value for value in (0, 1, 9_999_999_999, 10_000_000_000, True, 1.0, "1") if is_count(value)]
    assert [(type(value), value) for value in passed] == [(int, 1), (int, 9_999_999_999)]


@given(INDEX, st.integers(0, 20), st.characters())
def test_a_valid_value_with_a_foreign_character_is_not_allowed(index: int, position: int, letter: str) -> None:
    text = GOOD[index][:position] + letter + GOOD[index][position:]
    assert not is_allowed(with_value(index, text)) or is_coarse(text)


@pytest.mark.parametrize("name", ["deepchecks_version", "os_version", "python_version"])
@pytest.mark.parametrize("text", ["٣.١١", "３.11", "3.1१", "²", "3.11\n", "3.11 ", " 3.11", "3.11+acme.7", "3..11", ""])
def test_a_version_only_has_ascii_digits(name: str, text: str) -> None:
    assert not is_allowed(tuple(GOOD._replace(**{name: text})))


@given(INDEX, st.one_of(st.none(), st.integers(), st.binary(), st.floats(), st.lists(st.text())))
def test_a_value_that_is_not_text_is_not_allowed(index: int, value: object) -> None:
    assert not is_allowed(with_value(index, value))


@pytest.mark.parametrize("values", [(), GOOD[:-1], (*GOOD, "script")])
def test_an_environment_has_exactly_its_fields(values: tuple[object, ...]) -> None:
    assert not is_allowed(values)
