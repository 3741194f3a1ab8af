from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from biostyle.training.samples import segmentation_rows, write_samples


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


@pytest.mark.parametrize("n_channels", [1, 3])
def test_image_probability_and_mask_lie_side_by_side(n_channels: int) -> None:
    images = torch.rand(2, n_channels, 4, 5)
    target = torch.tensor([0, 255], dtype=torch.uint8).view(2, 1, 1).repeat(1, 4, 5)
    target[0, 0] = 1
    rows = segmentation_rows(images, torch.zeros(2, 2, 4, 5), target)
    assert [[tuple(part.shape) for part in row] for row in rows] == [[(n_channels, 4, 5)] * 3] * 2
    assert torch.equal(rows[0][0], images[0])
    assert (rows[0][1] == 0.5).all()
    assert rows[0][2].sum() == 5 * n_channels
    assert rows[1][2].sum() == 0
