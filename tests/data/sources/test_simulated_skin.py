"""Simulated skin: deterministic, with exact masks, and two domains that differ as they should."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from biostyle.data.sources.dermoscopy import PhotographReader, list_photographs
from biostyle.data.sources.simulated_skin import simulate_skin_pair
from biostyle.errors import ConfigError
from biostyle.io.photographs import read_binary_mask, read_photograph
from tests.simulated import read_tree


def load(folder: Path, reader: PhotographReader) -> tuple[np.ndarray, np.ndarray]:
    found = list_photographs(folder, reader, needs_masks=True)
    images = np.stack([read_photograph(photograph.image) for photograph in found])
    masks = [read_binary_mask(photograph.mask or "", images.shape[1:3]) for photograph in found]
    return images.astype(float), np.stack(masks)


def test_the_domains_differ_in_what_they_should(tmp_path: Path) -> None:
    folder_a, folder_b = simulate_skin_pair(tmp_path, seed=0, n_images=8)
    (images_a, masks_a), (images_b, masks_b) = load(folder_a, "isic"), load(folder_b, "waterloo")
    assert images_a.shape == images_b.shape == (8, 96, 128, 3)
    assert masks_a.mean() > 2 * masks_b.mean() > 0.02
    for images, masks in ((images_a, masks_a), (images_b, masks_b)):
        skin = (masks == 0) & (images.sum(axis=-1) > 200)
        assert images[masks == 1].mean() < images[skin].mean() - 30
    assert images_a[:, :4, :4].max() < 60  # outside the round field
    assert images_b[:, :4, :4].min() > 20
    centre = np.s_[:, 40:56, 4:12]
    assert images_a[:, 40:56, 20:30].mean() > images_b[centre].mean() + 15  # skin tone


def test_some_photographs_show_the_same_lesion(tmp_path: Path) -> None:
    _, folder_b = simulate_skin_pair(tmp_path, seed=0, n_images=8, shape=(48, 48))
    found = list_photographs(folder_b, "waterloo", needs_masks=True)
    assert len({photograph.group for photograph in found}) == 6


def test_the_seed_decides(tmp_path: Path) -> None:
    for name, seed in (("one", 3), ("two", 3), ("three", 4)):
        simulate_skin_pair(tmp_path / name, seed=seed, n_images=2, shape=(48, 56))
    one, two, three = (read_tree(tmp_path / name) for name in ("one", "two", "three"))
    assert one == two
    assert one != three


@pytest.mark.parametrize(
    ("change", "said"),
    [({"shape": (40, 96)}, r"48 px a side, got \(40, 96\)"), ({"n_images": 0}, "at least 1, got 0")],
)
def test_impossible_wishes_are_refused(tmp_path: Path, change: dict, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        simulate_skin_pair(tmp_path, seed=0, **change)
