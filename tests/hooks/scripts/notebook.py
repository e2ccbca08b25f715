"""Executes a notebook in a Jupyter kernel: attach, run, display, save."""

from typing import Any

import nbformat
from nbclient import NotebookClient

CELLS = [
    "from deepchecks_telemetry.hooks import attach; attach()",
    "import pandas; from deepchecks.tabular import Dataset, Suite; attach()",
    "from deepchecks.tabular.checks import IsSingleValue",
    "data = Dataset(pandas.DataFrame({'a': [1, 2, 3]}), cat_features=[])",
    # Displayed as the last value of a cell, and by `show`: neither is an export.
    "result = IsSingleValue().run(data)\nresult",
    "suite_result = Suite('a suite', IsSingleValue()).run(data)\nsuite_result",
    "result.show(); suite_result.show()",
    "result.save_as_html('check.html'); suite_result.save_as_html('suite.html', as_widget=False)",
    "%load_ext autoreload\n%autoreload 2",
    "for _ in range(2): IsSingleValue().run(data)",
]
v4: Any = nbformat.v4  # its functions have no types
notebook = v4.new_notebook(cells=[v4.new_code_cell(cell) for cell in CELLS])
executed = NotebookClient(notebook, timeout=90, kernel_name="python3").execute()
shown = [output.output_type for cell in executed.cells for output in cell.outputs]
assert shown.count("display_data") >= 4, shown
