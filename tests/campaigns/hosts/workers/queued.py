"""Starts a real Celery worker with two prefork processes, sends it tasks through a folder, and ends it.

python -m ... TASKS
"""

import signal
import subprocess
import sys

from tests.campaigns.hosts.program import Clock, Journal, run_host
from tests.campaigns.hosts.workers.application import FOLDER, work

CELERY = [
    *(sys.executable, "-m", "celery", "--quiet", "--app=tests.campaigns.hosts.workers.application", "worker"),
    *("--pool=prefork", "--concurrency=2", "--max-tasks-per-child=5", "--loglevel=ERROR"),
    *("--without-gossip", "--without-mingle", "--without-heartbeat"),
]


def main(journal: Journal, tasks: str) -> None:
    """Send, wait until all tasks are done, and end the worker."""
    names = [f"done-{number}" for number in range(int(tasks))]
    for name in names:
        work.delay(name)
    celery = subprocess.Popen(CELERY)
    try:
        deadline = Clock.now() + 40
        while not all((FOLDER / name).exists() for name in names):
            assert Clock.now() < deadline, "not all tasks were done"
            Clock.sleep(0.05)
    finally:
        celery.send_signal(signal.SIGTERM)
        journal.facts["status"] = celery.wait(timeout=30)
    journal.facts["tasks"] = len(names)


if __name__ == "__main__":
    run_host(main)
