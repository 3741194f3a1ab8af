"""What is said of masks without truth, by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from sklearn.metrics import cohen_kappa_score
from torch import nn

from biostyle.adaptation import AdaptedSegmenter
from biostyle.data.preprocessing import Preprocessing, resize
from biostyle.evidence import (
    LARGEST_FRACTION,
    N_IN_CONCORD,
    SMALLEST_FRACTION,
    Evidence,
    concord,
    judge,
    with_edges,
)
from biostyle.metrics.edge_support import edge_support
from biostyle.models.single_object import SingleObject
from tests.evidence_by_hand import found, spots
from tests.gray_segmenter import GrayIsProbability

CPU = torch.device("cpu")
AS_THEY_ARE = Preprocessing(scaling="dtype")


class LeftColumnOnly(GrayIsProbability):
    """The same, but nothing is ever found outside the first column: it depends on where things are."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        logits = super().forward(images)
        logits[:, 1, :, 1:] = -20
        return logits


def lesion_and_shadow() -> tuple[np.ndarray, SingleObject]:
    """An image of 8 x 8 pixels with six in the middle and ten along the border, and what keeps those in the middle."""
    image = np.full((8, 8), 0.1, np.float32)
    image[3:5, 3:6] = image[0, :8] = image[1, :2] = 0.9
    middle = torch.zeros(8, 8, dtype=torch.uint8)
    middle[3:5, 3:5] = 1
    return image, SingleObject.of([middle], grid=8)


def frame(*rows: list[float]) -> np.ndarray:
    return np.array(rows, np.float32)


def look(
    segmenter: nn.Module,
    *images: np.ndarray,
    preprocessing: Preprocessing = AS_THEY_ARE,
    single_object: SingleObject | None = None,
) -> Evidence:
    return judge(segmenter, images, preprocessing, CPU, single_object=single_object)


def test_confidence_and_fraction_are_those_computed_by_hand() -> None:
    score = look(GrayIsProbability(), frame([0.9, 0.1], [0.8, 0.2])).score
    assert score.confidence == pytest.approx(2 * 1.7 / (2.0 + 2))  # 2 Σpm / (Σp + Σm)
    assert score.foreground_fraction == 0.5
    assert score.agreement == 1
    assert score.value == pytest.approx((0.85 + 1) / 2)


def test_agreement_is_the_dice_of_the_mask_and_the_turned_mask() -> None:
    """Of the upper row it finds the left pixel; of the frame turned by 90°, both."""
    score = look(LeftColumnOnly(), frame([0.9, 0.9], [0.1, 0.1])).score
    assert score.foreground_fraction == 0.25
    assert score.agreement == pytest.approx(2 * 1 / (1 + 2))


def test_scores_are_means_over_frames_of_any_shape() -> None:
    wide, square = frame(*[[0.8] * 3 + [0.2] * 3] * 2), frame([0.9, 0.1], [0.8, 0.2])
    first, second, both = (
        look(GrayIsProbability(), *images).score for images in ([wide], [square], [wide, square])
    )
    assert both.confidence == pytest.approx((first.confidence + second.confidence) / 2)
    assert both.foreground_fraction == pytest.approx((0.5 + 0.5) / 2)


@pytest.mark.parametrize("gray", [1e-5, 0.999])
def test_an_empty_or_full_mask_scores_nothing_however_sure_it_is(gray: float) -> None:
    score = look(GrayIsProbability(), np.full((8, 8), gray, np.float32)).score
    assert (score.confidence, score.agreement, score.value) == (0, 0, 0)


@pytest.mark.parametrize(
    ("n_foreground", "counts"),
    [(0, False), (4, False), (6, True), (749, True), (751, False), (1000, False)],
)
def test_the_guard_holds_at_its_bounds(n_foreground: int, counts: bool) -> None:
    assert (SMALLEST_FRACTION, LARGEST_FRACTION) == (0.005, 0.75)
    image = np.full(1000, 0.1, np.float32)
    image[:n_foreground] = 0.9
    assert (look(GrayIsProbability(), image.reshape(20, 50)).score.value > 0) == counts


def test_the_guard_looks_at_each_frame() -> None:
    """Full here and empty there is a sensible fraction on average, and still says nothing."""
    score = look(GrayIsProbability(), *(np.full((8, 8), gray, np.float32) for gray in (0.999, 1e-5))).score
    assert score.foreground_fraction == 0.5
    assert score.value == 0


