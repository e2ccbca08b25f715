"""Our light `NamedTuple` does what typing's does, as far as a host's code uses it, and costs none of its import."""

import copy
import pickle
import typing

import pytest

from deepchecks_telemetry.spool import tuples


class Ours(tuples.NamedTuple):
    name: str
    many: int = 3
    more: object = None

    @property
    def twice(self) -> int:
        return 2 * self.many


class Theirs(typing.NamedTuple):
    name: str
    many: int = 3
    more: object = None

    @property
    def twice(self) -> int:
        return 2 * self.many


def test_at_run_time_it_is_a_class_of_ours() -> None:
    assert tuples.NamedTuple.__module__ == "deepchecks_telemetry.spool.tuples"


@pytest.mark.parametrize(
    ("values", "named"),
    [
        (("a",), {}),
        (("a", 1), {}),
        (("a", 1, 2), {}),
        ((), {"name": "a"}),
        (("a",), {"more": [1]}),
        (("a",), {"many": 0}),
    ],
)
def test_it_is_made_and_told_as_typings_is(values: tuple[typing.Any, ...], named: dict[str, typing.Any]) -> None:
    ours: typing.Any = Ours(*values, **named)
    theirs = Theirs(*values, **named)
    assert ours == theirs == tuple(theirs)
    assert (ours.name, ours.many, ours.more, ours.twice) == (theirs.name, theirs.many, theirs.more, theirs.twice)
    assert repr(ours).removeprefix("Ours") == repr(theirs).removeprefix("Theirs")
    assert ours._asdict() == theirs._asdict()
    assert hash(Ours("a", 1)) == hash(Theirs("a", 1))
    assert ours._replace(many=9) == theirs._replace(many=9)
    assert Ours._fields == Theirs._fields


@pytest.mark.parametrize(
    ("values", "named"),
    [((), {}), (("a", 1, 2, 3), {}), (("a",), {"name": "b"}), (("a",), {"other": 1}), ((), {"many": 1})],
)
@pytest.mark.parametrize("kind", [Ours, Theirs])
def test_what_does_not_fit_its_fields_is_refused(
    kind: typing.Callable[..., object], values: tuple[object, ...], named: dict[str, object]
) -> None:
    with pytest.raises(TypeError):
        kind(*values, **named)


def test_a_field_is_not_written_to() -> None:
    with pytest.raises(AttributeError):
        Ours("a").name = "b"  # type: ignore[misc]


def test_a_copy_is_the_same() -> None:
    one: typing.Any = Ours("a", 1)
    for other in (pickle.loads(pickle.dumps(one)), copy.copy(one), copy.deepcopy(one)):
        assert (type(other), other) == (Ours, one)
