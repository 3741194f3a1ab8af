import numpy as np
import pytest
import torch

from biostyle.inference.moments import ChannelMoments


@pytest.mark.parametrize("n_rows", [1, 7, 64])
def test_pieces_of_any_size_give_the_moments_of_the_whole(n_rows: int) -> None:
    values = torch.randn(1, 3, 64, 50) * 0.01 + torch.tensor([0.0, 100.0, -3.0])[:, None, None]
    moments = ChannelMoments(3, torch.device("cpu"))
    for piece in values.split(n_rows, dim=2):
        moments.add(piece)
    exact = values.numpy().astype(np.float64)[0]
    np.testing.assert_allclose(moments.mean, exact.mean((1, 2)), rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(moments.variance, exact.var((1, 2)), rtol=1e-5)
    assert moments.n_pixels == 3200
