import pytest
import torch

from biostyle.data.preprocessing import resize
from biostyle.inference.resizing import needed_rows, resize_rows


@pytest.mark.parametrize("size_in", [(50, 31), (1, 4), (64, 64), (23, 90)])
@pytest.mark.parametrize("size_out", [(50, 31), (97, 40), (13, 7), (128, 128)])
@pytest.mark.parametrize("n_rows", [1, 7, 200])
def test_strips_are_cut_from_the_whole(
    size_in: tuple[int, int], size_out: tuple[int, int], n_rows: int
) -> None:
    image = torch.rand(1, 2, *size_in)
    strips = []
    for start in range(0, size_out[0], n_rows):
        stop = min(start + n_rows, size_out[0])
        first, last = needed_rows(size_in[0], size_out[0], start, stop)
        assert 0 <= first < last <= size_in[0]
        strips.append(resize_rows(image[:, :, first:last], first, size_in, size_out, start, stop))
    torch.testing.assert_close(torch.cat(strips, dim=2), resize(image, size_out), rtol=1e-5, atol=1e-5)
