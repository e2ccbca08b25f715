"""Starts a real web server with two workers, asks it until each worker has answered often enough, and ends it.

python -m ... gunicorn|preload|gevent|uwsgi|lazy-apps
"""

import http.client
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.campaigns.hosts.program import Clock, Journal, run_host

APPLICATION = "tests.campaigns.hosts.servers.application:application"
GUNICORN = [sys.executable, "-m", "gunicorn", "--workers=2", "--log-level=error", "--bind=unix:{address}", APPLICATION]
UWSGI = [
    *(str(Path(sys.executable).parent / "uwsgi"), "--http-socket={address}", "--master", "--processes=2", "--need-app"),
    *("--die-on-term", "--disable-logging", f"--virtualenv={sys.prefix}", f"--module={APPLICATION}", "--pythonpath=."),
]
SERVERS = {
    "gunicorn": GUNICORN,
    "preload": [*GUNICORN, "--preload"],
    "gevent": [*GUNICORN, "--preload", "--worker-class=gevent"],
    "uwsgi": UWSGI,
    "lazy-apps": [*UWSGI, "--lazy-apps"],
}
REQUESTS = 10  # that each worker has to answer


class Connection(http.client.HTTPConnection):
    """HTTP over a socket in a folder, which needs no free port."""

    def connect(self) -> None:
        """Connect to the server of this test."""
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(10)
        self.sock.connect(self.host)


def main(journal: Journal, name: str) -> None:
    """Serve, ask, and end."""
    with tempfile.TemporaryDirectory() as folder:  # the name of a socket may have 107 bytes
        address = f"{folder}/socket"
        server = subprocess.Popen([part.format(address=address) for part in SERVERS[name]])
        try:
            answers = ask_all(journal, address)
        finally:
            server.send_signal(signal.SIGTERM)
            journal.facts["status"] = server.wait(timeout=30)
    journal.facts["requests"] = sum(answers.values())


def ask_all(journal: Journal, address: str) -> dict[str, int]:
    """Ask until two workers have answered often enough."""
    answers: dict[str, int] = {}
    deadline = Clock.now() + 40
    while len(answers) < 2 or min(answers.values()) < REQUESTS:
        assert Clock.now() < deadline, answers
        try:
            worker = ask(address)
        except (FileNotFoundError, ConnectionRefusedError):
            Clock.sleep(0.02)
        else:
            answers[worker] = answers.get(worker, 0) + 1
    return answers


def ask(address: str) -> str:
    """Make one request, and return the number of the worker that answered."""
    connection = Connection(address)
    connection.request("GET", "/", headers={"Host": "localhost", "Connection": "close"})
    answer = connection.getresponse().read().decode()
    connection.close()
    return answer


if __name__ == "__main__":
    run_host(main)
