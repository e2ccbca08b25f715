"""Prints what ours alone costs, as one JSON document: `python -m benchmarks.ours [--quick] [PYTHON]`."""

import argparse
import json
import sys

from benchmarks.ours import measure

if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ours", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a minute instead of many")
    parser.add_argument("python", nargs="?", default=sys.executable, help="an interpreter that has the package")
    options = parser.parse_args()
    print(json.dumps(measure(options.python, quick=options.quick), indent=2))
