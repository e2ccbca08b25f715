"""An environment for each peer, made once and used again: what is installed there is what requirements.txt names."""

import hashlib
import shutil
import subprocess
import sys
import venv
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).parent
CHECKOUT = HERE.parent
INSTALL_S = 1_200.0
ASK = """
import re, sys
from importlib.metadata import PackageNotFoundError, distribution
found, left = {}, [sys.argv[1]]
while left:
    name = re.sub("[-_.]+", "-", left.pop()).lower()
    try:
        if name not in found:
            found[name] = distribution(name)
            needed = [each for each in found[name].requires or [] if "extra ==" not in each]
            left += [re.split("[^A-Za-z0-9._-]", each)[0] for each in needed]
    except PackageNotFoundError:
        continue  # another system's, or another Python's
print(distribution(sys.argv[1]).version, len(found))
"""


class Installed(NamedTuple):
    """An environment's interpreter, or why there is none."""

    python: str
    error: str = ""


def read_requirements(text: str) -> dict[str, list[str]]:
    """The paragraphs of requirements.txt by their name; the first one is the file's own comment."""
    paragraphs = [paragraph.splitlines() for paragraph in text.strip().split("\n\n")]
    return {name.removeprefix("# "): lines for name, *lines in paragraphs if lines and not lines[0].startswith("#")}


def install(folder: Path, requirements: list[str]) -> Installed:
    """An environment with these; the folder's name tells their digest, so a change makes a new one."""
    digest = hashlib.sha256("\n".join([sys.version, *requirements]).encode()).hexdigest()[:12]
    place = folder / digest
    if not (place / "complete").exists():
        shutil.rmtree(place, ignore_errors=True)
        venv.create(place, symlinks=True)
        if requirements and (error := _pip(folder, place, requirements)):
            return Installed("", error)
        (place / "complete").touch()
    return Installed(str(_python(place)))


def install_ours(folder: Path, into: Installed) -> Installed:
    """The checkout, as a wheel and compiled, as anyone would install it."""
    if into.error:
        return into
    return into._replace(error=_pip(folder, Path(into.python).parents[1], [str(CHECKOUT)]))


def ask_version(python: str, distribution: str) -> tuple[str, int]:
    """A distribution's version, and how many there are of it and what it needs."""
    command = [python, "-I", "-c", ASK, distribution]
    version, number = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout.split()
    return version, int(number)


def _pip(folder: Path, place: Path, arguments: list[str]) -> str:
    """Install there by one pip for all, which is no part of what is measured; answer what went wrong."""
    installer = folder / "installer"
    if not (installer / "complete").exists():
        venv.create(installer, symlinks=True, clear=True, with_pip=True)
        (installer / "complete").touch()
    command = [str(_python(installer)), "-m", "pip", "--python", str(_python(place)), "install", "--quiet", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=INSTALL_S, check=False)
    said = [line for line in done.stderr.splitlines() if line.startswith("ERROR")] or done.stderr.splitlines()
    return said[-1] if done.returncode else ""


def _python(place: Path) -> Path:
    return place / "bin" / "python"
