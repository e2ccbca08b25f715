"""Runs the same check in workers of every kind; prints the expected counts."""

import json
import multiprocessing
import os
import sys
from typing import Any

import prepare  # type: ignore[import-not-found]  # noqa: F401 - for its effects
from sklearn.datasets import load_iris


def work(_: int = 0) -> Any:
    """Run one check in this process."""
    from deepchecks.tabular import Dataset
    from deepchecks.tabular.checks import IsSingleValue

    return IsSingleValue().run(Dataset(load_iris(as_frame=True).frame, cat_features=[])).value


if __name__ == "__main__":
    HOW = sys.argv[1]
    work()
    RUNS = 1
    if HOW in {"fork", "spawn", "forkserver"}:
        context: Any = multiprocessing.get_context(HOW)
        if HOW == "forkserver":
            context.set_forkserver_preload(["deepchecks"])
        with context.Pool(1) as pool:
            pool.map(work, range(3))
            pool.close()
            pool.join()
        RUNS += 3
    elif HOW == "loky":
        from deepchecks.tabular import Dataset
        from deepchecks.tabular.checks import IsSingleValue
        from joblib import Parallel, delayed

        dataset = Dataset(load_iris(as_frame=True).frame, cat_features=[])
        Parallel(n_jobs=2)(delayed(IsSingleValue().run)(dataset) for _ in range(4))
        RUNS += 4
    elif HOW == "os.fork":
        child = os.fork()
        work()
        if not child:
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        RUNS += 2
    print(json.dumps({"package-import": 1, "run-check": RUNS}))
