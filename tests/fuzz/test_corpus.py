"""Each seed of the fuzzing corpus meets the fate that its file's name tells; `nox -s fuzz` goes on from there."""

from pathlib import Path

import pytest
from tests.fuzz.targets import TARGETS

CORPUS = Path(__file__).parent / "corpus"
SEEDS = sorted(CORPUS.glob("*/*"))


@pytest.mark.parametrize("seed", SEEDS, ids=lambda seed: seed.relative_to(CORPUS).as_posix())
def test_a_seed_meets_the_fate_that_its_name_tells(seed: Path, tmp_path: Path) -> None:
    fate = TARGETS[seed.parent.name](tmp_path, seed.read_bytes())
    assert seed.name.startswith(f"{fate}--")


def test_each_target_has_seeds_that_are_taken_and_seeds_that_are_not() -> None:
    fates = {(seed.parent.name, seed.name.rpartition("--")[0]) for seed in SEEDS}
    assert {name for name, _ in fates} == set(TARGETS)
    assert all(len([fate for found, fate in fates if found == name]) > 1 for name in TARGETS)
