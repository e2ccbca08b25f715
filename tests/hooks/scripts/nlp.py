"""Runs checks and a suite of deepchecks' NLP part; prints the expected counts."""

# ruff: noqa: E402 - imports before and after attaching are tested

import json
import sys
import types
from importlib.machinery import ModuleSpec
from typing import Any

import prepare  # type: ignore[import-not-found]  # noqa: F401 - for its effects

HOW = sys.argv[1]
# It imports torch for a property that is not computed here; the real torch has gigabytes.
torch = sys.modules["torch"] = sys.modules["torch.cuda"] = types.ModuleType("torch")
vars(torch).update(__spec__=ModuleSpec("torch", None), Tensor=type("Tensor", (), {}), cuda=torch)
if HOW == "before":
    from deepchecks_telemetry.hooks import attach

    attach()

from deepchecks.core import CheckResult
from deepchecks.nlp import SingleDatasetCheck, Suite, TextData, TrainTestCheck

if HOW == "after":
    from deepchecks_telemetry.hooks import attach

    attach()

labels = [0, 1, 0] * 5
data = TextData(raw_text=["one text", "one text", "another"] * 5, label=labels, task_type="text_classification")


class Length(SingleDatasetCheck):  # type: ignore[misc]
    """A check with the same base class as the library's checks of texts, which import numba and umap."""

    def run_logic(self, context: Any, dataset_kind: Any) -> CheckResult:
        return CheckResult(len(context.get_data_by_kind(dataset_kind)))


class Difference(TrainTestCheck):  # type: ignore[misc]
    """The difference of the numbers of texts."""

    def run_logic(self, context: Any) -> CheckResult:
        return CheckResult(len(context.train) - len(context.test))


Length().run(data)
Difference().run(data, data)
result = Suite("texts", Length(), Difference()).run(data, data)
result.save_as_html("suite.html", as_widget=False)
result.results[0].save_as_html("check.html", as_widget=False)
result.to_json()
events = ["package-import", "run-suite", "check-to-html", "suite-to-html", "suite-to-json"]
print(json.dumps(dict.fromkeys(events, 1) | {"run-check": 2}))
