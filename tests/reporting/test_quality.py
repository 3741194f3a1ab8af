from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from biostyle.reporting.quality import (
    Judged,
    JudgedDomain,
    QualityPanel,
    QualityReport,
    judged_frame,
    summarise_quality,
    warnings,
)

N = 12
PROBS = np.random.default_rng(0).dirichlet([1, 1, 1], N)
FEATURES = np.random.default_rng(1).normal(size=(N, 5))
SQUARE = np.random.default_rng(2).integers(0, 256, (40, 40, 3), dtype=np.uint8)


def judged(shift: float = 0.0, **columns: Any) -> Judged:
    standard = {
        "frame_id": [f"f{index}" for index in range(N)],
        "original": [f"f{index}" for index in range(N)],
        "patient": [f"p{index}" for index in range(N)],
        "true_grade": [index % 5 for index in range(N)],
        "grade": [index % 5 for index in range(N)],
        "quality": [1, 2] * (N // 2),
        "tp": 10.0,
        "fp": 2.0,
        "fn": 2.0,
        "vessels_kept": 1.0,
        "psnr_db": 20.0,
        "ssim": 0.8,
    }
    probs = dict(zip(("p_good", "p_usable", "p_reject"), PROBS.T, strict=True))
    return Judged(pd.DataFrame({**standard, **probs, **columns}), FEATURES + shift)


GOOD = judged(quality=0, fp=0.0)
BETTER = judged(0.5, quality=[0, 1] * (N // 2), fp=1.0, psnr_db=24.0)
CHOICE = {
    "chosen": "agnostic",
    "verdict": "adopt",
    "reason": "it gains",
    "candidates": {"agnostic": {"score": 0.3}},
}
DOMAIN = JudgedDomain(
    "mixed",
    "All defects",
    judged(2.0),
    {"agnostic": BETTER},
    GOOD,
    {"agnostic": GOOD.table.assign(quality=[0] * 9 + [1] * 3, fp=2.0)},
    CHOICE,
    [QualityPanel("f0", SQUARE, 255 - SQUARE, SQUARE[..., 0] > 99, SQUARE[..., 0] > 120)],
)
CLASSIFIER = {
    "macro_f": {"value": 0.9, "ci95": [0.8, 0.95]},
    "confusion": [[9, 1, 0], [1, 9, 0], [0, 0, 10]],
    "noise_floor": 0.1,
    "calibration_error": 0.05,
}
GRADER = {"kappa": {"value": 0.6, "ci95": [0.4, 0.7], "n": 20}, "confusion": np.eye(5, dtype=int).tolist()}
REPORT = QualityReport(
    title="A report & more",
    pipeline="fundus",
    domains=[DOMAIN],
    classifier=CLASSIFIER,
    grader=GRADER,
    settings={"seed": 0},
    versions={"biostyle": "0"},
    fingerprints={"mixed": "abc"},
    command="biostyle run fundus",
    machine="a machine",
    created="2026-01-01",
)


def test_the_summary_speaks_of_the_chosen_candidate() -> None:
    summary = summarise_quality(REPORT)
    assert (summary["chosen"], summary["verdict"]) == ("agnostic", "adopt")
    assert summary["quality"]["before"] == {"good": 0, "usable": 0.5, "reject": 0.5}
    assert summary["quality"]["after"] == {"good": 0.5, "usable": 0.5, "reject": 0}
    assert summary["quality"]["net_shift_to_good"]["value"] == pytest.approx(0.4)
    assert summary["grading"] == {"kappa_before": 1, "kappa_after": 1, "mean_grade_shift": 0}
    assert summary["vessels"]["f_after"] == pytest.approx(20 / 23)
    candidate = summary["domains"]["mixed"]["candidates"]["agnostic"]
    assert candidate["likeness"]["psnr_db_after"] == 24
    assert candidate["distances"]["kid_after"]["value"] < candidate["distances"]["kid_before"]["value"]
    assert candidate["clean"] == {"n": N, "unchanged": 0.75, "f_loss": pytest.approx(20 / 22 - 20 / 24)}
    assert candidate["warnings"] == [
        "Good photographs do not stay as they are: 75.0% keep their quality, and the F-score of their vessels falls by "
        "0.076. Translate only what is not good."
    ]


def test_what_was_not_chosen_is_reported_as_it_is() -> None:
    kept = replace(DOMAIN, choice={**CHOICE, "chosen": "before", "verdict": "don't adapt"})
    summary = summarise_quality(replace(REPORT, domains=[kept]))
    assert summary["quality"]["before"] == summary["quality"]["after"]
    assert list(summary["domains"]["mixed"]["candidates"]) == ["before", "agnostic"]


def test_quality_alone_is_enough() -> None:
    columns = ["frame_id", "patient", "quality", "p_good", "p_usable", "p_reject"]
    bare = [Judged(part.table[columns], part.features) for part in (judged(), BETTER)]
    domain = JudgedDomain("photographs", "a → b", bare[0], {"after": bare[1]})
    summary = summarise_quality(replace(REPORT, domains=[domain], grader=None))
    assert (summary["chosen"], summary["verdict"], summary["grading"]) == ("after", None, None)
    assert list(summary["domains"]["photographs"]["candidates"]["after"]["quality"]["by_grade"]) == [
        "unknown"
    ]


def test_how_sure_a_fall_of_kappa_is() -> None:
    def said(*ci95: float | None) -> list[str]:
        grading = {
            "mean_grade_shift": {"falls": False, "value": 0.0},
            "kappa_difference": {"value": -0.1, "ci95": list(ci95)},
        }
        return warnings({"grading": grading, "vessels": None, "clean": None})

    interval = "95\N{NO-BREAK SPACE}% interval of the change"
    assert said(-0.2, -0.05) == [
        f"Kappa of the grades falls by 0.100 ({interval} \N{MINUS SIGN}0.200 to \N{MINUS SIGN}0.050)."
    ]
    assert said(-0.2, 0.05) == [
        f"Kappa of the grades falls by 0.100 ({interval} \N{MINUS SIGN}0.200 to +0.050, too wide to be sure)."
    ]
    assert said(None, None) == ["Kappa of the grades falls by 0.100."]


def test_the_classifier_is_compared_with_what_is_known_of_the_quality() -> None:
    rated = replace(DOMAIN, before=judged(2.0, true_quality=[1, None] * (N // 2)))
    report = replace(REPORT, domains=[rated])
    assert summarise_quality(report)["domains"]["mixed"]["agreement"]["value"] == 1
    assert summarise_quality(REPORT)["domains"]["mixed"]["agreement"] is None


@pytest.mark.parametrize(
    ("spoiled", "said"),
    [
        ({"grade": 0}, "The apparent grade falls by 1.75 on average: lesions are being hidden."),
        ({"grade": [4, 3, 2, 1] * 3}, "Kappa of the grades falls by 0.891 ("),
        ({"fp": 6.0}, "The F-score of the vessels falls by"),
    ],
)
def test_what_is_destroyed_is_said(spoiled: dict[str, Any], said: str) -> None:
    domain = replace(DOMAIN, candidates={"agnostic": judged(**spoiled)})
    summary = summarise_quality(replace(REPORT, domains=[domain]))
    found = warnings(summary["domains"]["mixed"]["candidates"]["agnostic"])
    assert any(sentence.startswith(said) for sentence in found)


def test_every_judged_photograph_has_its_row() -> None:
    frame = judged_frame(REPORT)
    assert list(frame.columns[:2]) == ["domain", "candidate"]
    assert frame["candidate"].value_counts().to_dict() == {"before": N, "agnostic": N}
