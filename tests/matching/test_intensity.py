"""Polarity, tone, stretch and background against hand arithmetic and the reader's own scaling."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from biostyle.io.scaling import to_unit_range
from biostyle.matching.intensity import Background, Polarity, Stretch, Tone, stretch


def test_polarity_is_its_own_inverse() -> None:
    images = torch.rand(2, 1, 5, 7)
    torch.testing.assert_close(Polarity()(Polarity()(images)), images)
    torch.testing.assert_close(Polarity()(images), 1 - images)


@pytest.mark.parametrize(
    ("tone", "expected"),
    [
        (Tone(name="linear"), 0.25),
        (Tone(name="square_root"), 0.5),
        (Tone(name="logarithm"), np.log(1 + 99 * 0.25) / np.log(100)),
        (Tone(name="gamma", exponent=2.0), 0.0625),
    ],
)
def test_tones(tone: Tone, expected: float) -> None:
    images = torch.tensor([0.0, 0.25, 1.0]).reshape(1, 1, 1, 3).requires_grad_()
    toned = tone(images)
    torch.testing.assert_close(toned.flatten(), torch.tensor([0.0, float(expected), 1.0]), atol=2e-3, rtol=0)
    toned.sum().backward()
    assert images.grad is not None
    assert images.grad.isfinite().all()


@pytest.mark.parametrize(("name", "exponent"), [("gamma", None), ("linear", 0.5)])
def test_an_exponent_belongs_to_gamma_alone(name: str, exponent: float | None) -> None:
    with pytest.raises(ValidationError, match=f"got {exponent} for {name}"):
        Tone.model_validate({"name": name, "exponent": exponent})


def test_stretch_is_the_scaling_of_the_preprocessing() -> None:
    frames = np.random.default_rng(0).gamma(2.0, size=(2, 40, 31)).astype(np.float32)
    stretched = Stretch(low_percentile=1, high_percentile=98)(torch.from_numpy(frames)[:, None])
    for ours, frame in zip(stretched[:, 0].numpy(), frames, strict=True):
        reference = to_unit_range(frame, low_percentile=1, high_percentile=98)
        np.testing.assert_allclose(ours, reference, atol=1e-5)


def test_stretch_of_few_values() -> None:
    constant = torch.full((1, 1, 4, 4), 0.7)
    assert stretch(constant, 1, 99).eq(0).all()
    spot = torch.zeros(1, 1, 20, 20)
    spot[..., 3, 3] = 0.5
    assert stretch(spot, 1, 99)[..., 3, 3].item() == 1


def test_background_takes_shading_away() -> None:
    rows = torch.linspace(0, 0.6, 64)[:, None].expand(64, 64)
    cell = torch.zeros(64, 64)
    cell[28:36, 28:36] = 0.2
    flat = Background(sigma_px=8.0)((rows + cell)[None, None])[0, 0]
    assert flat[30:34, 30:34].min() > 0.9
    assert (flat[20, 5] - flat[44, 5]).abs() < 0.1
    assert flat.min() >= 0
    assert flat.max() <= 1


@pytest.mark.parametrize("percentiles", [(0.0, 100.0), (0.5, 99.5), (33.3, 51.0)])
def test_percentiles_are_those_of_numpy(percentiles: tuple[float, float]) -> None:
    images = torch.rand(2, 3, 17, 13, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    low, high = np.percentile(images.numpy(), percentiles, axis=(2, 3))
    expected = np.clip((images.numpy() - low[..., None, None]) / (high - low)[..., None, None], 0, 1)
    np.testing.assert_allclose(stretch(images, *percentiles).numpy(), expected, atol=1e-12)


def test_background_in_automatic_mixed_precision() -> None:
    images = torch.rand(1, 1, 30, 40, generator=torch.Generator().manual_seed(0))
    with torch.autocast("cpu", torch.bfloat16):
        coarse = Background(sigma_px=5.0)(images)
    torch.testing.assert_close(coarse.float(), Background(sigma_px=5.0)(images), atol=0.05, rtol=0)
