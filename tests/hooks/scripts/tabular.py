"""Does everything on the real deepchecks that is counted or must not be; prints the expected counts."""

# ruff: noqa: ARG002, E402 - imports before and after attaching are tested

import importlib
import json
import os
import pickle
import sys
import threading
import warnings
from collections import Counter
from contextlib import suppress
from typing import Any

from prepare import SEEN  # type: ignore[import-not-found]  # next to this script

HOW, EXPORTS = sys.argv[1:3]
VARIABLES = set(os.environ)

if HOW == "before":
    from deepchecks_telemetry.hooks import attach

    attach()
    attach()

if HOW == "during":
    from deepchecks_telemetry.hooks import attach

    importing = threading.Thread(target=importlib.import_module, args=("deepchecks",))
    importing.start()
    while "deepchecks.analytics.anonymous_telemetry" not in sys.modules:
        assert importing.is_alive()
    attach()
    importing.join()

from deepchecks.core import CheckResult, display
from deepchecks.tabular import Dataset, ModelComparisonSuite, SingleDatasetCheck, Suite
from deepchecks.tabular.checks import (
    IsSingleValue,
    ModelInferenceTime,
    MultiModelPerformanceReport,
    TrainTestSamplesMix,
)

AT_IMPORT = list(SEEN)
NEW_VARIABLES = sorted(name for name in set(os.environ) - VARIABLES if "DEEPCHECKS" in name or "VERSION" in name)

if HOW == "after":
    from deepchecks_telemetry.hooks import attach

    attach()
    attach()

import cloudpickle
from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier

frame = load_iris(as_frame=True).frame
train = Dataset(frame[::2], label="target", cat_features=[])
test = Dataset(frame[1::2], label="target", cat_features=[])
models = [
    RandomForestClassifier(n_estimators=n, random_state=0).fit(train.features_columns, train.label_col) for n in (2, 3)
]
done: Counter[str] = Counter({"package-import": 1})


class Nested(SingleDatasetCheck):  # type: ignore[misc]
    """A user's check that runs two others and calls `run` of its base class."""

    def run(self, *arguments: Any, **options: Any) -> CheckResult:
        return super().run(*arguments, **options)

    def run_logic(self, context: Any, dataset_kind: Any) -> CheckResult:
        IsSingleValue().run(context.train)
        return CheckResult(IsSingleValue().run(context.train).value)


class Failing(SingleDatasetCheck):  # type: ignore[misc]
    """A user's check that raises."""

    def run_logic(self, context: Any, dataset_kind: Any) -> CheckResult:
        raise RuntimeError("failing on purpose")


# Each kind of check, a failing one, and one that runs others.
result = IsSingleValue().run(train)
TrainTestSamplesMix().run(train, test)
ModelInferenceTime().run(train, models[0])
MultiModelPerformanceReport().run(train, test, models)
Nested().run(train)
with suppress(RuntimeError):
    Failing().run(train)
done["run-check"] += 6

threads = [threading.Thread(target=IsSingleValue().run, args=(train,)) for _ in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
done["run-check"] += 8

# Suites: the checks inside are not counted.
suite = Suite("a suite", IsSingleValue().add_condition_not_single_value(), TrainTestSamplesMix(), Nested(), Failing())
suite_result = suite.run(train, test, models[0])
ModelComparisonSuite("two models", MultiModelPerformanceReport()).run(train, test, models)
done["run-suite"] += 2

# Exports: counted only after success.
failures = [failure for failure in suite_result.results if type(failure).__name__ == "CheckFailure"]
with open("open.html", "w", encoding="utf-8") as file:
    result.save_as_html(file, as_widget=False)
result.save_as_html("check.html")
failures[0].save_as_html("failure.html", as_widget=False)
done["check-to-html"] += 3
with suppress(OSError):
    result.save_as_html("no/such/folder/check.html")
suite_result.save_as_html("suite.html")
suite_result.save_as_cml_markdown("suite.md")
done["suite-to-html"] += 2
suite_result.save_as_cml_markdown("bare.md", attach_html_report=False)
# Without PyQt5 no window opens; this is what the library does to fill one.
display.display_in_gui = lambda shown: shown.save_as_html("window.html")
suite_result.show_in_window()
suite_result.to_json()
done["suite-to-json"] += 1
suite.to_json()
result.to_json()
IsSingleValue().to_json()
if EXPORTS == "wandb":
    suite_result.to_wandb()
    result.to_wandb()
    done["suite-to-wandb"] += 1

PICKLED = cloudpickle.dumps([result, suite_result, Nested()])

# A reload creates new classes and does not count as a second import.
for name in ("deepchecks.tabular.base_checks", "deepchecks.core.suite", "deepchecks"):
    importlib.reload(importlib.import_module(name))
base_checks = importlib.import_module("deepchecks.tabular.base_checks")


class Reloaded(base_checks.SingleDatasetCheck):  # type: ignore[misc, name-defined]
    """A user's check on the reloaded base."""

    def run_logic(self, context: Any, dataset_kind: Any) -> CheckResult:
        return CheckResult(1)


Reloaded().run(train)
done["run-check"] += 1

with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always", DeprecationWarning)
    IsSingleValue().run(train, y_pred_test=[1])
done["run-check"] += 1

print(
    json.dumps(
        {
            "done": done,
            "at_import": AT_IMPORT,
            "later": SEEN[len(AT_IMPORT) :],
            "new_variables": NEW_VARIABLES,
            "pickles": b"deepchecks_telemetry" not in PICKLED,
            "still_pickles": bool(cloudpickle.dumps(Nested())),
            "bound": pickle.loads(pickle.dumps(IsSingleValue().run)).__name__,
            "warned_at": sorted({warning.filename for warning in caught if "y_pred_test" in str(warning.message)}),
        }
    )
)
