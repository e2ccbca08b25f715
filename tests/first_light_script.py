"""A user's script: attaches, runs a check and the full suite on iris, saves HTML and JSON, and counts by itself."""

import json
from collections import Counter

from deepchecks_telemetry.hooks import attach

attach()

from deepchecks.tabular import Dataset  # noqa: E402
from deepchecks.tabular.checks import DataDuplicates  # noqa: E402
from deepchecks.tabular.suites import full_suite  # noqa: E402
from sklearn.datasets import load_iris  # noqa: E402
from sklearn.ensemble import AdaBoostClassifier  # noqa: E402
from sklearn.model_selection import train_test_split  # noqa: E402

counted = Counter({"package-import": 1})

frame = load_iris(as_frame=True).frame
train, test = (Dataset(part, label="target", cat_features=[]) for part in train_test_split(frame, random_state=0))
model = AdaBoostClassifier(random_state=0, algorithm="SAMME").fit(train.data[train.features], train.data["target"])

check = DataDuplicates().run(train)
counted["run-check"] += 1
check.save_as_html("check.html")
counted["check-to-html"] += 1

suite = full_suite().run(train, test, model)
counted["run-suite"] += 1
suite.save_as_html("suite.html")
counted["suite-to-html"] += 1
suite.to_json()
counted["suite-to-json"] += 1

print(json.dumps(counted))
