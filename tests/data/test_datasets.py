from pathlib import Path

import pytest
import torch

from biostyle.data.datasets import AnnotatedCropSampler, CropSampler, read_images, read_masks
from biostyle.data.preprocessing import Preprocessing
from biostyle.errors import SplitError
from biostyle.types import NOT_ANNOTATED
from tests.simulated import TINY_SHAPE, prepare_tiny_pair

CPU = torch.device("cpu")
# every pixel of a frame has its own value, so that a crop betrays where it was taken
FRAME = torch.arange(9 * 12, dtype=torch.float32).view(1, 9, 12) / 1000
MASK = torch.arange(9 * 12, dtype=torch.uint8).view(9, 12)


def orientations(crop: torch.Tensor) -> list[torch.Tensor]:
    """The eight orientations of a square, written out with transposition instead of rotation."""
    flips = [crop, crop.flip(-1), crop.flip(-2), crop.flip(-1, -2)]
    return flips + [flip.transpose(-1, -2) for flip in flips]


def test_crops_are_windows_of_the_frame_in_all_eight_orientations() -> None:
    sampler = CropSampler([FRAME], 4, CPU)
    seen = set()
    for crop in sampler.draw(300, torch.Generator().manual_seed(0)):
        top, left = divmod(round(crop.min().item() * 1000), 12)
        window = FRAME[:, top : top + 4, left : left + 4]
        matches = [index for index, turned in enumerate(orientations(window)) if torch.equal(crop, turned)]
        assert len(matches) == 1
        seen.add((top, left, matches[0]))
    assert {orientation for *_, orientation in seen} == set(range(8))
    assert {top for top, *_ in seen} == set(range(6))
    assert {left for _, left, _ in seen} == set(range(9))


def test_masks_are_cut_and_turned_with_their_images() -> None:
    frames, masks = [FRAME, FRAME + 0.2], [MASK, MASK + 100]
    sampler = AnnotatedCropSampler(frames, masks, 5, CPU)
    images, targets = sampler.draw_annotated(64, torch.Generator().manual_seed(0))
    assert images.shape == (64, 1, 5, 5)
    assert targets.dtype == torch.uint8
    from_second = targets.amin(dim=(1, 2), keepdim=True) >= 100
    assert from_second.any()
    assert not from_second.all()
    position = targets.long() - 100 * from_second
    torch.testing.assert_close(images[:, 0], position / 1000 + 0.2 * from_second)


def test_images_do_not_depend_on_whether_masks_are_drawn_too() -> None:
    with_masks = AnnotatedCropSampler([FRAME], [MASK], 4, CPU).draw_annotated(
        3, torch.Generator().manual_seed(5)
    )[0]
    assert torch.equal(with_masks, CropSampler([FRAME], 4, CPU).draw(3, torch.Generator().manual_seed(5)))


def halves() -> AnnotatedCropSampler:
    """A frame whose left half is foreground; each crop holds a share between none and all."""
    mask = torch.zeros(40, 40, dtype=torch.uint8)
    mask[:, :20] = 1
    return AnnotatedCropSampler([mask[None].float()], [mask], 10, CPU)


def test_crops_are_drawn_with_about_the_wanted_foreground() -> None:
    wanted = torch.linspace(0, 1, 50)
    found = {}
    for n_tries in (1, 6, 50):
        images, masks = halves().draw_with_fractions(wanted, torch.Generator().manual_seed(0), n_tries)
        assert images.shape == (50, 1, 10, 10)
        assert masks.dtype == torch.uint8
        assert torch.equal(images[:, 0], masks.float())  # still the masks of their own images
        found[n_tries] = (masks.float().mean(dim=(1, 2)) - wanted).abs().mean().item()
    assert found[50] < found[6] < found[1]
    assert found[6] < found[1] / 2


def test_of_the_crops_drawn_the_nearest_is_kept() -> None:
    wanted = torch.tensor([0.3, 0.9])
    kept, _ = halves().draw_with_fractions(wanted, torch.Generator().manual_seed(1), 4)
    drawn, masks = halves().draw_annotated(8, torch.Generator().manual_seed(1))
    shares = masks.float().mean(dim=(1, 2)).view(2, 4)
    for number, share in enumerate(wanted):
        nearest = (shares[number] - share).abs().argmin()
        assert torch.equal(kept[number], drawn.view(2, 4, 1, 10, 10)[number, nearest])


def test_pixels_that_are_not_annotated_are_no_foreground() -> None:
    mask = torch.full((20, 20), NOT_ANNOTATED, dtype=torch.uint8)
    mask[:, :10] = 1
    sampler = AnnotatedCropSampler([torch.zeros(1, 20, 20)], [mask], 10, CPU)
    _, masks = sampler.draw_with_fractions(torch.ones(8), torch.Generator().manual_seed(0), 30)
    assert (masks == 1).float().mean() > 0.9


def test_crops_are_no_larger_than_the_smallest_frame() -> None:
    sampler = CropSampler([torch.rand(3, 20, 30), torch.rand(3, 40, 7)], 64, CPU)
    assert sampler.draw(5, torch.Generator().manual_seed(0)).shape == (5, 3, 7, 7)


@pytest.mark.parametrize(
    "build", [lambda: CropSampler([], 8, CPU), lambda: AnnotatedCropSampler([], [], 8, CPU)]
)
def test_refuses_to_sample_from_nothing(build: object) -> None:
    with pytest.raises(SplitError, match=r"must hold at least one frame, got 0\. Check the split\."):
        build()  # type: ignore[operator]


def test_reads_training_frames_and_masks_at_the_working_resolution(tmp_path: Path) -> None:
    domain, _ = prepare_tiny_pair(tmp_path)
    preprocessing, rows = Preprocessing(working_scale=0.5), domain.with_truth("train")
    images, masks = read_images(domain, rows, preprocessing), read_masks(domain, rows, preprocessing)
    half = (TINY_SHAPE[0] // 2, TINY_SHAPE[1] // 2)
    assert len(rows) == 4
    assert [image.shape for image in images] == [(1, *half)] * 4
    assert [mask.shape for mask in masks] == [half] * 4
    for image, mask in zip(images, masks, strict=True):
        assert image.min() >= 0
        assert image.max() <= 1
        assert set(mask.unique().tolist()) == {0, 1}
