"""`python -m benchmarks`: an environment for each peer, all measures in turn, the figures and the picture; Linux."""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks import apart, chart
from benchmarks.budgets import check
from benchmarks.environments import CHECKOUT, HERE, Installed, ask_version, install, install_ours, read_requirements
from benchmarks.measuring import load, measure

FIGURES, PICTURE = HERE / "figures" / "performance.json", CHECKOUT / "docs" / "performance.svg"
OURS: dict[str, list[str]] = {"ours": [], "ours_due": [], "byhand": []}  # the checkout and the standard library
LIGHT = (*OURS, "diskcache", "persistqueue", "segment", "posthog")


def main() -> None:
    """Install with the network, measure without one."""
    wanted = _parser().parse_args()
    if wanted.installed is None:
        with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
            raise SystemExit(_go_apart(_install(wanted, (wanted.environments or Path(folder)).resolve())))
    if wanted.isolated:
        apart.raise_loopback()
    everything = not (wanted.quick or wanted.only)
    figures = measure(json.loads(wanted.installed), quick=wanted.quick, isolated=wanted.isolated, ours=everything)
    _write(figures, wanted)
    if wanted.check and (broken := check(figures)):
        raise SystemExit("\n".join(["Error: ratios are far off:", *broken]))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a few light peers and few rounds: three minutes")
    names = sorted(path.stem for path in (HERE / "peers").glob("[a-z]*.py"))
    parser.add_argument("--only", nargs="+", metavar="NAME", choices=names, help=f"these peers: {', '.join(names)}")
    parser.add_argument("--check", action="store_true", help="exit with 1 where a ratio is off by a wide margin")
    parser.add_argument(
        "--output", type=Path, metavar="PATH", help="where the figures go; else a full run's replace the page's"
    )
    parser.add_argument(
        "--environments", type=Path, metavar="DIR", help="keep the environments there, for the next run"
    )
    parser.add_argument("--installed", help=argparse.SUPPRESS)
    parser.add_argument("--isolated", action="store_true", help=argparse.SUPPRESS)
    return parser


def _install(wanted: argparse.Namespace, folder: Path) -> dict[str, dict[str, Any]]:
    requirements = OURS | read_requirements((HERE / "requirements.txt").read_text("utf-8"))
    chosen = wanted.only or (LIGHT if wanted.quick else requirements)
    ours = install_ours(folder, install(folder, []))
    return {name: _install_one(folder, name, requirements[name], ours) for name in chosen}


def _install_one(folder: Path, name: str, requirements: list[str], ours: Installed) -> dict[str, Any]:
    print(f"installing {name}", file=sys.stderr, flush=True)
    there = ours if name in OURS else install(folder, requirements)
    if name == "deepchecks":  # for what ours costs beside it
        there = install_ours(folder, there)
    if there.error:
        return {"error": f"not installed: {there.error}"}
    distribution = load(name).DISTRIBUTION
    version, number = ask_version(there.python, distribution) if distribution else ("", 0)
    return {"python": there.python, "version": version, "distributions": number}


def _go_apart(installed: dict[str, dict[str, Any]]) -> int:
    """The same command once more, where nothing but loopback can be reached."""
    away = apart.find_command()
    command = [*away, sys.executable, "-m", "benchmarks", *sys.argv[1:], "--installed", json.dumps(installed)]
    return subprocess.run([*command, *(["--isolated"] if away else [])], cwd=CHECKOUT, check=False).returncode


def _write(figures: dict[str, Any], wanted: argparse.Namespace) -> None:
    written = json.dumps(figures, indent=1) + "\n"
    if wanted.output:
        wanted.output.write_text(written, "utf-8")
    elif wanted.quick or wanted.only:
        print(written)
    else:
        FIGURES.write_text(written, "utf-8")
        PICTURE.write_text(chart.draw(figures), "utf-8")


if __name__ == "__main__":
    main()
