"""What is planned, why, and what is left alone where there is no telling."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from biostyle.matching.chain import MatchingChain
from biostyle.matching.fingerprint import DomainFingerprint
from biostyle.matching.plan import Plan, PlanOverrides, Reason, plan_matching

A = DomainFingerprint(
    n_frames=4, shapes=((520, 696),), dtypes=("uint8",), minimum=26, maximum=185, pedestal=0.16,
    saturated_low=0, saturated_high=0, contrast=0.5, background_level=0.32, skewness=3.8,
    polarity="bright objects", polarity_from_image="bright objects", noise=0.006, sharpness=0.15,
    detail_px=15, object_cue="texture", object_diameter_px=65, image_diameter_px=70,
    image_diameter_range_px=(59, 83), foreground_fraction=0.07, foreground_source="masks",
)  # fmt: skip


def b(**changes: Any) -> DomainFingerprint:
    """A domain like A, without masks, but for some numbers."""
    unmasked = {"object_diameter_px": None, "foreground_fraction": None, "foreground_source": None}
    return A.model_copy(update=unmasked | changes)


def reason(plan: Plan, about: str) -> Reason:
    """The reason for one decision."""
    return next(reason for reason in plan.reasons if reason.about == about)


def test_more_of_a_needs_nothing() -> None:
    plan = plan_matching(A, b())
    assert plan.working_scale_factor == 1
    assert plan.steps == ()


def test_sizes_found_in_the_same_way_are_compared() -> None:
    plan = plan_matching(A, b(image_diameter_px=126, detail_px=15))
    assert plan.working_scale_factor == pytest.approx(70 / 126)
    said = reason(plan, "object size")
    assert said.text == (
        "B's objects are 1.8x larger (126 px against 70 px, estimated without masks): rescale by 0.56."
    )
    assert said.confidence == "weak"
    masked = plan_matching(A, b(object_diameter_px=26, image_diameter_px=99))
    assert masked.working_scale_factor == 2.5
    assert reason(masked, "object size").confidence == "good"


def test_an_unclear_size_is_left_alone_and_said() -> None:
    plan = plan_matching(A, b(image_diameter_px=None, image_diameter_range_px=(27, 166)))
    assert plan.working_scale_factor == 1
    assert "27 to 166 px" in reason(plan, "object size").text
    assert reason(plan, "object size").confidence == "cannot tell"


def test_one_given_diameter_is_compared_with_the_masks() -> None:
    unclear = b(image_diameter_px=None)
    plan = plan_matching(A, unclear, PlanOverrides(object_diameter_b_px=130))
    assert plan.working_scale_factor == 0.5
    both = PlanOverrides(object_diameter_a_px=100, object_diameter_b_px=50)
    assert plan_matching(A, unclear, both).working_scale_factor == 2
    assert reason(plan_matching(A, unclear, both), "object size").confidence == "given"


def test_a_blurred_inverted_copy_is_inverted_and_its_blur_pointed_out() -> None:
    plan = plan_matching(
        A, b(polarity="dark objects", polarity_from_image="dark objects", detail_px=18, sharpness=0.015)
    )
    assert [step.kind for step in plan.steps] == ["polarity"]
    assert plan.working_scale_factor == 1
    assert "1.2x coarser (18 px against 15 px" in reason(plan, "detail").text
    assert "by a further 0.83" in reason(plan, "detail").text


def test_a_polarity_that_cannot_be_told_is_kept() -> None:
    plan = plan_matching(A, b(polarity_from_image="mixed"))
    assert plan.steps == ()
    assert reason(plan, "polarity").confidence == "cannot tell"
    forced = plan_matching(A, b(polarity_from_image="mixed"), PlanOverrides(polarity="inverted"))
    assert [step.kind for step in forced.steps] == ["polarity"]
    kept = plan_matching(A, b(polarity_from_image="dark objects"), PlanOverrides(polarity="same"))
    assert kept.steps == ()


def test_a_dark_background_is_pointed_out() -> None:
    plan = plan_matching(A, b(background_level=0.03))
    assert plan.steps == ()
    assert "at 0.03 of its range" in reason(plan, "tone").text
    assert reason(plan, "tone").confidence == "cannot tell"


@pytest.mark.parametrize("tone", ["square_root", "logarithm"])
def test_a_given_tone_is_taken(tone: str) -> None:
    plan = plan_matching(A, b(), PlanOverrides.model_validate({"tone": tone}))
    assert [step.model_dump(exclude_none=True) for step in plan.steps] == [{"kind": "tone", "name": tone}]
    assert plan_matching(A, b(), PlanOverrides(tone="linear")).steps == ()


def test_a_background_is_wider_than_an_object_at_the_working_scale() -> None:
    overrides = PlanOverrides(tone="background", object_diameter_a_px=30, object_diameter_b_px=60)
    plan = plan_matching(A, b(detail_px=15), overrides, working_scale_a=0.5)
    assert plan.working_scale_factor == 0.5
    assert [step.model_dump()["sigma_px"] for step in plan.steps] == [1.5 * 60 * 0.5 * 0.5]


def test_noise_counts_after_rescaling() -> None:
    assert "6.0x A's" in reason(plan_matching(A, b(noise=0.036)), "noise").text
    shrunk = plan_matching(A, b(noise=0.036, image_diameter_px=280, detail_px=60))
    for plan in (shrunk, plan_matching(A.model_copy(update={"noise": 0.0}), b(noise=0.5))):
        assert "noise" not in {said.about for said in plan.reasons}


def test_a_plan_survives_json_and_makes_a_chain() -> None:
    plan = plan_matching(A, b(polarity_from_image="dark objects"), PlanOverrides(tone="square_root"))
    assert Plan.model_validate_json(plan.model_dump_json()) == plan
    assert [step.kind for step in MatchingChain(plan.steps).steps] == ["tone", "polarity"]


def test_overrides_are_checked() -> None:
    with pytest.raises(ValidationError, match="-4"):
        PlanOverrides(object_diameter_b_px=-4)
