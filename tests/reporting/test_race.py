from __future__ import annotations

import pytest

from biostyle.reporting.race import gap_closed, summarise_race

CHOICE = {
    "chosen": "matching",
    "verdict": "adopt",
    "reason": "It rises.",
    "n_frames": 4,
    "candidates": {
        "before": {"label_free": 0.4, "agreement": 0.3},
        "matching": {"label_free": 0.9, "agreement": 0.8},
        "cyclegan@200": {"label_free": 0.7, "agreement": 0.6},
    },
    "left_out": {"cyclegan_sa": "S_A is not differentiable."},
}
SCORES = {"before": {"f_score": 0.25}, "matching": {"f_score": 0.5}, "retrain": {"f_score": 0.75}}


def test_every_candidate_has_its_regret() -> None:
    race = summarise_race(CHOICE, SCORES)
    assert (race["oracle"], race["regret"]) == ("retrain", 0.25)
    assert {name: row["regret"] for name, row in race["candidates"].items()} == {
        "before": 0.5, "matching": 0.25, "retrain": 0.0, "cyclegan@200": None,
    }  # fmt: skip
    assert race["left_out"] == CHOICE["left_out"]


def test_measures_stand_beside_the_score_they_make() -> None:
    candidates = summarise_race(CHOICE, SCORES)["candidates"]
    assert candidates["matching"] == {
        "f_score": 0.5, "label_free": 0.9, "label_free_measures": {"agreement": 0.8}, "regret": 0.25,
    }  # fmt: skip
    assert candidates["cyclegan@200"]["f_score"] is None
    assert candidates["retrain"] == {
        "f_score": 0.75,
        "label_free": None,
        "label_free_measures": {},
        "regret": 0.0,
    }
    assert CHOICE["candidates"]["matching"]["label_free"] == 0.9  # type: ignore[index]


def test_without_scores_there_is_neither_oracle_nor_regret() -> None:
    race = summarise_race(CHOICE, {name: {"f_score": None} for name in SCORES})
    assert race["oracle"] is race["regret"] is None
    assert race["chosen"] == "matching"


def test_a_chosen_candidate_that_was_not_scored_has_no_regret() -> None:
    race = summarise_race(CHOICE, {"before": {"f_score": 0.25}})
    assert (race["oracle"], race["regret"]) == ("before", None)


@pytest.mark.parametrize(
    ("before", "chosen", "ceiling", "expected"),
    [
        (0.5, 0.75, 1.0, 0.5),
        (0.5, 0.25, 1.0, -0.5),
        (0.5, 1.0, 0.75, 2.0),
        (0.75, 0.75, 0.75, None),
        (0.75, 0.8, 0.5, None),
        (None, 0.8, 0.5, None),
        (0.5, None, 0.75, None),
        (0.5, 0.6, None, None),
    ],
)
def test_gap_closed(
    before: float | None, chosen: float | None, ceiling: float | None, expected: float | None
) -> None:
    assert gap_closed(before, chosen, ceiling) == expected
