"""Pickles a check and all of deepchecks by value, as for workers without it; loads and runs it in another process."""

import pickle
import sys
from pathlib import Path

HOW = sys.argv[1]
FILE = Path("by_value.pickle")

if HOW == "save":
    import cloudpickle

    from deepchecks_telemetry.hooks import attach

    attach()
    import deepchecks
    from deepchecks.tabular.base_checks import SingleDatasetCheck

    cloudpickle.register_pickle_by_value(deepchecks)
    FILE.write_bytes(cloudpickle.dumps([SingleDatasetCheck, SingleDatasetCheck(), SingleDatasetCheck().run]))
    SingleDatasetCheck().run()
else:
    if HOW == "load without this package":
        sys.modules["deepchecks_telemetry"] = None  # type: ignore[assignment]  # every later import of it fails
    else:
        from deepchecks_telemetry.hooks import attach

        attach()
    check_class, check, run = pickle.loads(FILE.read_bytes())
    assert [check_class().run(), check.run(), check.run(inner=check), run()] == ["a result"] * 4
    assert "deepchecks" not in sys.modules
    assert HOW == "load attached" or not [name for name in sys.modules if name.startswith("deepchecks_telemetry.")]
