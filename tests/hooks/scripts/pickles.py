"""Pickles results, checks and bound methods while attached; loads and uses them without this package."""

# ruff: noqa: ARG002 - the library names the arguments

import pickle
import sys
from pathlib import Path
from typing import Any

import prepare  # type: ignore[import-not-found]  # noqa: F401 - for its effects

PLAIN, CLOUD, VALUE = Path("plain.pickle"), Path("cloud.pickle"), Path("value.pickle")


def save() -> None:
    """Use pickle where it works, and cloudpickle for a suite with conditions and for a user's own check."""
    import cloudpickle
    import pandas as pd
    from deepchecks.core import CheckResult
    from deepchecks.tabular import Dataset, SingleDatasetCheck, Suite, base_checks
    from deepchecks.tabular.checks import IsSingleValue

    class Own(SingleDatasetCheck):  # type: ignore[misc]
        """A user's check that overrides `run`."""

        def run(self, *arguments: Any, **options: Any) -> CheckResult:
            return super().run(*arguments, **options)

        def run_logic(self, context: Any, dataset_kind: Any) -> CheckResult:
            return CheckResult(7)

    class Plain(SingleDatasetCheck):  # type: ignore[misc]
        """A user's check."""

        def run_logic(self, context: Any, dataset_kind: Any) -> CheckResult:
            return CheckResult({"a": True})

    data = Dataset(pd.DataFrame({"a": [1, 1]}), cat_features=[])
    check = IsSingleValue()
    suite = Suite("a suite", IsSingleValue().add_condition_not_single_value(), Own())
    PLAIN.write_bytes(pickle.dumps([data, check.run(data), check, check.run, IsSingleValue.run]))
    CLOUD.write_bytes(cloudpickle.dumps([suite.run(data), suite.run, Own().run]))
    # cloudpickle cannot pickle all of deepchecks by value (too deep), attached or not; base_checks has wrapped methods.
    cloudpickle.register_pickle_by_value(base_checks)
    VALUE.write_bytes(cloudpickle.dumps([data, Plain(), Plain().run]))


def load() -> None:
    """Everything is loaded, works, and does not contain our modules or wrappers."""
    sys.modules["deepchecks_telemetry"] = None  # type: ignore[assignment]  # every later import of it fails
    data, result, check, run, method = pickle.loads(PLAIN.read_bytes())
    suite_result, run_suite, run_own = pickle.loads(CLOUD.read_bytes())
    assert result.value == check.run(data).value == run(data).value == method(check, data).value == {"a": True}
    assert [len(result.results) for result in (suite_result, run_suite(data))] == [2, 2]
    assert run_own(data).value == 7
    data, check, run_by_value = pickle.loads(VALUE.read_bytes())
    assert check.run(data).value == run_by_value(data).value == {"a": True}
    assert not [name for name in sys.modules if name.startswith("deepchecks_telemetry.")]
    assert not any(hasattr(function, "__deepchecks_telemetry__") for function in (run, method, run_suite))


if sys.argv[1] == "save":
    from deepchecks_telemetry.hooks import attach

    attach()
    save()
else:
    load()
