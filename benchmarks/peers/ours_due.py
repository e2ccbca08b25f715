"""This package, at the one import a day that starts the uploader process."""

from benchmarks.peers import ours


class Peer(ours.Peer):
    NAME = "ours, starting the upload"
    MEASURES = ("whole",)

    def prepare(self, folder: str) -> None:
        """Make the upload due again."""
        import os
        import sqlite3

        spool = f"{folder}/ours/state/spool.db"
        if os.path.exists(spool):
            connection = sqlite3.connect(spool, isolation_level=None, timeout=5)
            connection.execute("UPDATE spool SET next_upload = 0")
            connection.close()
