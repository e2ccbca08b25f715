"""A user's work in which everything has a name: a full suite, a check that fails with a name, and every export."""

import sys

from deepchecks_telemetry.hooks import attach

attach()

from contextlib import suppress  # noqa: E402
from typing import Any  # noqa: E402

import pandas as pd  # noqa: E402
from deepchecks.tabular import Dataset, SingleDatasetCheck  # noqa: E402
from deepchecks.tabular.suites import full_suite  # noqa: E402
from sklearn.datasets import load_iris  # noqa: E402
from sklearn.ensemble import RandomForestClassifier  # noqa: E402

MARK = sys.argv[1]


class Failing(SingleDatasetCheck):  # type: ignore[misc]
    """A check whose failure contains a name."""

    def run_logic(self, context: Any, dataset_kind: Any) -> Any:
        raise RuntimeError(f"{MARK}: {context}, {dataset_kind}")


Failing.__name__ = Failing.__qualname__ = f"{MARK}Check"
frame: pd.DataFrame = load_iris(as_frame=True).frame
frame.columns = [f"{MARK} column {number}" for number in range(5)]
label = f"{MARK} column 4"
frame[label] = frame[label].map(lambda number: f"{MARK} class {number}")
frame[f"{MARK} text"] = [f"{MARK} value {number % 7}" for number in range(len(frame))]
features = [f"{MARK} text"]
train, test = (Dataset(frame[start::2], label=label, cat_features=features) for start in (0, 1))
numbers = [f"{MARK} column {number}" for number in range(4)]


class Pipeline(RandomForestClassifier):  # type: ignore[misc]
    """A named model that only uses the numbers."""

    def predict(self, table: Any) -> Any:
        return super().predict(table[numbers])

    def predict_proba(self, table: Any) -> Any:
        return super().predict_proba(table[numbers])


Pipeline.__name__ = Pipeline.__qualname__ = f"{MARK}Pipeline"
model = Pipeline(n_estimators=5, random_state=0).fit(train.data[numbers], train.data[label])
result = full_suite().run(train, test, model)
with suppress(RuntimeError):
    Failing().run(train)
result.save_as_html(f"{MARK}.html", as_widget=False)
result.to_json()
result.results[0].save_as_html(f"{MARK} check.html", as_widget=False)
with suppress(OSError):
    result.save_as_html(f"{MARK}/missing/{MARK}.html")
