"""Mutation testing: each small change to the code on which privacy and the counts rest must make a test fail.

    python -m tests.mutants FOLDER [MODULE …]

works on a copy under FOLDER and keeps its results there: what was killed once is not tried again. It needs cosmic-ray,
and ends with 1 where a mutant survived that `explained.py` does not explain.
"""

# mypy: disable-error-code="import-not-found, import-untyped"

import hashlib
import os
import re
import shlex
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import closing
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

import parso
from cosmic_ray.commands import execute, init
from cosmic_ray.config import ConfigDict
from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import OPERATOR_PROVIDERS, get_operator
from cosmic_ray.work_db import WorkDB, use_db
from cosmic_ray.work_item import MutationSpec, WorkerOutcome, WorkResult
from parso.tree import NodeOrLeaf
from tests.mutants.explained import EXPLAINED
from tests.mutants.operators import PROVIDER

ROOT = Path(__file__).parents[2]
# The tests that may notice: the module's own first, so that most mutants die early.
TESTS = {
    "spool/catalogue.py": "spool/test_catalogue.py spool/test_environment.py spool/test_sealing.py "
    "attacks/test_spool.py uploader/test_payload.py docs/test_what_we_collect.py cli/test_look.py",
    "spool/consent.py": "spool/test_consent.py spool/test_written.py attacks/test_ownership.py attacks/test_files.py "
    "spool/test_recording.py",
    "spool/choice.py": "spool/test_choice.py spool/test_written.py spool/test_turns.py attacks/test_ownership.py "
    "attacks/test_files.py spool/test_erasing.py",
    "spool/sealing.py": "spool/test_sealing.py spool/test_turns.py spool/test_values.py attacks/test_spool.py "
    "spool/test_ledger.py",
    "spool/erasing.py": "spool/test_told.py spool/test_turns.py spool/test_values.py spool/test_erasing.py "
    "attacks/test_files.py",
    "spool/ledger.py": "spool/test_ledger.py spool/test_booked.py spool/test_turns.py spool/test_values.py "
    "attacks/test_spool.py uploader/test_flushing.py",
    "uploader/url.py": "uploader/test_endpoint.py attacks/test_endpoint.py",
    "uploader/outcome.py": "uploader/test_outcome.py spool/test_values.py uploader/test_flushing.py",
}
QUIET = "-x -q --no-header -p pytest_timeout -p no:cacheprovider --timeout=30"
TIMEOUT_S = 240
LOCAL = ConfigDict(name="local")
# `is` for `==` says nothing of numbers and words; of the ways to combine two numbers one other is enough; and what
# cosmic-ray has for handlers knows no name with a dot.
NOISE = re.compile(
    r"core/ExceptionReplacer"
    r"|core/ReplaceComparisonOperator_(Is_Eq|IsNot_NotEq|(Eq|NotEq|Lt|LtE|Gt|GtE)_Is)"
    r"|core/ReplaceBinaryOperator_(?!Add_Sub|Sub_Add|Mul_Add|Div_Mul|Mod_Mul|Pow_Mul|BitOr_BitAnd)"
)
BEFORE_A_TYPE = {"annassign": ":", "tfpdef": ":", "funcdef": "->"}


class Mutant(NamedTuple):
    """One change and what came of it: the lines that went, those that came, and the outcome."""

    was: str
    becomes: str
    end: str


def main(folder: Path, modules: Iterable[str]) -> int:
    """Mutate each module, print its score and what survived; the number of survivors that nobody explained."""
    OPERATOR_PROVIDERS["house"] = PROVIDER
    os.environ["CI"] = "1"  # hypothesis' examples are the same for each mutant
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    unexplained = 0
    for module in modules:
        copy = copy_all(folder / Path(module).stem)
        mutants = run(copy, module, folder)
        unexplained += tell(module, mutants)
    return min(unexplained, 1)


def copy_all(folder: Path) -> Path:
    """Copy all rooms into one source root, which PYTHONPATH puts before the real ones, and the tests beside them."""
    shutil.rmtree(folder, ignore_errors=True)
    kept = shutil.ignore_patterns("__pycache__")
    for namespace in import_module("deepchecks_telemetry").__path__:
        shutil.copytree(namespace, folder / "rooms" / "deepchecks_telemetry", dirs_exist_ok=True, ignore=kept)
    for beside in ("tests", "docs"):
        shutil.copytree(ROOT / beside, folder / beside, ignore=kept)
    shutil.copy(ROOT / "pyproject.toml", folder)
    return folder