def test_singleness_is_the_share_of_the_foreground_in_its_main_object() -> None:
    image, in_the_middle = lesion_and_shadow()
    score = look(GrayIsProbability(), image, single_object=in_the_middle).score
    assert score.singleness == pytest.approx(6 / 16)
    confidence = 2 * 0.9 * 16 / (0.9 * 16 + 0.1 * 48 + 16)
    assert score.value == pytest.approx((confidence + 1 + 6 / 16) / 3)
    assert score.measures == {
        "confidence": pytest.approx(confidence), "agreement": 1, "foreground_fraction": 0.25,
        "singleness": pytest.approx(6 / 16),
    }  # fmt: skip


def test_singleness_is_a_mean_over_frames_and_0_where_the_mask_is_degenerate() -> None:
    image, in_the_middle = lesion_and_shadow()
    alone = image.copy()
    alone[:2] = 0.1
    empty, full = np.full((8, 8), 1e-5, np.float32), np.full((8, 8), 0.999, np.float32)
    for images, expected in (
        ([alone], 1),
        ([empty], 0),
        ([full], 0),
        ([image, alone, empty, full], (6 / 16 + 1) / 4),
    ):
        score = look(GrayIsProbability(), *images, single_object=in_the_middle).score
        assert score.singleness == pytest.approx(expected)
    assert look(GrayIsProbability(), empty, single_object=in_the_middle).score.value == 0


def test_where_images_may_show_several_objects_their_number_is_no_matter() -> None:
    image, in_the_middle = lesion_and_shadow()
    plain, known = (
        look(GrayIsProbability(), image, single_object=keeper).score for keeper in (None, in_the_middle)
    )
    assert plain.singleness is None
    assert plain.value == pytest.approx((plain.confidence + plain.agreement) / 2)
    assert list(plain.measures) == ["confidence", "agreement", "foreground_fraction"]
    assert (plain.confidence, plain.agreement) == (known.confidence, known.agreement)


def test_masks_lie_on_the_frames_own_grid_whatever_the_working_scale() -> None:
    images = [np.zeros((24, 36), np.float32), np.zeros((31, 17), np.float32)]
    for image in images:
        image[4:12, 4:12] = 1
    for scale in (0.5, 1.0, 2.0):
        evidence = look(GrayIsProbability(), *images, preprocessing=AS_THEY_ARE.scaled(scale))
        for mask, image in zip(evidence.masks, images, strict=True):
            assert mask.dtype == torch.bool
            assert mask.shape == image.shape
            assert (mask.numpy() != (image > 0.5)).mean() < 0.03


def test_what_was_learned_is_noted() -> None:
    image = frame([0.9, 0.1])
    assert judge(GrayIsProbability(), [image], AS_THEY_ARE, CPU, learned=True).learned
    assert not look(GrayIsProbability(), image).learned


def test_laws() -> None:
    rng = np.random.default_rng(0)
    images = [rng.random((24, 36), np.float32) for _ in range(3)]
    plain = look(GrayIsProbability(), *images)
    assert plain.score.agreement == 1  # what decides pixel by pixel does not care about a turn
    for part in (*plain.score.measures.values(), plain.score.value):
        assert 0 <= part <= 1
    same = look(AdaptedSegmenter(GrayIsProbability(), nn.Identity()), *images)
    assert same.score == plain.score
    assert all(torch.equal(one, other) for one, other in zip(same.masks, plain.masks, strict=True))
    sharper = [image.round() for image in images]
    assert look(GrayIsProbability(), *sharper).score.confidence > plain.score.confidence


def test_no_gradient_is_kept() -> None:
    scale = nn.Parameter(torch.ones(()))
    segmenter = GrayIsProbability()
    segmenter.register_parameter("scale", scale)
    segmenter.register_forward_pre_hook(lambda _, images: images[0] * scale)
    assert not any(mask.requires_grad for mask in look(segmenter, frame([0.9, 0.1])).masks)
    assert scale.grad is None


