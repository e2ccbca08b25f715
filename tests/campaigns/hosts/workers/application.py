"""A Celery application whose parent process counts before it forks its workers."""

import os
from pathlib import Path

from celery import Celery
from tests.campaigns.hosts.program import Journal

FOLDER = Path(os.environ["HOST_FOLDER"])
MAIL = FOLDER / "celery"
MAIL.mkdir(exist_ok=True)
journal = Journal()
journal.record(3)
journal.write()
application = Celery("hosts", broker="filesystem://")
application.conf.broker_transport_options = {f"data_folder_{way}": str(MAIL) for way in ("in", "out")}
application.conf.broker_transport_options["control_folder"] = str(MAIL)


@application.task  # type: ignore[untyped-decorator]
def work(name: str) -> None:
    """Record, and leave a file that says that it is done."""
    journal.record(5)
    journal.write()
    (FOLDER / name).touch()
