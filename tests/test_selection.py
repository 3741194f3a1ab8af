"""The label-free score by hand, and the choice it leads to."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from biostyle.adaptation import AdaptedSegmenter
from biostyle.selection import (
    IDENTITY,
    LARGEST_FRACTION,
    MARGIN,
    SMALLEST_FRACTION,
    SURE,
    TRUSTED,
    LabelFreeScore,
    best_candidate,
    choose,
    label_free_score,
)


class GrayIsProbability(nn.Module):
    """A Segmenter whose probability of foreground is the gray value itself."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        probs = images.clamp(1e-6, 1 - 1e-6)
        return torch.cat([torch.zeros_like(probs), torch.logit(probs)], dim=1)


class LeftColumnOnly(GrayIsProbability):
    """The same, but nothing is ever found outside the first column: it depends on where things are."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        logits = super().forward(images)
        logits[:, 1, :, 1:] = -20
        return logits


def batch(*rows: list[float]) -> torch.Tensor:
    return torch.tensor([[rows]])


def score(confidence: float, agreement: float | None = None, fraction: float = 0.1) -> LabelFreeScore:
    return LabelFreeScore(confidence, confidence if agreement is None else agreement, fraction)


def test_confidence_and_fraction_are_those_computed_by_hand() -> None:
    found = label_free_score(GrayIsProbability(), [batch([0.9, 0.1], [0.8, 0.2])])
    assert found.confidence == pytest.approx(2 * 1.7 / (2.0 + 2))  # 2 Σpm / (Σp + Σm)
    assert found.foreground_fraction == 0.5
    assert found.agreement == 1


def test_agreement_is_the_dice_of_the_mask_and_the_turned_mask() -> None:
    """Of the upper row it finds the left pixel; of the frame turned by 90°, both."""
    found = label_free_score(LeftColumnOnly(), [batch([0.9, 0.9], [0.1, 0.1])])
    assert found.foreground_fraction == 0.25
    assert found.agreement == pytest.approx(2 * 1 / (1 + 2))


def test_scores_are_means_over_batches_of_any_shape() -> None:
    wide, square = torch.tensor([[[[0.8] * 3 + [0.2] * 3] * 2]]), batch([0.9, 0.1], [0.8, 0.2])
    first, second, both = (
        label_free_score(GrayIsProbability(), found) for found in ([wide], [square], [wide, square])
    )
    assert both.confidence == pytest.approx((first.confidence + second.confidence) / 2)
    assert both.foreground_fraction == pytest.approx((0.5 + 0.5) / 2)


@pytest.mark.parametrize("gray", [1e-5, 0.999])
def test_an_empty_or_full_mask_scores_nothing_however_sure_it_is(gray: float) -> None:
    found = label_free_score(GrayIsProbability(), [torch.full((1, 1, 8, 8), gray)])
    assert (found.confidence, found.agreement, found.value) == (0, 0, 0)


@pytest.mark.parametrize(
    ("n_foreground", "counts"),
    [(0, False), (4, False), (6, True), (749, True), (751, False), (1000, False)],
)
def test_the_guard_holds_at_its_bounds(n_foreground: int, counts: bool) -> None:
    assert (SMALLEST_FRACTION, LARGEST_FRACTION) == (0.005, 0.75)
    images = torch.full((1000,), 0.1)
    images[:n_foreground] = 0.9
    assert (label_free_score(GrayIsProbability(), [images.view(1, 1, 20, 50)]).value > 0) == counts


def test_the_guard_looks_at_each_frame() -> None:
    """Full here and empty there is a sensible fraction on average, and still says nothing."""
    frames = [torch.full((1, 1, 8, 8), gray) for gray in (0.999, 1e-5)]
    found = label_free_score(GrayIsProbability(), frames)
    assert found.foreground_fraction == 0.5
    assert found.value == 0


def test_laws() -> None:
    generator = torch.Generator().manual_seed(0)
    batches = [torch.rand(1, 1, 24, 36, generator=generator) for _ in range(3)]
    plain = label_free_score(GrayIsProbability(), batches)
    assert plain.agreement == 1  # what decides pixel by pixel does not care about a turn
    for part in (plain.confidence, plain.agreement, plain.foreground_fraction, plain.value):
        assert 0 <= part <= 1
    assert label_free_score(AdaptedSegmenter(GrayIsProbability(), nn.Identity()), batches) == plain
    sharper = [images.round() for images in batches]
    assert label_free_score(GrayIsProbability(), sharper).confidence > plain.confidence


def test_no_gradient_is_kept() -> None:
    images = torch.rand(1, 1, 8, 8, requires_grad=True)
    label_free_score(GrayIsProbability(), [images])
    assert images.grad is None


def test_a_clear_winner_is_adopted_and_the_reason_holds_the_numbers() -> None:
    choice = choose({IDENTITY: score(0.6), "matching": score(0.97, 0.93), "cyclegan": score(0.8)})
    assert (choice.chosen, choice.verdict) == ("matching", "adopt")
    assert "rises from 0.600 to 0.950 with matching" in choice.reason
    assert "confidence 0.970, agreement under rotation 0.930" in choice.reason


@pytest.mark.parametrize(
    ("gain", "chosen"), [(-0.1, IDENTITY), (0.9 * MARGIN, IDENTITY), (3 * MARGIN, "matching")]
)
def test_the_unchanged_frames_win_ties(gain: float, chosen: str) -> None:
    choice = choose({IDENTITY: score(0.95), "matching": score(0.95 + gain)})
    assert choice.chosen == chosen
    assert (choice.verdict == "don't adapt") == (chosen == IDENTITY)
    if chosen == IDENTITY:
        assert f"({0.95 + gain:.3f} at most) beats the unchanged frames' (0.950)" in choice.reason


def test_among_equals_the_simpler_one_is_taken() -> None:
    scores = {IDENTITY: score(0.5), "matching": score(0.95), "cyclegan": score(0.955)}
    assert choose(scores).chosen == "matching"
    assert choose(dict(reversed(scores.items()))).chosen == "cyclegan"


def test_a_tie_is_a_matter_of_the_margin() -> None:
    for difference, expected in ((0.9 * MARGIN, 1), (1.1 * MARGIN, 2)):
        assert best_candidate({1: score(0.9), 2: score(0.9 + difference), 3: score(0.0)}) == expected
    with pytest.raises(ValueError, match="empty"):
        best_candidate({})


@pytest.mark.parametrize(
    ("before", "after"), [(0.5, SURE - 0.01), (0.96, 0.96 + 1.5 * MARGIN)], ids=["not sure", "hardly better"]
)
def test_a_weak_winner_is_adopted_with_care(before: float, after: float) -> None:
    choice = choose({IDENTITY: score(before), "matching": score(after)})
    assert (choice.chosen, choice.verdict) == ("matching", "adopt with care")


def test_nothing_is_adopted_that_the_segmenter_does_not_trust() -> None:
    choice = choose({IDENTITY: score(0.4), "matching": score(TRUSTED - 0.01)})
    assert (choice.chosen, choice.verdict) == (IDENTITY, "don't adapt")
    assert "The best label-free score, 0.910 by matching, is below 0.92" in choice.reason
    assert choose({IDENTITY: score(0.97)}).verdict == "don't adapt"
