"""Runs checks and a suite of deepchecks' NLP part; prints what a person did."""

import json
import sys
import types

import numpy as np

HOW = sys.argv[1]
# Its import names torch, for a property that is not computed here; torch itself is a matter of gigabytes.
sys.modules["torch"] = sys.modules["torch.cuda"] = types.ModuleType("torch")
if HOW == "before":
    from deepchecks_telemetry.hooks import attach

    attach()
from deepchecks.nlp import Suite, TextData
from deepchecks.nlp.checks import PredictionDrift, TextDuplicates

if HOW == "after":
    from deepchecks_telemetry.hooks import attach

    attach()

labels = [0, 1, 0] * 5
data = TextData(raw_text=["one text", "one text", "another"] * 5, label=labels, task_type="text_classification")
TextDuplicates().run(data)
predictions = np.array(labels)
PredictionDrift().run(data, data, train_predictions=predictions, test_predictions=predictions)
result = Suite("texts", TextDuplicates()).run(data)
result.save_as_html("suite.html", as_widget=False)
result.results[0].save_as_html("check.html", as_widget=False)
result.to_json()
events = ["package-import", "run-suite", "check-to-html", "suite-to-html", "suite-to-json"]
print(json.dumps(dict.fromkeys(events, 1) | {"run-check": 2}))
