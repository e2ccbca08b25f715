"""Runs checks and a suite of deepchecks' vision part on random images; prints the expected counts."""

# ruff: noqa: E402 - imports before and after attaching are tested

import json
import sys
import types
from contextlib import suppress
from importlib.machinery import ModuleSpec
from typing import Any

import numpy as np
import prepare  # type: ignore[import-not-found]  # noqa: F401 - for its effects
import torch

HOW = sys.argv[1]
# It imports torchvision for a loader that is not used here; few builds of it work with torch for CPUs.
torchvision = sys.modules["torchvision"] = types.ModuleType("torchvision")
datasets = sys.modules["torchvision.datasets"] = types.ModuleType("torchvision.datasets")
vars(torchvision).update(__spec__=ModuleSpec("torchvision", None), datasets=datasets)
vars(datasets).update(VisionDataset=type("VisionDataset", (), {}))
if HOW == "before":
    from deepchecks_telemetry.hooks import attach

    attach()

from deepchecks.core import CheckResult
from deepchecks.core.errors import DeepchecksValueError
from deepchecks.vision import ModelOnlyCheck, Suite, VisionData
from deepchecks.vision.checks import ImagePropertyOutliers, NewLabels

if HOW == "after":
    from deepchecks_telemetry.hooks import attach

    attach()


def images(seed: int) -> VisionData:
    """Twenty-four random images of three classes, in batches of eight."""
    random = np.random.default_rng(seed)
    batches = [
        {
            "images": list(random.integers(0, 255, (8, 16, 16, 3), dtype=np.uint8)),
            "labels": random.integers(0, 3, 8).tolist(),
        }
        for _ in range(3)
    ]
    loader = torch.utils.data.DataLoader(batches, batch_size=None, collate_fn=lambda batch: batch)
    return VisionData(loader, task_type="classification", reshuffle_data=False)


class Parameters(ModelOnlyCheck):  # type: ignore[misc]
    """The number of parameters of a model; the library has no check of this kind."""

    def run(self, *arguments: Any, **options: Any) -> CheckResult:
        return super().run(*arguments, **options)


train, test = images(0), images(1)
ImagePropertyOutliers().run(train)
NewLabels().run(train, test)
# In 0.19.1 it always fails, because it needs a dataset that it does not accept; a failing check counts.
with suppress(DeepchecksValueError):
    Parameters().run(torch.nn.Linear(2, 3))
result = Suite("images", ImagePropertyOutliers(), NewLabels()).run(train, test)
result.save_as_html("suite.html", as_widget=False)
result.results[0].save_as_html("check.html", as_widget=False)
result.to_json()
events = ["package-import", "run-suite", "check-to-html", "suite-to-html", "suite-to-json"]
print(json.dumps(dict.fromkeys(events, 1) | {"run-check": 3}))
