from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from biostyle.data.sources.fundus import list_fundus
from biostyle.data.sources.simulated_fundus import simulate_fundus, simulate_retina
from biostyle.errors import ConfigError


def test_vessels_are_dark_thin_and_inside() -> None:
    for seed in range(4):
        retina = simulate_retina(seed)
        assert 0.02 < retina.vessels[retina.inside].mean() < 0.25
        green = retina.photograph[..., 1].astype(float)
        assert green[retina.vessels].mean() < 0.8 * green[retina.inside & ~retina.vessels].mean()
        assert not (retina.vessels & ~retina.inside).any()
        assert (retina.photograph[~retina.inside] == 0).all()


def test_lesions_come_with_the_grade() -> None:
    healthy = simulate_retina(0).photograph.astype(int)
    changed = [
        (np.abs(simulate_retina(0, grade).photograph - healthy).max(axis=2) > 30).sum() for grade in range(5)
    ]
    assert changed == sorted(changed)
    assert changed[0] == 0 < changed[1] < changed[4]


def test_the_seed_decides() -> None:
    np.testing.assert_array_equal(simulate_retina(7).photograph, simulate_retina(7).photograph)
    assert not np.array_equal(simulate_retina(7).photograph, simulate_retina(8).photograph)


def test_writes_collections_that_can_be_read(tmp_path: Path) -> None:
    idrid, drive = simulate_fundus(tmp_path, seed=1, n_images=6, shape=(64, 80))
    graded, traced = list_fundus(idrid, "idrid"), list_fundus(drive, "drive")
    assert [row.grade for row in graded] == [0, 1, 2, 3, 4, 0]
    assert all(row.mask is not None for row in traced)
    assert len(traced) == 6
    mask = np.asarray(Image.open(traced[0].mask))  # type: ignore[arg-type]
    assert mask.shape == (64, 80)
    assert set(np.unique(mask)) == {0, 255}


def test_same_seed_same_bytes(tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("first", "second")]
    for folder in folders:
        simulate_fundus(folder, seed=3, n_images=1, shape=(64, 80))
    contents = [
        {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*.*") if path.is_file()}
        for folder in folders
    ]
    assert contents[0] == contents[1]
    assert len(contents[0]) == 4


@pytest.mark.parametrize(
    ("arguments", "got"),
    [({"shape": (40, 200)}, r"got \(40, 200\)"), ({"grade": 5}, "got 5"), ({"grade": -1}, "got -1")],
)
def test_refuses_what_cannot_be_simulated(arguments: dict, got: str) -> None:
    with pytest.raises(ConfigError, match=got):
        simulate_retina(0, **arguments)


def test_refuses_an_empty_collection(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="n_images must be at least 1, got 0"):
        simulate_fundus(tmp_path, seed=0, n_images=0)
