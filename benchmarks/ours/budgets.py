"""The budgets of this package only, evaluated from the figures."""

from typing import Any, NamedTuple


class Budget(NamedTuple):
    """An upper limit, or with `least` a lower limit, and the path of the figure."""

    name: str
    path: str
    limit: float
    least: bool = False


HOST, NETWORKS = "growth/in_the_host", ("answers", "refuses", "silent")
BUDGETS = (
    Budget("deepchecks imported: attach and first record, CPU ms", "library/ours/first_cpu_ms", 5),
    Budget("the same, percent of deepchecks' own import", "library/ours/percent_of_import", 0.15),
    Budget("a program with deepchecks and 30 events / without this package, wall", "library/ours/wall_ratio", 1.01),
    Budget("the same, CPU", "library/ours/cpu_ratio", 1.01),
    Budget("the same, an endpoint is set and no upload is due, wall", "library/not_due/wall_ratio", 1.01),
    *(
        Budget(f"the same, an upload is due, endpoint {state}, wall", f"library/due_{state}/wall_ratio", 1.02)
        for state in NETWORKS
    ),
    Budget("telemetry --help, CPU ms", "commands/deepchecks telemetry --help/cpu_ms", 300),
    Budget("telemetry status, CPU ms", "commands/deepchecks telemetry status/cpu_ms", 300),
    Budget("slope of folding, few kinds", "growth/few_kinds/slope/fold_cpu_s", 1.1),
    Budget("slope of folding, many kinds", "growth/many_kinds/slope/fold_cpu_s", 1.1),
    Budget("slope of sending by batches, many kinds", "growth/many_kinds/slope/flush_cpu_s_by_batches", 1.1),
    Budget("slope of folding as in the host, few kinds", f"{HOST}/few_kinds/slope/fold_cpu_s", 1.1),
    Budget("slope of folding as in the host, many kinds", f"{HOST}/many_kinds/slope/fold_cpu_s", 1.1),
    Budget("events folded a second, few kinds", "growth/few_kinds/folded_events_per_s/-1", 50_000, least=True),
    Budget("events folded a second, many kinds", "growth/many_kinds/folded_events_per_s/-1", 50_000, least=True),
    Budget("the same as in the host", f"{HOST}/many_kinds/folded_events_per_s/-1", 50_000, least=True),
    Budget("bytes of a raw event, in the database", "sizes/raw/database_bytes_per_event/-1", 40),
    Budget("bytes written for an event, with folds and checkpoints", "sizes/written_a_day/an_event", 650),
    Budget("most / fewest bytes after folding, whatever the number", "sizes/folded_by_events_ratio", 1.05),
)


def judge(figures: dict[str, Any]) -> list[dict[str, Any]]:
    """Each budget with its limit, the figure (None if not measured), and whether the limit is kept."""
    return [_judge(budget, _find(figures, budget.path)) for budget in BUDGETS]


def _judge(budget: Budget, found: float | None) -> dict[str, Any]:
    kept = None if found is None else (found >= budget.limit if budget.least else found <= budget.limit)
    return {"name": budget.name, "limit": budget.limit, "least": budget.least, "found": found, "kept": kept}


def _find(figures: Any, path: str) -> Any:
    for step in path.split("/"):
        if figures is None:
            return None
        figures = figures[int(step)] if isinstance(figures, list) else figures.get(step)
    return figures