def test_concord_is_the_lower_quartile_of_the_kappas_with_others() -> None:
    """Ten pixels each, of which some share five or two with the best, and one none."""
    best = found(0.9, masks=spots(10))
    others = [found(0.9, masks=spots(10, first)) for first in (5, 50, 8, 5, 5)]
    pairs = [
        cohen_kappa_score(best.masks[0].flatten().numpy(), one.masks[0].flatten().numpy()) for one in others
    ]
    assert concord(best, others) == pytest.approx(sorted(pairs)[1]) == pairs[2]
    assert concord(best, others[:1]) == pytest.approx(pairs[0])
    assert concord(best, []) == 1
    assert concord(found(0.9, masks=spots(0)), [found(0.9, masks=spots(0))]) == 1  # both see nothing


def test_large_masks_are_in_no_concord_for_being_large() -> None:
    one, other = (
        torch.rand(200, 200, generator=torch.Generator().manual_seed(seed)) < 0.7 for seed in (0, 1)
    )
    assert (
        abs(concord(found(0.9, masks=(one,)), [found(0.9, masks=(other,))])) < 0.02
    )  # their Dice coefficient is .7


def test_concord_is_a_mean_over_frames_and_ends_with_five_others() -> None:
    here, there = spots(10)[0], spots(10, 50)[0]
    apart = concord(found(0.9, masks=(here,)), [found(0.9, masks=(there,))])
    both = concord(found(0.9, masks=(here, here)), [found(0.9, masks=(here, there))])
    assert both == pytest.approx((1 + apart) / 2)
    assert N_IN_CONCORD == 5
    same, other = found(0.9), found(0.9, masks=spots(10, 50))
    assert concord(same, [same] * 4 + [other]) == 1  # one astray is outvoted
    assert concord(same, [same] * 3 + [other] * 2) == pytest.approx(apart)
    assert concord(same, [other] * 2 + [same] * 12) == pytest.approx(apart)  # five are asked


def test_the_area_is_that_of_the_object_with_the_median_pixel() -> None:
    """Specks hardly count, and all frames do."""
    frames = [np.zeros((30, 30), np.float32) for _ in range(3)]
    frames[0][2:8, 2:8] = frames[0][12:18, 2:8] = frames[1][4:10, 4:10] = 1  # three of 36
    frames[0][2::4, 20] = 1  # seven specks
    frames[1][15:22, 15:22] = 1  # one of 49
    assert look(GrayIsProbability(), *frames).object_area == 36
    doubled = look(GrayIsProbability(), *frames, preprocessing=AS_THEY_ARE.scaled(2.0))
    assert doubled.object_area == pytest.approx(4 * 36, rel=0.2)  # as the segmenter sees it
    assert math.isnan(look(GrayIsProbability(), frames[2]).object_area)


def test_the_support_by_edges_is_a_mean_over_frames_as_they_are_to_be_shown() -> None:
    rng = np.random.default_rng(0)
    images = [rng.random((24, 36), np.float32), np.zeros((31, 17), np.float32)]
    images[1][8:20, 4:12] = 1
    shown = AS_THEY_ARE.scaled(2.0)
    plain = look(GrayIsProbability(), *images)
    assert math.isnan(plain.edge_support)  # nobody looked
    frames = [shown.image_batch(image)[0] for image in images]
    sought = with_edges(plain, frames)
    expected = []
    for frame, mask in zip(frames, plain.masks, strict=True):
        drawn = resize(mask[None, None].float(), (frame.shape[1], frame.shape[2]))[0, 0] > 0.5
        expected.append(edge_support(frame.numpy(), drawn.numpy()))
    assert sought.edge_support == pytest.approx(np.mean(expected))
    assert expected[1] > 1
    empty = np.full((8, 8), 1e-5, np.float32)
    blank = shown.image_batch(empty)[0]
    with_empty = with_edges(look(GrayIsProbability(), *images, empty), [*frames, blank])
    assert with_empty.edge_support == sought.edge_support  # a frame without contours says nothing
    assert with_edges(look(GrayIsProbability(), empty), [blank]).edge_support == 0


def test_photographs_are_judged_on_their_own_grid() -> None:
    image = np.zeros((6, 8, 3), np.uint8)
    image[1:4, 2:6] = 255

    class FirstChannel(GrayIsProbability):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            assert images.shape == (1, 3, 6, 8) or images.shape == (1, 3, 8, 6)
            return super().forward(images[:, :1])

    found = judge(FirstChannel(), [image], AS_THEY_ARE, CPU)
    assert found.score.foreground_fraction == pytest.approx(0.25)
    assert torch.equal(found.masks[0], torch.from_numpy(image[..., 0] > 0))
