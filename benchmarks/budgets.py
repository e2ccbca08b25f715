"""The budgets: ratios within one run, each with its limit and, for `--check`, a wider limit."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

Figures = dict[str, Any]


class Rule(NamedTuple):
    """A ratio with its upper limit, or with `least` its lower limit; `far` is the limit for `--check`."""

    name: str
    limit: float
    far: float
    find: Callable[[Figures], float | None]
    least: bool = False


class Budget(NamedTuple):
    """A rule and the ratio that was found; None if it was not measured."""

    name: str
    limit: float
    least: bool
    found: float | None
    kept: bool | None


def evaluate(figures: Figures) -> list[Budget]:
    """All budgets: those of comparisons, and those of this package only."""
    compared = [_evaluate(rule, rule.limit, figures) for rule in RULES]
    return compared + [Budget(**budget) for budget in (figures.get("ours") or {}).get("budgets", [])]


def check(figures: Figures) -> list[str]:
    """The ratios (never absolute times) that are further off than a busy machine can explain."""
    budgets = [_evaluate(rule, rule.far, figures) for rule in RULES]
    far = [f"{budget.name}: {budget.found}, not {budget.limit}" for budget in budgets if budget.kept is False]
    return far + [f"ours, {name}: {fact!r}, not {wanted!r}" for name, fact, wanted in _facts(figures) if fact != wanted]


def _facts(figures: Figures) -> list[tuple[str, object, object]]:
    facts = figures["peers"].get("ours", {}).get("facts")
    wanted = {"killed": "kept", "together": 1_000}
    return [(name, facts[name], value) for name, value in wanted.items()] if facts else []


def _evaluate(rule: Rule, limit: float, figures: Figures) -> Budget:
    found = rule.find(figures)
    if found is None:
        return Budget(rule.name, limit, rule.least, None, None)
    return Budget(rule.name, limit, rule.least, round(found, 2), found >= limit if rule.least else found <= limit)


def record_us(figures: Figures, name: str, share: str = "p50") -> float | None:
    """The time of a peer's record, in one process with an idle disk."""
    times = figures["peers"].get(name, {}).get("record", {}).get("alone", {}).get(f"{share}_us")
    return times["median"] if times else None


def is_durable(peer: dict[str, Any]) -> bool:
    """Whether an unsent event survives SIGKILL, in a store that processes share."""
    facts = peer.get("facts", {})
    return (facts.get("killed"), facts.get("together")) == ("kept", 1_000)


def _ratio(value: float | None, base: float | None) -> float | None:
    return value / base if value and base else None


def _to_by_hand(share: str) -> Callable[[Figures], float | None]:
    """The ratio of record.py if it was run, because it calls both alternately in one process."""

    def find(figures: Figures) -> float | None:
        ratio = _record(figures, "alone", "ratio", f"{share}_us")
        return ratio or _ratio(record_us(figures, "ours", share), record_us(figures, "byhand", share))

    return find


def _record(figures: Figures, load: str, name: str, key: str) -> float | None:
    """A figure of record.py."""
    value: float | None = (figures.get("record") or {}).get(load, {}).get(name, {}).get(key)
    return value


def _of_record(load: str, name: str, key: str, unit: float = 1.0) -> Callable[[Figures], float | None]:
    def find(figures: Figures) -> float | None:
        value = _record(figures, load, name, key)
        return None if value is None else value / unit

    return find


def _fastest(is_compared: Callable[[dict[str, Any]], bool]) -> Callable[[Figures], float | None]:
    """The time of the fastest of these peers, divided by ours."""

    def find(figures: Figures) -> float | None:
        names = [name for name, peer in figures["peers"].items() if name not in OWN and is_compared(peer)]
        times = [time for name in names if (time := record_us(figures, name))]
        return _ratio(min(times, default=None), record_us(figures, "ours"))

    return find


def _modules(figures: Figures) -> float | None:
    modules: float | None = figures["peers"].get("ours", {}).get("first", {}).get("modules")
    return modules


QUEUES = ("PostHog", "Segment", "Sentry", "Snowplow", "wandb, offline")
OWN = ("ours", "ours_due", "byhand")
RULES = (
    Rule("record, p50 / a bare INSERT by hand", 1.3, 2.5, _to_by_hand("p50")),
    Rule("record, mean / a bare INSERT that keeps its WAL bounded", 1.4, 4, _of_record("alone", "ratio", "mean_us")),
    Rule("record, p99.9, ms", 0.5, 100, _of_record("alone", "ours", "p99.9_us", 1000)),
    Rule("record, four processes, p99.9, ms", 2, 200, _of_record("four", "ours", "p99.9_us", 1000)),
    Rule("record, the longest of all, ms", 20, 2000, _of_record("alone", "ours", "max_ms")),
    Rule("fastest peer that is durable and shared / record, p50", 5, 2, _fastest(is_durable), least=True),
    Rule(
        "fastest of five queues in memory / record, p50",
        1,
        0.5,
        _fastest(lambda peer: peer["name"] in QUEUES),
        least=True,
    ),
    Rule("modules that import and first record load", 100, 200, _modules),
)


if __name__ == "__main__":
    sys.exit("\n".join(check(json.loads(Path(sys.argv[1]).read_text("utf-8")))) or 0)
