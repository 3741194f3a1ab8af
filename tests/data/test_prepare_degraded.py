from pathlib import Path

import numpy as np
import pytest

from biostyle.data.degradation import DEFECTS
from biostyle.data.fundus_facts import read_fundus_facts
from biostyle.data.prepare_degraded import POOR, degrade_square, prepare_degraded, rated_squares
from biostyle.data.prepare_fundus import prepare_fundus
from biostyle.data.prepared import load_prepared
from biostyle.data.sources.simulated_fundus import simulate_fundus
from biostyle.errors import ConfigError, ImageError
from tests.fundus import SETTINGS, SPLIT
from tests.simulated import read_tree


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("fundus")
    simulate_fundus(root / "data", seed=0, n_images=10, shape=(80, 100))
    prepare_fundus(root / "data", SETTINGS, SPLIT, root / "clean")
    return root / "clean"


def test_each_photograph_becomes_two_poor_ones_of_its_patient(clean: Path, tmp_path: Path) -> None:
    prepare_degraded(clean, DEFECTS, 0, tmp_path / "b")
    good, poor = load_prepared(clean), load_prepared(tmp_path / "b")
    known = read_fundus_facts(tmp_path / "b")
    originals = {row.frame_id: row for row in good.rows}
    assert (len(poor.rows), poor.title) == (40, "Illumination + blur + spots")
    for row in poor.rows:
        facts, original = known[row.frame_id], originals[known[row.frame_id].original]
        assert row.frame_id == f"{original.frame_id}_{facts.quality}_1"
        assert (row.sequence, row.split) == (original.sequence, original.split)
        square, inside = poor.read_image(row), facts.inside(64)
        assert not square[~inside].any()
        assert (square[inside] != good.read_image(original)[inside]).mean() > 0.1
        assert bool(row.gold) == bool(original.gold)
        if row.gold:
            np.testing.assert_array_equal(poor.read_truth(row)[0], good.read_truth(original)[0])


def test_the_same_seed_gives_the_same_bytes(clean: Path, tmp_path: Path) -> None:
    for name, seed in (("one", 3), ("two", 3), ("other", 4)):
        prepare_degraded(clean, ["blur"], seed, tmp_path / name)
    one, two, other = (read_tree(tmp_path / name) for name in ("one", "two", "other"))
    assert one == two
    assert one != other


def test_further_draws_are_other_photographs_and_leave_the_first_as_they_are(
    clean: Path, tmp_path: Path
) -> None:
    for n_draws in (1, 3):
        prepare_degraded(clean, DEFECTS, 0, tmp_path / str(n_draws), n_draws=n_draws)
    once, thrice = (load_prepared(tmp_path / name) for name in ("1", "3"))
    squares = {row.frame_id: thrice.read_image(row) for row in thrice.rows}
    assert len(squares) == 3 * len(once.rows)
    for row in once.rows:
        np.testing.assert_array_equal(squares[row.frame_id], once.read_image(row))
        again = [squares[f"{row.frame_id[:-1]}{draw}"] for draw in (1, 2, 3)]
        assert len({square.tobytes() for square in again}) == 3


def test_a_classifier_sees_every_quality_equally_often(clean: Path) -> None:
    domain = load_prepared(clean)
    rated = list(rated_squares(domain, domain.rows[:3], seed=0))
    counts = [sum(quality == wanted for _, quality, _ in rated) for wanted in ("good", "usable", "reject")]
    assert counts == [15, 12, 12]
    np.testing.assert_array_equal(rated[0].square, domain.read_image(domain.rows[0]))
    assert {quality for _, quality, _ in rated_squares(domain, domain.rows[:1], 0, POOR)} == set(POOR)


def test_unknown_defects_are_refused(clean: Path) -> None:
    facts = next(iter(read_fundus_facts(clean).values()))
    with pytest.raises(ConfigError, match=r"got \['dirt'\]"):
        degrade_square(np.zeros((64, 64, 3), np.uint8), facts, "usable", ["dirt"], 0)  # type: ignore[list-item]


@pytest.mark.parametrize("draw", [-1, 8])
def test_draws_that_a_digest_does_not_hold_are_refused(clean: Path, draw: int) -> None:
    facts = next(iter(read_fundus_facts(clean).values()))
    with pytest.raises(ConfigError, match=rf"draw must be from 0 to 7, got {draw}"):
        degrade_square(np.zeros((64, 64, 3), np.uint8), facts, "usable", DEFECTS, 0, draw)


def test_other_directories_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=rf"{tmp_path.name}"):
        prepare_degraded(tmp_path, DEFECTS, 0, tmp_path / "b")
