"""The budgets of this package only, evaluated from the figures."""

from typing import Any, NamedTuple


class Budget(NamedTuple):
    """An upper limit, or with `least` a lower limit, and the path of the figure."""

    name: str
    path: str
    limit: float
    least: bool = False


BY_THE_THOUSAND = "growth/in_the_host_by_the_thousand"
BUDGETS = (
    Budget("import and first record, bare process, CPU ms", "first_record/bare/cpu_ms", 30),
    Budget("import and first record, deepchecks loaded, CPU ms", "first_record/with_deepchecks/cpu_ms", 10),
    Budget("the same, percent of deepchecks' own import", "first_record/with_deepchecks/percent_of_it", 1),
    Budget("import, one event, exit / the same by hand, wall", "process/ratio_to_by_hand/wall_ms", 1.3),
    Budget("the same, CPU", "process/ratio_to_by_hand/cpu_ms", 1.3),
    Budget("endpoint configured, not due / mode local, wall", "networks/ratio_to_local/not_due/wall_ms", 1.3),
    Budget("due, endpoint answers / mode local, wall", "networks/ratio_to_local/due_answers/wall_ms", 1.3),
    Budget("due, endpoint refuses / mode local, wall", "networks/ratio_to_local/due_refuses/wall_ms", 1.3),
    Budget("due, endpoint is silent / mode local, wall", "networks/ratio_to_local/due_silent/wall_ms", 1.3),
    Budget("telemetry --help, more than a bare Python, wall ms", "commands/help_over_python_wall_ms", 50),
    Budget("telemetry status, CPU ms", "commands/status/cpu_ms", 300),
    Budget("slope of folding, few kinds", "growth/few_kinds/slope/fold_cpu_s", 1.1),
    Budget("slope of folding, many kinds", "growth/many_kinds/slope/fold_cpu_s", 1.1),
    Budget("slope of sending by batches, many kinds", "growth/many_kinds/slope/flush_cpu_s_by_batches", 1.1),
    Budget("slope of folding by the thousand, few kinds", f"{BY_THE_THOUSAND}/few_kinds/slope/fold_cpu_s", 1.1),
    Budget("slope of folding by the thousand, many kinds", f"{BY_THE_THOUSAND}/many_kinds/slope/fold_cpu_s", 1.1),
    Budget("events folded a second, few kinds", "growth/few_kinds/folded_events_per_s/-1", 50_000, least=True),
    Budget("events folded a second, many kinds", "growth/many_kinds/folded_events_per_s/-1", 50_000, least=True),
    Budget("the same by the thousand", f"{BY_THE_THOUSAND}/many_kinds/folded_events_per_s/-1", 50_000, least=True),
    Budget("bytes of a raw event, in the database", "sizes/raw/database_bytes_per_event/-1", 40),
    Budget(
        "bytes of a raw event, with the WAL before it is truncated", "sizes/raw/database_and_wal_bytes_per_event/-1", 40
    ),
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
