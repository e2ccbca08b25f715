"""Creates a virtual environment for each peer once, with the requirements of requirements.txt."""

import hashlib
import re
import shutil
import subprocess
import sys
import venv
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).parent
CHECKOUT = HERE.parent
INSTALL_S = 1_200.0
RELEASED = re.compile(r"  # (\d{4}-\d{2})$", re.MULTILINE)
COUNT_DISTRIBUTIONS = """
import re, sys
from importlib.metadata import PackageNotFoundError, distribution
installed, names = {}, [sys.argv[1]]
while names:
    name = re.sub("[-_.]+", "-", names.pop()).lower()
    try:
        if name not in installed:
            installed[name] = distribution(name)
            needed = [text for text in installed[name].requires or [] if "extra ==" not in text]
            names += [re.split("[^A-Za-z0-9._-]", text)[0] for text in needed]
    except PackageNotFoundError:
        continue  # for another system or another Python
print(distribution(sys.argv[1]).version, len(installed))
"""


class Installed(NamedTuple):
    """The interpreter of an environment, or why there is none."""

    python: str
    error: str = ""


def read_requirements(text: str) -> dict[str, list[str]]:
    """The paragraphs of requirements.txt by their name; the first one is a comment on the file."""
    paragraphs = [RELEASED.sub("", paragraph).splitlines() for paragraph in text.strip().split("\n\n")]
    return {name.removeprefix("# "): lines for name, *lines in paragraphs if lines and not lines[0].startswith("#")}


def read_releases(text: str) -> dict[str, str]:
    """The month in which the first requirement of each paragraph was released."""
    paragraphs = text.strip().split("\n\n")[1:]
    months = {paragraph.splitlines()[0].removeprefix("# "): RELEASED.findall(paragraph) for paragraph in paragraphs}
    return {name: found[0] for name, found in months.items() if found}


def install(folder: Path, requirements: list[str]) -> Installed:
    """Create an environment with these requirements, in a directory named by their digest, or reuse it."""
    digest = hashlib.sha256("\n".join([sys.version, *requirements]).encode()).hexdigest()[:12]
    environment = folder / digest
    if not (environment / "complete").exists():
        shutil.rmtree(environment, ignore_errors=True)
        venv.create(environment, symlinks=True)
        if requirements and (error := _pip(folder, environment, requirements)):
            return Installed("", error)
        (environment / "complete").touch()
    return Installed(str(_python(environment)))


def install_ours(folder: Path, into: Installed) -> Installed:
    """Install the checkout with pip, as a wheel with compiled bytecode."""
    if into.error:
        return into
    return into._replace(error=_pip(folder, Path(into.python).parents[1], [str(CHECKOUT)]))


def ask_version(python: str, distribution: str) -> tuple[str, int]:
    """The version of a distribution, and the number of distributions that it consists of with its dependencies."""
    command = [python, "-I", "-c", COUNT_DISTRIBUTIONS, distribution]
    version, number = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout.split()
    return version, int(number)


def _pip(folder: Path, environment: Path, arguments: list[str]) -> str:
    """Install with a separate pip, which is not part of the measured environments; return an error or ""."""
    installer = folder / "installer"
    if not (installer / "complete").exists():
        venv.create(installer, symlinks=True, clear=True, with_pip=True)
        (installer / "complete").touch()
    command = [
        str(_python(installer)),
        "-m",
        "pip",
        "--python",
        str(_python(environment)),
        "install",
        "--quiet",
        *arguments,
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=INSTALL_S, check=False)
    errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR")] or done.stderr.splitlines()
    return errors[-1] if done.returncode else ""


def _python(environment: Path) -> Path:
    return environment / "bin" / "python"
