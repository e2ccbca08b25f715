"""In real Jupyter kernels the notice is shown with a frontend, but not if a program executes the notebook."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

from deepchecks_telemetry.spool import record
from deepchecks_telemetry.spool.files.paths import find_home

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(
        not all(map(importlib.util.find_spec, ("nbclient", "ipykernel"))), reason="nbclient is not installed"
    ),
]

URL = "http://127.0.0.1:9/v1/logs"
CELL = f"from deepchecks_telemetry.uploader import upload_if_due; upload_if_due({URL!r})"
BY_A_PROGRAM = f"""
import json, nbformat
from nbclient import NotebookClient
notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell({CELL!r})])
executed = NotebookClient(notebook, timeout=60, kernel_name="python3").execute()
print(json.dumps("".join(output.get("text", "") for cell in executed.cells for output in cell.outputs)))
"""
IN_A_FRONTEND = f"""
import json
from jupyter_client.manager import start_new_kernel
manager, client = start_new_kernel(kernel_name="python3")
texts = []
def show(message):
    texts.append(message["content"].get("text", "") if message["msg_type"] == "stream" else "")
client.execute_interactive({CELL!r}, allow_stdin=True, stdin_hook=lambda _: None, output_hook=show, timeout=60)
client.stop_channels()
manager.shutdown_kernel(now=True)
print(json.dumps("".join(texts)))
"""


def run(script: str) -> str:
    assert record("package-import")
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", script], capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    shown: str = json.loads(done.stdout)
    return shown


def test_a_notebook_that_a_program_executes_shows_no_notice_and_does_not_record_one() -> None:
    assert run(BY_A_PROGRAM) == ""
    assert not Path(find_home().config, "notice").exists()


def test_a_notebook_in_a_frontend_shows_the_notice_once() -> None:
    assert URL in run(IN_A_FRONTEND)
    assert Path(find_home().config, "notice").read_text() == f"{URL}\n"
    assert run(IN_A_FRONTEND) == ""
