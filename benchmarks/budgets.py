"""What the figures are held to: ratios in one run, each with its limit and, for `--check`, how far off is an error."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.endpoints import STATES

Figures = dict[str, Any]


class Rule(NamedTuple):
    """A ratio that must not pass its limit; or, `least`, that must reach it."""

    name: str
    limit: float
    far: float
    find: Callable[[Figures], float | None]
    least: bool = False


class Budget(NamedTuple):
    """A rule and what was found; None where it was not measured."""

    name: str
    limit: float
    least: bool
    found: float | None
    kept: bool | None


def weigh(figures: Figures) -> list[Budget]:
    """Every budget: those beside others, and those of ours alone."""
    beside = [_weigh(rule, rule.limit, figures) for rule in RULES]
    return beside + [Budget(**each) for each in (figures.get("ours") or {}).get("budgets", [])]


def check(figures: Figures) -> list[str]:
    """What is off by so much that no busy machine explains it; never an absolute time."""
    weighed = [_weigh(rule, rule.far, figures) for rule in RULES]
    far = [f"{each.name}: {each.found}, not {each.limit}" for each in weighed if each.kept is False]
    return far + [f"ours, {name}: {said!r}, not {wanted!r}" for name, said, wanted in _facts(figures) if said != wanted]


def _facts(figures: Figures) -> list[tuple[str, object, object]]:
    said = figures["peers"].get("ours", {}).get("facts")
    wanted = {"killed": "kept", "together": 1_000}
    return [(name, said[name], each) for name, each in wanted.items()] if said else []


def _weigh(rule: Rule, limit: float, figures: Figures) -> Budget:
    found = rule.find(figures)
    if found is None:
        return Budget(rule.name, limit, rule.least, None, None)
    return Budget(rule.name, limit, rule.least, round(found, 2), found >= limit if rule.least else found <= limit)


def record_us(figures: Figures, name: str, share: str = "p50") -> float | None:
    """A peer's record, alone on a quiet disk."""
    said = figures["peers"].get(name, {}).get("record", {}).get("alone", {}).get(f"{share}_us")
    return said["median"] if said else None


def whole_ms(figures: Figures, name: str, state: str) -> float | None:
    """A peer's whole process."""
    said = figures["peers"].get(name, {}).get("whole", {}).get(state, {}).get("wall_ms")
    return said["median"] if said else None


def is_durable(peer: dict[str, Any]) -> bool:
    """Whether its event outlives a SIGKILL without having been sent, in a store that processes share."""
    facts = peer.get("facts", {})
    return (facts.get("killed"), facts.get("together")) == ("kept", 1_000)


def _over(found: float | None, by: float | None) -> float | None:
    return found / by if found and by else None


def _to_by_hand(share: str) -> Callable[[Figures], float | None]:
    """As record.py says, where it was run: it lets both take turns in one process."""

    def find(figures: Figures) -> float | None:
        sharp = (figures.get("record") or {}).get("ratio", {}).get(share)
        return sharp or _over(record_us(figures, "ours", share), record_us(figures, "byhand", share))

    return find


def _fastest(is_one: Callable[[dict[str, Any]], bool]) -> Callable[[Figures], float | None]:
    """The fastest of the peers that are such, over ours."""

    def find(figures: Figures) -> float | None:
        names = [name for name, peer in figures["peers"].items() if name not in OWN and is_one(peer)]
        found = [taken for name in names if (taken := record_us(figures, name))]
        return _over(min(found, default=None), record_us(figures, "ours"))

    return find


def _to_by_hand_whole(name: str) -> Callable[[Figures], float | None]:
    """In the worst state of the endpoint; within a state both took turns, so a busy minute was both's."""

    def find(figures: Figures) -> float | None:
        return max((each for state in STATES if (each := _whole(figures, name, state))), default=None)

    return find


def _whole(figures: Figures, name: str, state: str) -> float | None:
    return _over(whole_ms(figures, name, state), whole_ms(figures, "byhand", state))


def _silence(figures: Figures) -> float | None:
    return _over(_whole(figures, "ours_due", "silent"), _whole(figures, "ours_due", "answers"))


def _modules(figures: Figures) -> float | None:
    modules: float | None = figures["peers"].get("ours", {}).get("first", {}).get("modules")
    return modules


QUEUES = ("PostHog", "Segment", "Sentry", "Snowplow", "wandb, offline")
OWN = ("ours", "ours_due", "byhand")
RULES = (
    Rule("record, p50 / a bare INSERT by hand", 1.3, 2.5, _to_by_hand("p50")),
    Rule("record, p99 / a bare INSERT by hand", 2, 10, _to_by_hand("p99")),
    Rule("fastest peer that is durable and shared / record, p50", 5, 2, _fastest(is_durable), least=True),
    Rule(
        "fastest of five queues in memory / record, p50",
        1,
        0.5,
        _fastest(lambda peer: peer["name"] in QUEUES),
        least=True,
    ),
    Rule("whole process, worst network / the same by hand", 1.3, 5, _to_by_hand_whole("ours")),
    Rule(
        "whole process that starts the upload, worst network / the same by hand", 1.3, 6, _to_by_hand_whole("ours_due")
    ),
    Rule("whole process that starts the upload, silent / answering endpoint", 1.3, 2, _silence),
    Rule("modules that import and first record load", 100, 200, _modules),
)


if __name__ == "__main__":
    sys.exit("\n".join(check(json.loads(Path(sys.argv[1]).read_text("utf-8")))) or 0)
