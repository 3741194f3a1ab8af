import pytest
import torch
from pydantic import ValidationError

from biostyle.training.augmentation import AugmentationSettings, augment

RECORDED_STATE = 311070  # of the generator after one call, before there was colour
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


def photographs() -> tuple[torch.Tensor, torch.Tensor]:
    """Muted colours, so that no change is clipped."""
    generator = torch.Generator().manual_seed(0)
    return 0.4 + 0.1 * torch.rand(3, 3, 20, 30, generator=generator), torch.zeros(
        3, 20, 30, dtype=torch.uint8
    )


def changed(**amounts: float) -> torch.Tensor:
    """Each pixel's colour after one change, divided by its colour before."""
    images, masks = photographs()
    settings = NOTHING.model_copy(update=amounts)
    same, _ = augment(images, masks, NOTHING, torch.Generator().manual_seed(1))
    return augment(images, masks, settings, torch.Generator().manual_seed(1))[0] / same


def test_channel_gain_changes_each_channel_by_one_factor() -> None:
    ratio = changed(channel_gain=0.3)
    torch.testing.assert_close(ratio, ratio[..., :1, :1].expand_as(ratio))
    assert ratio.min() >= 1 / 1.3 - 1e-6
    assert ratio.max() <= 1.3 + 1e-6
    assert len(ratio[..., 0, 0].unique()) == 9


def test_illumination_falls_in_one_direction_and_leaves_colours() -> None:
    ratio = changed(illumination=0.5)
    torch.testing.assert_close(ratio, ratio[:, :1].expand_as(ratio))
    logarithm = ratio[:, 0].log()
    middle = logarithm.mean(dim=(1, 2))
    torch.testing.assert_close(middle, torch.zeros(3), atol=1e-4, rtol=0)
    steps = logarithm.diff(dim=2)
    torch.testing.assert_close(steps, steps[:, :1, :1].expand_as(steps), atol=1e-4, rtol=0)
    assert 0 < logarithm.abs().max() <= 1.5 * torch.tensor(1.5).log()


def test_saturation_and_hue_keep_the_mean_of_the_channels() -> None:
    images, masks = photographs()
    for amounts in ({"saturation": 0.5}, {"hue_deg": 30.0}):
        settings = NOTHING.model_copy(update=amounts)
        after, _ = augment(images, masks, settings, torch.Generator().manual_seed(1))
        torch.testing.assert_close(after.mean(1), images.mean(1), atol=1e-4, rtol=0)
        assert (after - images).abs().max() > 1e-3
    distance = [(batch - batch.mean(1, keepdim=True)).norm(dim=1) for batch in (after, images)]
    torch.testing.assert_close(*distance, atol=1e-4, rtol=0)  # a turn of the hue


def test_gray_crops_have_no_hue() -> None:
    images, masks = crops()
    settings = NOTHING.model_copy(update={"saturation": 0.5, "hue_deg": 30.0})
    after, _ = augment(images, masks, settings, torch.Generator().manual_seed(0))
    torch.testing.assert_close(after, images, rtol=0, atol=1e-4)


def test_what_is_off_draws_no_random_numbers_and_is_not_stored() -> None:
    generator = torch.Generator().manual_seed(0)
    images, masks = crops()
    augment(images, masks, AugmentationSettings(), generator)
    assert generator.get_state().sum() == RECORDED_STATE
    assert set(AugmentationSettings().model_dump()) == {
        "rotation_deg", "zoom", "elastic_px", "elastic_grid_px", "brightness", "contrast", "gamma", "noise"
    }  # fmt: skip
    assert AugmentationSettings(hue_deg=5).model_dump()["hue_deg"] == 5
