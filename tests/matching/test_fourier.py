"""Amplitude swap against the formula of the paper, for any size."""

from __future__ import annotations

import pytest
import torch
from pydantic import ValidationError

from biostyle.errors import ImageError
from biostyle.matching.fourier import GRID, Fourier


def swap_as_in_the_paper(image_b: torch.Tensor, image_a: torch.Tensor, beta: float) -> torch.Tensor:
    """FDA of two frames of one size, written from the paper: a centred square of the amplitude is exchanged."""
    spectrum_a, spectrum_b = (torch.fft.fftshift(torch.fft.fft2(image)) for image in (image_a, image_b))
    height, width = image_b.shape
    half_height, half_width = int(beta * height), int(beta * width)
    rows = slice(height // 2 - half_height, height // 2 + half_height + 1)
    columns = slice(width // 2 - half_width, width // 2 + half_width + 1)
    amplitude = spectrum_b.abs()
    amplitude[rows, columns] = spectrum_a.abs()[rows, columns]
    return torch.fft.ifft2(torch.fft.ifftshift(torch.polar(amplitude, spectrum_b.angle()))).real


def test_equals_the_paper_where_the_grid_fits_the_frame() -> None:
    generator = torch.Generator().manual_seed(0)
    image_a, image_b = (0.3 + 0.4 * torch.rand(80, 80, generator=generator) for _ in range(2))
    cutoff = (GRID[1] - 1) / 80 + 1e-6  # 17 x 9 low frequencies, those of the grid
    ours = Fourier.of([image_a[None, None]], cutoff)(image_b[None, None])[0, 0]
    torch.testing.assert_close(
        ours, swap_as_in_the_paper(image_b, image_a, cutoff).clamp(0, 1), atol=1e-4, rtol=0
    )


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (17, 64), (101, 33), (1, 300)])
def test_any_size_keeps_its_size_and_the_range(size: tuple[int, int]) -> None:
    generator = torch.Generator().manual_seed(0)
    step = Fourier.of([torch.rand(2, 1, 40, 50, generator=generator)], 0.1)
    styled = step(torch.rand(2, 3, *size, generator=generator))
    assert styled.shape == (2, 3, *size)
    assert styled.min() >= 0
    assert styled.max() <= 1


def test_amplitude_does_not_depend_on_the_size_of_a_texture() -> None:
    generator = torch.Generator().manual_seed(0)
    small, large = (
        Fourier.of([0.5 + 0.1 * torch.randn(8, 1, n, n, generator=generator)], 0.1) for n in (64, 256)
    )
    ratio = torch.tensor(small.amplitude).mean() / torch.tensor(large.amplitude).mean()
    assert ratio == pytest.approx(1, abs=0.1)


def test_frames_too_small_for_a_frequency_along_one_axis() -> None:
    """What was learned from landscape frames is the same for the frames turned upright."""
    generator = torch.Generator().manual_seed(0)
    landscape = 0.5 + 0.1 * torch.randn(4, 1, 90, 120, generator=generator)
    step = Fourier.of([landscape], 0.01)
    wide, high = (
        torch.fft.rfft2(step(images) - step(images).mean(dim=(2, 3), keepdim=True), norm="ortho").abs()
        for images in (landscape, landscape.rot90(1, (2, 3)))
    )
    torch.testing.assert_close(high[:, 0, 1, 0], wide[:, 0, 0, 1], rtol=1e-3, atol=0)
    tall = Fourier.of([torch.rand(1, 1, 300, 300, generator=generator)], 0.01)
    target = torch.fft.rfft2(
        tall(landscape) - tall(landscape).mean(dim=(2, 3), keepdim=True), norm="ortho"
    ).abs()
    torch.testing.assert_close(
        target[0, 0, 0, 1], torch.tensor(tall.amplitude)[GRID[0] // 2, -1], rtol=1e-3, atol=0
    )


def test_mean_becomes_that_of_a_and_gradients_flow() -> None:
    generator = torch.Generator().manual_seed(0)
    step = Fourier.of([0.6 + 0.05 * torch.rand(1, 1, 64, 64, generator=generator)], 0.05)
    images = (0.2 + 0.1 * torch.rand(1, 1, 70, 90, generator=generator)).requires_grad_()
    styled = step(images)
    assert styled.mean().item() == pytest.approx(step.mean, abs=1e-3)
    (styled**2).sum().backward()
    assert images.grad is not None
    assert images.grad.isfinite().all()
    assert images.grad.abs().sum() > 0


def test_a_grid_of_another_size_is_refused() -> None:
    with pytest.raises(ValidationError, match=r"got rows of \[2, 1\]"):
        Fourier(cutoff=0.1, mean=0.5, amplitude=((1.0, 1.0), (1.0,)))


def test_each_channel_of_a_photograph_gets_its_own_amplitudes() -> None:
    generator = torch.Generator().manual_seed(0)
    image_a = 0.4 + 0.2 * torch.rand(1, 3, 48, 48, generator=generator)
    image_a[:, 2] += 0.2
    image_b = 0.4 + 0.2 * torch.rand(2, 3, 50, 66, generator=generator)
    together = Fourier.of([image_a], 0.1)
    assert together.mean == pytest.approx(image_a.mean(dim=(0, 2, 3)).tolist(), abs=1e-6)
    alone = [Fourier.of([image_a[:, c : c + 1]], 0.1)(image_b[:, c : c + 1]) for c in range(3)]
    torch.testing.assert_close(together(image_b), torch.cat(alone, dim=1))
    assert Fourier.model_validate(together.model_dump(mode="json")) == together


def test_other_channels_than_learned_are_refused() -> None:
    step = Fourier.of([torch.rand(1, 3, 20, 20)], 0.1)
    with pytest.raises(ImageError, match=r"must have 3 channels .*, got 1\."):
        step(torch.rand(1, 1, 20, 20))
