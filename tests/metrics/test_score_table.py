"""The table derives from the counts, the summary is JSON, the baselines are what they say."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from biostyle.errors import MaskError
from biostyle.metrics.overlap import PixelCounts, f_score, mean_score, pooled_score
from biostyle.metrics.score_table import (
    baseline_counts,
    counts_of,
    dependence,
    read_score_table,
    score_table,
    summarise,
)

COUNTS = [PixelCounts(90, 10, 10, 0), PixelCounts(30, 20, 10, 50), PixelCounts(0, 0, 0, 110)]
TABLE = score_table(["01_t000", "01_t001", "02_t000"], COUNTS)


def test_columns_and_values() -> None:
    assert [*TABLE] == ["image_id", "tp", "fp", "fn", "tn", "precision", "recall", "f_score", "jaccard"]
    assert TABLE.loc[1, ["precision", "recall"]].tolist() == [0.6, 0.75]
    assert TABLE["f_score"].isna().tolist() == [False, False, True]


def test_ids_and_counts_must_match_in_number() -> None:
    with pytest.raises(ValueError, match="argument 2 is shorter"):
        score_table(["a", "b"], COUNTS[:1])


def test_summary_agrees_with_the_two_named_functions() -> None:
    summary = summarise(TABLE)
    assert summary["f_score"] == pytest.approx(mean_score(COUNTS, f_score))
    assert summary["pooled"]["f_score"] == pytest.approx(pooled_score(COUNTS, f_score))
    assert summary["ci95"][0] <= summary["f_score"] <= summary["ci95"][1]
    assert (summary["n_scored"], summary["n_undefined"]) == (3, 1)
    assert [*summary] == [
        "precision",
        "recall",
        "f_score",
        "jaccard",
        "ci95",
        "pooled",
        "n_scored",
        "n_undefined",
    ]


@pytest.mark.parametrize("table", [score_table([], []), TABLE[2:]])
def test_undefined_is_null_in_json(table: object) -> None:
    summary = json.loads(json.dumps(summarise(table), allow_nan=False))  # type: ignore[arg-type]
    assert summary["f_score"] is summary["pooled"]["jaccard"] is summary["ci95"][0] is None


def test_summary_survives_csv(tmp_path: object) -> None:
    import io

    import pandas as pd

    assert summarise(pd.read_csv(io.StringIO(TABLE.to_csv(index=False)))) == summarise(TABLE)


def test_names_that_look_like_something_else_survive_csv(tmp_path: Path) -> None:
    table = score_table(["007", "NA", "1e3"], COUNTS, groups=["NA", "01", "1"])
    table.to_csv(tmp_path / "table.csv", index=False)
    read = read_score_table(tmp_path / "table.csv")
    pd.testing.assert_frame_equal(read, table, check_dtype=False)
    assert summarise(read) == summarise(table)


def test_trivial_baselines() -> None:
    target = np.zeros((10, 10), np.uint8)
    target[:2] = 1
    target[9] = 255
    counts = baseline_counts(target)
    assert counts == {
        "all_foreground": PixelCounts(20, 70, 0, 0),
        "all_background": PixelCounts(0, 0, 20, 70),
    }


def test_otsu_takes_the_brighter_side() -> None:
    target = np.zeros((20, 20), np.uint8)
    target[5:10, 5:10] = 1
    image = (33_000 + 500 * (target > 0) + np.random.default_rng(0).integers(0, 50, target.shape)).astype(
        np.uint16
    )
    assert f_score(baseline_counts(target, image)["otsu"]) == 1
    assert f_score(baseline_counts(target, image.max() - image)["otsu"]) == 0


def test_an_image_of_another_size_is_refused() -> None:
    with pytest.raises(MaskError, match=r"\(3, 3\), got \(4, 4\)"):
        baseline_counts(np.eye(3, dtype=bool), np.eye(4))


def test_otsu_takes_the_darker_side_of_photographs() -> None:
    target = np.zeros((20, 20), np.uint8)
    target[5:10, 5:10] = 1
    photograph = np.random.default_rng(0).integers(180, 200, (20, 20, 3), dtype=np.uint8)
    photograph[target > 0] //= 2
    assert f_score(baseline_counts(target, photograph)["otsu"]) == 1


def test_groups_are_kept_in_csv_and_drawn_whole(tmp_path: Path) -> None:
    table = score_table(["a_1", "b_1", "c_1"], COUNTS, ["01", "1", "1"])
    table.to_csv(tmp_path / "scores.csv", index=False)
    again = read_score_table(tmp_path / "scores.csv")
    pd.testing.assert_frame_equal(again, table)
    assert dependence(again, 5) == {"groups": ["01", "1", "1"], "block_length": None}
    assert dependence(TABLE, 5) == {"groups": ["01", "01", "02"], "block_length": 5}
    assert counts_of(again) == COUNTS
    low, high = summarise(table)["ci95"]
    assert (low, high) == pytest.approx((f_score(COUNTS[1]), f_score(COUNTS[0])))
