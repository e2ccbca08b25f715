"""Prints what ours alone costs, as one JSON document: `python -m benchmarks.ours [--quick] [--only NAME] [PYTHON]`."""

import argparse
import json
import sys

from benchmarks.ours import MEASURES, measure

if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ours", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a minute instead of many")
    parser.add_argument("--only", choices=[*MEASURES, "commands"], help="one of the measures")
    parser.add_argument("python", nargs="?", default=sys.executable, help="an interpreter that has the package")
    options = parser.parse_args()
    print(json.dumps(measure(options.python, quick=options.quick, only=options.only), indent=2))
