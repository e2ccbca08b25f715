"""Runs checks in the workers of a local Dask cluster, from a program that does not import deepchecks."""

import os

from dask.distributed import Client, LocalCluster


def work(_: int) -> int:
    """Run one check, and return the process id of the worker."""
    from deepchecks_telemetry.hooks import attach

    attach()
    from deepchecks.tabular.base_checks import SingleDatasetCheck

    SingleDatasetCheck().run()
    return os.getpid()


if __name__ == "__main__":
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster, Client(cluster) as client:
        workers = {
            client.submit(work, number, workers=[worker]).result() for number, worker in enumerate(cluster.workers)
        }
    assert len(workers - {os.getpid()}) == 2
