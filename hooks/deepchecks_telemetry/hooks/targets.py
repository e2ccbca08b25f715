"""Lists every place where this project changes deepchecks: what is not in `TARGETS` is never changed.

Based on deepchecks 0.19.1. A suite calls `run_logic`, never `run`, so its checks need no target of their own.
"""


class Target:
    """One place in deepchecks: a name in a module, how it is changed, and the event that it records, if any.

    kind: `import` (the module itself), `run` (counted at entry), `export` (counted after success), `builtin` (a flag
    that is set to True, which turns deepchecks' own telemetry off).
    """

    __slots__ = ("event", "kind", "module", "name")

    def __init__(self, kind: str, event: str, module: str, name: str) -> None:
        self.kind, self.event, self.module, self.name = kind, event, module, name

    def __str__(self) -> str:
        return f"{self.module}:{self.name}" if self.name else self.module


ROOT = "deepchecks"
NO_EVENT = ""


def _runs(event: str, module: str, *classes: str) -> list[Target]:
    return [Target("run", event, module, f"{owner}.run") for owner in classes]


TARGETS = (
    # First, because the next target waits if another thread is importing deepchecks.
    Target("builtin", NO_EVENT, "deepchecks.analytics.anonymous_telemetry", "ANALYTICS_DISABLED"),
    Target("import", "package-import", ROOT, ""),
    *_runs(
        "run-check",
        "deepchecks.tabular.base_checks",
        *("SingleDatasetCheck", "TrainTestCheck", "ModelOnlyCheck", "ModelComparisonCheck"),
    ),
    *_runs("run-check", "deepchecks.nlp.base_checks", "SingleDatasetCheck", "TrainTestCheck"),
    *_runs("run-check", "deepchecks.vision.base_checks", "SingleDatasetCheck", "TrainTestCheck", "ModelOnlyCheck"),
    *_runs("run-suite", "deepchecks.tabular.suite", "Suite"),
    *_runs("run-suite", "deepchecks.tabular.model_base", "ModelComparisonSuite"),
    *_runs("run-suite", "deepchecks.nlp.suite", "Suite"),
    *_runs("run-suite", "deepchecks.vision.suite", "Suite"),
    Target("export", "check-to-html", "deepchecks.core.check_result", "CheckResult.save_as_html"),
    Target("export", "check-to-html", "deepchecks.core.check_result", "CheckFailure.save_as_html"),
    Target("export", "suite-to-html", "deepchecks.core.suite", "SuiteResult.save_as_html"),
    Target("export", "suite-to-json", "deepchecks.core.suite", "SuiteResult.to_json"),
    Target("export", "suite-to-wandb", "deepchecks.core.suite", "SuiteResult.to_wandb"),
    # It calls `save_as_html` to fill the window, which is not an export by the user.
    Target("export", NO_EVENT, "deepchecks.core.display", "DisplayableResult.show_in_window"),
)
MODULES = tuple(dict.fromkeys(target.module for target in TARGETS))
