"""`NamedTuple` as typing has it, for what a host loads: importing typing, and re with it, takes a process 6 ms."""

from operator import itemgetter

TYPE_CHECKING = False  # type checkers take it for true by its name; typing has it too

if TYPE_CHECKING:
    from typing import NamedTuple
else:

    class NamedTuple(tuple):
        """A tuple whose fields are the annotations of its class; what typing's own does beyond that is not there."""

        __slots__ = ()
        _fields: tuple[str, ...] = ()

        def __init_subclass__(cls) -> None:
            cls._fields = tuple(cls.__annotations__)
            cls._defaults = {name: cls.__dict__[name] for name in cls._fields if name in cls.__dict__}
            for place, name in enumerate(cls._fields):
                setattr(cls, name, property(itemgetter(place)))

        def __new__(cls, *values: object, **named: object) -> "NamedTuple":  # noqa: D102, PYI034
            rest = cls._fields[len(values) :]
            if len(values) > len(cls._fields) or not set(named) <= set(rest):
                raise TypeError(f"{cls.__name__} has the fields {', '.join(cls._fields)}")
            given = {**cls._defaults, **named}
            missing = [name for name in rest if name not in given]
            if missing:
                raise TypeError(f"{cls.__name__} needs {', '.join(missing)}")
            return tuple.__new__(cls, (*values, *[given[name] for name in rest]))

        def __getnewargs__(self) -> tuple[object, ...]:
            return tuple(self)

        def __repr__(self) -> str:
            return f"{type(self).__name__}({', '.join(f'{k}={v!r}' for k, v in self._asdict().items())})"

        def _asdict(self) -> dict[str, object]:
            return dict(zip(self._fields, self, strict=True))

        def _replace(self, **changed: object) -> "NamedTuple":
            return type(self)(**{**self._asdict(), **changed})


__all__ = ["TYPE_CHECKING", "NamedTuple"]
