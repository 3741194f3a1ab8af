from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from biostyle.artifacts import BuildOptions
from biostyle.stages.choose_stylizer import assess, choose, choose_stylizer, read_choice
from biostyle.stages.judge_photographs import judge_photographs
from biostyle.stages.stylize_photographs import stylize_photographs
from tests.fundus import FundusRun

FINE = {
    "score": 0.4,
    "clean_unchanged": 1.0,
    "clean_vessels_kept": 1.0,
    "grade_falls": False,
    "grade_shift": 0.0,
}


def table(**columns: Any) -> pd.DataFrame:
    standard = {"patient": list("abcd"), "p_good": 0.2, "quality": 1, "grade": 2, "vessels_kept": 1.0}
    return pd.DataFrame(standard | columns)


def test_what_is_measured() -> None:
    measured = assess(
        table(),
        table(p_good=0.8, grade=[1, 1, 1, 1], vessels_kept=0.8),
        table(quality=0),
        table(quality=[0, 0, 0, 1], vessels_kept=0.97),
    )
    assert measured["quality_gain"] == pytest.approx(0.6)
    assert measured["score"] == pytest.approx(0.5)
    assert (measured["grade_shift"], measured["grade_falls"]) == (-1, True)
    assert (measured["clean_unchanged"], measured["clean_vessels_kept"]) == (0.75, pytest.approx(0.97))


def test_the_simplest_of_equals_is_taken() -> None:
    chosen, verdict, reason = choose({"matching": FINE | {"score": 0.39}, "agnostic": FINE})
    assert (chosen, verdict) == ("matching", "adopt")
    assert "gains 0.390" in reason


def test_what_gains_nothing_is_not_adopted() -> None:
    chosen, verdict, reason = choose({"matching": FINE | {"score": 0.03}})
    assert (chosen, verdict) == ("before", "don't adapt")
    assert reason.endswith("the best gains 0.030")
    assert choose({})[1] == "don't adapt"


def test_who_ruins_good_photographs_is_not_trusted_with_poor_ones() -> None:
    ruins = FINE | {"score": 0.9, "clean_vessels_kept": 0.89}
    assert choose({"matching": FINE, "agnostic": ruins})[0] == "matching"
    chosen, verdict, reason = choose({"agnostic": ruins})
    assert (chosen, verdict) == ("before", "don't adapt")
    assert "keeps 90% of good photographs' vessels" in reason


@pytest.mark.parametrize(
    ("spoiled", "said"),
    [
        ({"clean_unchanged": 0.9}, "90% keep their quality"),
        ({"clean_vessels_kept": 0.93}, "93.0% of their vessels"),
        ({"grade_falls": True, "grade_shift": -0.5}, "apparent grade falls by 0.50"),
    ],
)
def test_what_does_harm_is_adopted_with_care(spoiled: dict[str, Any], said: str) -> None:
    chosen, verdict, reason = choose({"agnostic": FINE | spoiled})
    assert (chosen, verdict) == ("agnostic", "adopt with care")
    assert said in reason


def test_the_stage_looks_at_the_validation_part_alone(fundus_run: FundusRun, tmp_path: Path) -> None:
    options = BuildOptions()

    def judge(prepared: Path, translated: Path | None, name: str) -> Path:
        return judge_photographs(
            prepared, fundus_run.clean, tmp_path / name, translated=translated, quality=fundus_run.quality,
            grader=fundus_run.grader, segmenter=fundus_run.segmenter, device="cpu", options=options,
        )  # fmt: skip

    same = stylize_photographs(fundus_run.mixed, (), tmp_path / "same", device="cpu", options=options)
    before, after = judge(fundus_run.mixed, None, "before"), judge(fundus_run.mixed, same, "after")
    clean = judge(fundus_run.clean, None, "clean")
    out = choose_stylizer(
        before, {"same": after}, clean, {"same": clean}, tmp_path / "choice", options=options
    )
    choice = read_choice(out)
    assert (choice["chosen"], choice["verdict"], choice["order"]) == ("before", "don't adapt", ["same"])
    measured = choice["candidates"]["same"]
    assert (measured["score"], measured["grade_shift"], measured["clean_unchanged"]) == (0, 0, 1)
