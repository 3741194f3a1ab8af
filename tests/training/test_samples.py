from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from biostyle.training.samples import write_samples


@pytest.mark.parametrize(("n_channels", "shape"), [(1, (6, 12)), (3, (6, 12, 3))])
def test_rows_lie_beneath_one_another(n_channels: int, shape: tuple[int, ...], tmp_path: Path) -> None:
    values = [[0.0, 0.2, 0.4], [0.6, 0.8, 1.0]]
    rows = [[torch.full((n_channels, 3, 4), value) for value in row] for row in values]
    write_samples(tmp_path / "samples" / "step.png", rows)
    with Image.open(tmp_path / "samples" / "step.png") as file:
        pixels = np.asarray(file)
    assert pixels.shape == shape
    np.testing.assert_array_equal(pixels[::3, ::4].reshape(6, -1)[:, 0], [0, 51, 102, 153, 204, 255])


def test_values_out_of_range_are_clipped_not_wrapped(tmp_path: Path) -> None:
    write_samples(tmp_path / "step.png", [[torch.tensor([[[-0.5, 1.5]]], dtype=torch.bfloat16)]])
    with Image.open(tmp_path / "step.png") as file:
        assert np.asarray(file).tolist() == [[0, 255]]
