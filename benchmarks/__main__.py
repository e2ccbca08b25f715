"""`python -m benchmarks`: an environment for each peer, all measures in turn, the figures and the picture; Linux."""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks import chart, gotelemetry, network
from benchmarks.budgets import check
from benchmarks.environments import (
    CHECKOUT,
    HERE,
    Installed,
    ask_version,
    install,
    install_ours,
    read_releases,
    read_requirements,
)
from benchmarks.measuring import load, measure

FIGURES, PICTURE = HERE / "figures" / "performance.json", CHECKOUT / "docs" / "performance.svg"
OURS: dict[str, list[str]] = {
    "ours": [],
    "ours_due": [],
    "byhand": [],
}  # no requirements but the checkout
DATASETTE = "datasette==0.65.5"  # only its command line is measured
LIGHT = (*OURS, "diskcache", "segment", "posthog")


def main() -> None:
    """Install with the network, measure without one."""
    options = _parser().parse_args()
    if options.installed is None:
        with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
            raise SystemExit(_run_isolated(_install(options, (options.environments or Path(folder)).resolve())))
    if options.isolated:
        network.raise_loopback()
    full = not (options.quick or options.only)
    figures = measure(json.loads(options.installed), quick=options.quick, isolated=options.isolated, ours=full)
    _write(figures, options)
    if options.check and (violations := check(figures)):
        raise SystemExit("\n".join(["Error: ratios are far off:", *violations]))


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


def _install(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """The peers; for a full run also what only some of its tables need: Go's telemetry, and other command lines."""
    peers = _install_peers(options, folder)
    if options.quick or options.only:
        return {"peers": peers}
    go = gotelemetry.build(folder)
    return {"peers": peers, "go": go, "commands": _find_commands(folder, peers, go)}


def _find_commands(folder: Path, peers: dict[str, dict[str, Any]], go: dict[str, str]) -> dict[str, list[str]]:
    """The command lines of other projects that are installed."""
    pythons = {"sqlite-utils": peers["sqliteutils"].get("python"), "datasette": install(folder, [DATASETTE]).python}
    found = {f"{name} --help": [str(Path(at).with_name(name)), "--help"] for name, at in pythons.items() if at}
    if "error" not in go:
        found |= {"go version": [go["command"], "version"], "gotelemetry help": [f"{go['folder']}/gotelemetry", "help"]}
    return found


def _install_peers(options: argparse.Namespace, folder: Path) -> dict[str, dict[str, Any]]:
    requirements = OURS | read_requirements((HERE / "requirements.txt").read_text("utf-8"))
    chosen = options.only or (LIGHT if options.quick else requirements)
    ours = install_ours(folder, install(folder, []))
    return {name: _install_one(folder, name, requirements[name], ours) for name in chosen}


def _install_one(folder: Path, name: str, requirements: list[str], ours: Installed) -> dict[str, Any]:
    print(f"installing {name}", file=sys.stderr, flush=True)
    installed = ours if name in OURS else install(folder, requirements)
    if name == "deepchecks":  # the figures of `benchmarks.ours` need both in one environment
        installed = install_ours(folder, installed)
    if installed.error:
        return {"error": f"not installed: {installed.error}"}
    distribution = load(name).DISTRIBUTION
    version, number = ask_version(installed.python, distribution) if distribution else ("", 0)
    released = read_releases((HERE / "requirements.txt").read_text("utf-8")).get(name, "")
    return {"python": installed.python, "version": version, "released": released, "distributions": number}


def _run_isolated(installed: dict[str, Any]) -> int:
    """Run the same command again in a network namespace with only loopback."""
    isolate = network.find_command()
    command = [*isolate, sys.executable, "-m", "benchmarks", *sys.argv[1:], "--installed", json.dumps(installed)]
    return subprocess.run([*command, *(["--isolated"] if isolate else [])], cwd=CHECKOUT, check=False).returncode


def _write(figures: dict[str, Any], options: argparse.Namespace) -> None:
    text = json.dumps(figures, indent=1) + "\n"
    if options.output:
        options.output.write_text(text, "utf-8")
    elif options.quick or options.only:
        print(text)
    else:
        FIGURES.write_text(text, "utf-8")
        PICTURE.write_text(chart.draw(figures), "utf-8")


if __name__ == "__main__":
    main()
