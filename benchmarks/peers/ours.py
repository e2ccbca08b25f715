"""This package: an SQLite file that processes share; a separate process sends it once a day."""

# ruff: noqa: ARG002

from benchmarks.peers import Adapter


class Peer(Adapter):
    NAME = "ours"
    DISTRIBUTION = "deepchecks-telemetry"

    def environ(self, url: str, folder: str) -> dict[str, str]:
        return {"DEEPCHECKS_TELEMETRY_DIR": f"{folder}/ours", "DEEPCHECKS_TELEMETRY_ENDPOINT": url}

    def setup(self, url: str, folder: str) -> None:
        from deepchecks_telemetry.spool import record

        self.append = record

    def opt_out(self, url: str, folder: str) -> None:
        _telemetry("disable")
        self.setup(url, folder)
        record = self.append
        self.append = lambda name: record(name) or True  # not an error then

    def record(self, event: str) -> None:
        if not self.append("run-check"):
            raise RuntimeError("not stored")  # counted like the exceptions of other peers

    def finish(self) -> None:
        """What an import of deepchecks does: it checks whether an upload is due."""
        from deepchecks_telemetry.uploader import upload_if_due

        upload_if_due()

    def resend(self) -> None:
        _telemetry("flush")

    def stored(self, folder: str) -> int:
        from deepchecks_telemetry.spool.files.paths import find_home
        from deepchecks_telemetry.spool.stats import read_accounts

        accounts = read_accounts(find_home())
        return accounts.pending + accounts.sealed

    def arrived(self, requests: list[bytes]) -> int:
        import re

        counted = rb'"deepchecks.event.count","value":\{"intValue":"(\d+)"'
        return sum(int(count) for request in requests for count in re.findall(counted, request))


def _telemetry(command: str) -> None:
    import os
    import subprocess
    import sys

    # `disable` also writes to the directories of the user database, which must not be those of the user who runs this.
    machine = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "tests", "machine")
    command_line = [sys.executable, "-m", "deepchecks_telemetry.cli", "telemetry", command]
    subprocess.run(command_line, env={**os.environ, "PYTHONPATH": machine}, check=True)
