import pytest
import torch
from pydantic import ValidationError

from biostyle.training.augmentation import AugmentationSettings, augment

NOTHING = AugmentationSettings(
    rotation_deg=0, zoom=0, elastic_px=0, brightness=0, contrast=0, gamma=0, noise=0
)
STRONG = AugmentationSettings(
    rotation_deg=90, zoom=1, elastic_px=8, brightness=1, contrast=2, gamma=2, noise=0.5
)


def crops(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Noise, and masks that use every kind of value."""
    generator = torch.Generator().manual_seed(seed)
    images = torch.rand(4, 2, 40, 56, generator=generator)
    masks = torch.tensor([0, 1, 255], dtype=torch.uint8)[torch.randint(3, (4, 40, 56), generator=generator)]
    return images, masks


@pytest.mark.parametrize("settings", [STRONG, AugmentationSettings()])
def test_shapes_types_and_ranges_stay(settings: AugmentationSettings) -> None:
    images, masks = augment(*crops(), settings, torch.Generator().manual_seed(0))
    assert images.shape == (4, 2, 40, 56)
    assert images.dtype == torch.float32
    assert images.min() >= 0
    assert images.max() <= 1
    assert masks.shape == (4, 40, 56)
    assert masks.dtype == torch.uint8
    assert set(masks.unique().tolist()) <= {0, 1, 255}


def test_nothing_changes_when_every_amount_is_zero() -> None:
    images, masks = crops()
    same_images, same_masks = augment(images, masks, NOTHING, torch.Generator().manual_seed(0))
    torch.testing.assert_close(same_images, images, rtol=0, atol=1e-4)
    assert torch.equal(same_masks, masks)


def test_the_same_stream_gives_the_same_crops() -> None:
    first, second = (augment(*crops(), STRONG, torch.Generator().manual_seed(3)) for _ in range(2))
    assert torch.equal(first[0], second[0])
    assert torch.equal(first[1], second[1])
    other = augment(*crops(), STRONG, torch.Generator().manual_seed(4))
    assert not torch.equal(first[0], other[0])


def test_image_and_mask_deform_alike() -> None:
    masks = torch.zeros(6, 64, 96, dtype=torch.uint8)
    masks[:, 20:44, 30:70] = 1
    shape_only = NOTHING.model_copy(update={"rotation_deg": 45.0, "zoom": 0.4, "elastic_px": 4.0})
    images, deformed = augment(masks[:, None].float(), masks, shape_only, torch.Generator().manual_seed(0))
    moved = (deformed != masks).float().mean(dim=(1, 2))
    apart = ((images[:, 0] > 0.5) != (deformed == 1)).float().mean(dim=(1, 2))
    assert (moved > 0.03).all()
    assert (apart < 0.02).all()


def test_rotation_keeps_lengths_in_a_crop_that_is_not_square() -> None:
    masks = torch.zeros(8, 60, 120, dtype=torch.uint8)
    masks[:, 22:38, 52:68] = 1
    turned = NOTHING.model_copy(update={"rotation_deg": 45.0})
    _, rotated = augment(masks[:, None].float(), masks, turned, torch.Generator().manual_seed(0))
    assert rotated.sum(dim=(1, 2)).tolist() == pytest.approx([256] * 8, rel=0.08)


def test_zoom_changes_the_area_within_its_bounds() -> None:
    masks = torch.zeros(64, 60, 60, dtype=torch.uint8)
    masks[:, 20:40, 20:40] = 1
    zoomed = NOTHING.model_copy(update={"zoom": 0.25})
    areas = augment(masks[:, None].float(), masks, zoomed, torch.Generator().manual_seed(0))[1].sum(
        dim=(1, 2)
    )
    assert areas.min() >= 400 / 1.3**2
    assert areas.max() <= 400 * 1.3**2
    assert areas.min() < 320
    assert areas.max() > 500


def test_each_crop_is_changed_by_another_amount() -> None:
    images = torch.full((5, 1, 8, 8), 0.5)
    brighter = NOTHING.model_copy(update={"brightness": 0.3})
    changed, _ = augment(
        images, torch.zeros(5, 8, 8, dtype=torch.uint8), brighter, torch.Generator().manual_seed(0)
    )
    shifts = changed.mean(dim=(1, 2, 3)) - 0.5
    assert len(shifts.unique()) == 5
    assert shifts.abs().max() <= 0.3 + 1e-6


def test_refuses_a_negative_amount() -> None:
    with pytest.raises(ValidationError, match="noise"):
        AugmentationSettings(noise=-0.1)
