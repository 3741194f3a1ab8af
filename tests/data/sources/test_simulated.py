"""Tests of biostyle.data.sources.simulated."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from skimage.filters import threshold_otsu

from biostyle.data.sources.cell_tracking import read_sequences
from biostyle.data.sources.simulated import simulate_pair
from biostyle.errors import ConfigError
from biostyle.io.frames import read_frame
from biostyle.io.labels import read_labels


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return simulate_pair(tmp_path_factory.mktemp("pair"), seed=3, n_frames=4, shape=(128, 144))


def _read(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    frames = read_sequences(folder)
    images = np.stack([read_frame(frame.image) for frame in frames])
    return images, np.stack([read_labels(frame.silver, images.shape[1:]) for frame in frames if frame.silver])


def _f_score(pred: np.ndarray, target: np.ndarray) -> float:
    return float(2 * (pred & target).sum() / (pred.sum() + target.sum()))


def test_both_domains_are_challenge_folders(pair: tuple[Path, Path]) -> None:
    assert [folder.name for folder in pair] == ["SIM-A", "SIM-B"]
    for folder in pair:
        frames = read_sequences(folder)
        assert [frame.frame_id for frame in frames] == [f"01_t{n:03d}" for n in range(4)]
        assert all(frame.silver and frame.gold is None for frame in frames)


def test_the_two_cameras_differ_as_documented(pair: tuple[Path, Path]) -> None:
    (image_a, labels_a), (image_b, labels_b) = _read(pair[0]), _read(pair[1])
    assert image_a.shape == image_b.shape == (4, 128, 144)
    assert (image_a.dtype, image_b.dtype) == (np.uint8, np.uint16)
    assert 32_500 < image_b.min() < image_b.max() < 37_500
    assert 0.07 < (labels_a > 0).mean() < 0.2
    assert image_a[labels_a > 0].mean() < image_a[labels_a == 0].mean()
    assert image_b[labels_b > 0].mean() > image_b[labels_b == 0].mean()
    area_a, area_b = (np.median(np.bincount(x[0].ravel())[1:]) for x in (labels_a, labels_b))
    assert np.sqrt(area_b / area_a) == pytest.approx(0.6, abs=0.15)


def test_a_threshold_does_not_solve_domain_a(pair: tuple[Path, Path]) -> None:
    images, labels = _read(pair[0])
    bright = images > threshold_otsu(images)
    assert max(_f_score(bright, labels > 0), _f_score(~bright, labels > 0)) < 0.75


def test_cells_move_a_little_from_frame_to_frame(pair: tuple[Path, Path]) -> None:
    for folder in pair:
        _, labels = _read(folder)
        overlap = _f_score(labels[0] > 0, labels[1] > 0)
        assert 0.7 < overlap < 1.0


def test_the_seed_decides_every_byte(tmp_path: Path) -> None:
    for name, seed in (("one", 5), ("two", 5), ("other", 6)):
        simulate_pair(tmp_path / name, seed, n_frames=1, shape=(64, 64), sequences=2)
    files = {
        name: [path.read_bytes() for path in sorted((tmp_path / name).rglob("*.tif"))]
        for name in ("one", "two", "other")
    }
    assert len(files["one"]) == 2 * 2 * 2
    assert files["one"] == files["two"]
    assert all(a != b for a, b in zip(files["one"], files["other"], strict=True))
    assert len(set(files["one"])) == 8


def test_the_global_random_state_is_left_alone(tmp_path: Path) -> None:
    before = np.random.get_state()[1].tolist()
    simulate_pair(tmp_path, seed=0, n_frames=1, shape=(64, 64))
    assert np.random.get_state()[1].tolist() == before


def test_frames_too_small_for_cells_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"at least 64 px a side, got \(256, 32\)"):
        simulate_pair(tmp_path, seed=0, shape=(256, 32))


@pytest.mark.parametrize("name", ["n_frames", "sequences"])
def test_nothing_to_simulate_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match=f"{name} must be at least 1, got 0"):
        simulate_pair(tmp_path, seed=0, **{name: 0})
