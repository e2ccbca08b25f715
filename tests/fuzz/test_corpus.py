"""Each seed of the fuzzing corpus is accepted or refused as its file's name says; `nox -s fuzz` starts from them."""

from pathlib import Path

import pytest
from tests.fuzz.targets import TARGETS

CORPUS = Path(__file__).parent / "corpus"
SEEDS = sorted(CORPUS.glob("*/*"))


@pytest.mark.parametrize("seed", SEEDS, ids=lambda seed: seed.relative_to(CORPUS).as_posix())
def test_a_seed_is_accepted_or_refused_as_its_name_says(seed: Path, tmp_path: Path) -> None:
    fate = TARGETS[seed.parent.name](tmp_path, seed.read_bytes())
    assert seed.name.startswith(f"{fate}--")


def test_each_target_has_accepted_and_refused_seeds() -> None:
    fates = {(seed.parent.name, seed.name.rpartition("--")[0]) for seed in SEEDS}
    assert {name for name, _ in fates} == set(TARGETS)
    assert all(len([fate for found, fate in fates if found == name]) > 1 for name in TARGETS)
