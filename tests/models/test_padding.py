import numpy as np
import pytest
import torch

from biostyle.models.padding import pad_to_multiple, padded_length


def test_mirrors_the_border_as_numpy_does() -> None:
    image = torch.rand(1, 1, 6, 7)
    expected = np.pad(image[0, 0].numpy(), ((0, 2), (0, 1)), mode="reflect")
    assert np.array_equal(pad_to_multiple(image, 4)[0, 0].numpy(), expected)


def test_repeats_the_border_where_there_is_too_little_to_mirror() -> None:
    image = torch.rand(1, 2, 2, 5)
    expected = np.pad(image[0].numpy(), ((0, 0), (0, 6), (0, 3)), mode="edge")
    assert np.array_equal(pad_to_multiple(image, 8)[0].numpy(), expected)


@pytest.mark.parametrize("multiple", [1, 4, 8])
def test_leaves_what_fits_alone(multiple: int) -> None:
    image = torch.rand(1, 1, 8, 16)
    assert pad_to_multiple(image, multiple) is image


def test_pads_to_what_is_at_least_needed() -> None:
    assert pad_to_multiple(torch.ones(1, 1, 1, 3), 4, smallest=8).shape == (1, 1, 8, 8)
    assert pad_to_multiple(torch.ones(1, 1, 9, 8), 4, smallest=8).shape == (1, 1, 12, 8)
    assert padded_length(5, 4) == 8
