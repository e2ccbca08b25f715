"""A host that sends a check to a worker by cloudpickle, with deepchecks by value; the worker lacks this package.

python -m ...
"""

import subprocess
import sys
from pathlib import Path

import cloudpickle
from tests.campaigns.hosts.program import Journal, run_host

WORKER = """
import sys
sys.modules["deepchecks_telemetry"] = None  # importing it fails, as where it is not installed
sys.path = [path for path in sys.path if not path.endswith("library")]
import pickle
print(pickle.load(sys.stdin.buffer).run("data"))
"""


def main(journal: Journal) -> None:
    """Run the check in this process and in the worker."""
    sys.path.insert(0, str(Path(__file__).parent / "library"))
    from deepchecks_telemetry.hooks import attach

    attach()
    import deepchecks
    from deepchecks.tabular.base_checks import SingleDatasetCheck

    cloudpickle.register_pickle_by_value(deepchecks)
    check = SingleDatasetCheck()
    journal.attempted += [None] * 2  # the import, and the check
    check.run("data")
    sent = cloudpickle.dumps(check)
    done = subprocess.run([sys.executable, "-c", WORKER], input=sent, capture_output=True, timeout=30, check=False)
    assert done.stdout.decode() == "data\n", done.stderr.decode()


if __name__ == "__main__":
    run_host(main)