def run(copy: Path, module: str, folder: Path) -> list[Mutant]:
    """Try every mutant of a module that was not killed yet."""
    path = copy / "rooms" / "deepchecks_telemetry" / module
    digest = hashlib.sha256(path.read_bytes()).hexdigest()[:8]
    tests = " ".join(f"tests/{test}" for test in TESTS[module].split())
    command = f"{sys.executable} -m pytest {QUIET} {tests}"
    os.chdir(copy)
    os.environ["PYTHONPATH"] = str(copy / "rooms")
    check_unchanged(command, path)
    results = folder / f"{path.stem}-{digest}.sqlite"
    forget_survivors(results)
    with use_db(results) as session:
        if not session.num_work_items:
            init([path], session, {})
            skip_noise(session, path.read_text("utf-8"))
        execute(session, ConfigDict({"test-command": command, "timeout": TIMEOUT_S, "distributor": LOCAL}))
        return list(read(session))


def check_unchanged(command: str, path: Path) -> None:
    """The tests pass without a mutant; and what they compiled by that saves each mutant a second."""
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    subprocess.run(shlex.split(command), env=environ, check=True)
    for compiled in path.parent.glob(f"__pycache__/{path.stem}.*"):
        compiled.unlink()


def forget_survivors(results: Path) -> None:
    """There may be a test by now that notices them."""
    if results.exists():
        with closing(sqlite3.connect(results)) as session, session:
            session.execute("DELETE FROM work_results WHERE test_outcome = 'SURVIVED'")


def skip_noise(session: WorkDB, source: str) -> None:
    """Leave out what is no program or says nothing: annotations, and operators that are each other's like."""
    tree, seen = parso.parse(source), set()
    for item in session.work_items:
        (mutation,) = item.mutations
        if NOISE.match(mutation.operator_name) or is_annotation(tree, mutation):
            session.set_result(item.job_id, WorkResult(WorkerOutcome.SKIPPED))
            continue
        code = mutate_code(source, get_operator(mutation.operator_name)(), mutation.occurrence)
        if code in seen or not is_program(code):
            session.set_result(item.job_id, WorkResult(WorkerOutcome.SKIPPED))
        seen.add(code)


def is_annotation(tree: NodeOrLeaf, mutation: MutationSpec) -> bool:
    """Whether a mutant touches a type only."""
    node = tree.get_leaf_for_position(mutation.start_pos, include_prefixes=True)
    while node.parent is not None:
        before = node.get_previous_sibling()
        if before is not None and before.get_code().strip() == BEFORE_A_TYPE.get(node.parent.type):
            return True
        node = node.parent
    return False


def is_program(code: str | None) -> bool:
    try:
        compile(code or "!", "mutant", "exec")
    except (SyntaxError, ValueError):
        return False
    return True


def read(session: WorkDB) -> Iterator[Mutant]:
    for _, result in session.completed_work_items:
        if result.worker_outcome == WorkerOutcome.NORMAL:
            lines = [line for line in (result.diff or "").split("\n") if line[:3] not in {"---", "+++"}]
            was, becomes = (" ".join(map(bare, (line for line in lines if line[:1] == sign))) for sign in "-+")
            late = result.output == "timeout" or "Failed: Timeout" in (result.output or "")
            yield Mutant(was, becomes, "timeout" if late and result.is_killed else result.test_outcome.value)


def bare(line: str) -> str:
    """A line of a difference without its sign, its comment and what is blank."""
    return " ".join(line[1:].partition("  # ")[0].split())


def tell(module: str, mutants: list[Mutant]) -> int:
    """Print the score and the survivors that are not explained, and how many those are."""
    left = [mutant for mutant in mutants if mutant.end == "survived"]
    known = {(equal.module, equal.was, equal.becomes) for equal in EXPLAINED}
    open_ = sorted(mutant for mutant in left if (module, mutant.was, mutant.becomes) not in known)
    late = sum(mutant.end == "timeout" for mutant in mutants)
    print(
        f"{module}: {len(mutants)} mutants, {len(mutants) - len(left)} killed ({late} of them timeouts), "
        f"{len(left)} survived, {len(open_)} unexplained; score {(len(mutants) - len(left)) / len(mutants):.1%}"
    )
    for mutant in open_:
        print(f"  - {mutant.was}\n  + {mutant.becomes}\n")
    return len(open_)


if __name__ == "__main__":
    where, *named = sys.argv[1:]
    sys.exit(main(Path(where).resolve(), named or TESTS))
