"""The page of figures contains the numbers of the run, and the check of a run can fail."""

import copy
import importlib
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

CHECKOUT = Path(__file__).parents[2]
PAGE = (CHECKOUT / "docs" / "performance.md").read_text("utf-8")
FIGURES = json.loads((CHECKOUT / "benchmarks" / "figures" / "performance.json").read_text("utf-8"))
Change = Callable[[dict[str, Any]], object]


@pytest.fixture
def benchmark(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], ModuleType]:
    monkeypatch.syspath_prepend(CHECKOUT)
    return lambda name: importlib.import_module(f"benchmarks.{name}")


def slow(figures: dict[str, Any], name: str, *path: str, by: float) -> None:
    """Make one median larger."""
    value = figures["peers"][name]
    for step in path:
        value = value[step]
    value["median"] *= by


def set_record(figures: dict[str, Any], name: str, **values: float) -> None:
    figures["record"] = {"alone": {name: values}}


CHANGES: dict[str, tuple[Change, str]] = {
    "record": (lambda figures: set_record(figures, "ratio", p50_us=2.6), "record, p50 / a bare INSERT"),
    "mean": (lambda figures: set_record(figures, "ratio", mean_us=4.1), "record, mean / a bare INSERT"),
    "durable": (lambda figures: slow(figures, "ours", "record", "alone", "p50_us", by=20), "durable and shared"),
    "memory": (lambda figures: slow(figures, "ours", "record", "alone", "p50_us", by=20), "queues in memory"),
    "modules": (lambda figures: figures["peers"]["ours"]["first"].update(modules=500), "modules"),
    "killed": (lambda figures: figures["peers"]["ours"]["facts"].update(killed="lost"), "killed"),
    "together": (lambda figures: figures["peers"]["ours"]["facts"].update(together=999), "together"),
}


def test_the_figures_of_the_page_pass_the_check(benchmark: Callable[[str], ModuleType]) -> None:
    assert benchmark("budgets").check(FIGURES) == []


@pytest.mark.parametrize("name", CHANGES)
def test_the_check_fails_if_a_ratio_is_far_off_and_names_it(name: str, benchmark: Callable[[str], ModuleType]) -> None:
    change, budget = CHANGES[name]
    figures = copy.deepcopy(FIGURES)
    change(figures)
    assert any(budget in line for line in benchmark("budgets").check(figures))


def test_the_check_ignores_peers_that_were_not_measured(benchmark: Callable[[str], ModuleType]) -> None:
    figures = {**FIGURES, "record": None, "peers": {"byhand": FIGURES["peers"]["byhand"]}}
    assert benchmark("budgets").check(figures) == []


def test_the_budgets_of_the_page_follow_from_its_figures(benchmark: Callable[[str], ModuleType]) -> None:
    assert [budget._asdict() for budget in benchmark("budgets").evaluate(FIGURES)] == FIGURES["budgets"]


def test_the_chart_is_drawn_from_the_figures(benchmark: Callable[[str], ModuleType]) -> None:
    assert (CHECKOUT / "docs" / "performance.svg").read_text("utf-8") == benchmark("chart").draw(FIGURES)


def test_the_page_names_each_peer_that_is_better(benchmark: Callable[[str], ModuleType]) -> None:
    assert benchmark("tables").better_peers(FIGURES) in PAGE
    figures = copy.deepcopy(FIGURES)
    slow(figures, "ours", "first", "cpu_ms", by=1e6)
    worse = benchmark("tables").better_peers(figures)
    assert all(peer["name"] in worse for peer in figures["peers"].values() if "cpu_ms" in peer.get("first", {}))


def test_outside_of_its_generated_parts_the_page_has_no_measured_number() -> None:
    by_hand = re.sub(r"<!-- \[\[\[cog.*?\[\[\[end\]\]\] -->", "", PAGE, flags=re.DOTALL)
    measured = r"\d[\d.,]*\s*(?:µs|ms|s\b|MB|kB|bytes|×|%|calls a second)"
    # Settings of the benchmarks, not results.
    assert re.findall(measured, by_hand) == ["500 calls a second", "500 calls a second", "4 MB"]


def test_every_peer_has_a_pinned_version_and_an_adapter(benchmark: Callable[[str], ModuleType]) -> None:
    text = (CHECKOUT / "benchmarks" / "requirements.txt").read_text("utf-8")
    requirements = benchmark("environments").read_requirements(text)
    assert len(requirements) > 10
    assert requirements.keys() == benchmark("environments").read_releases(text).keys()
    for name, (first, *_) in requirements.items():
        assert re.fullmatch(r"[\w-]+==[\d.]+", first)
        assert first.partition("==")[0] == benchmark("measuring").load(name).DISTRIBUTION


@pytest.mark.skipif(sys.platform != "linux", reason="the benchmarks run on Linux")
def test_the_harness_distinguishes_stored_events_from_those_lost_with_a_killed_process(
    benchmark: Callable[[str], ModuleType], monkeypatch: pytest.MonkeyPatch
) -> None:
    adapter, facts = benchmark("measuring").load("byhand"), benchmark("facts")
    peer = benchmark("processes").Peer("byhand", adapter, sys.executable, isolated=False)
    assert (facts._killed(peer), facts._together(peer)) == ("kept", 1_000)
    monkeypatch.setattr(facts, "_stored", lambda *_: 0)  # as for a peer without a store
    assert facts._killed(peer) == "lost"
