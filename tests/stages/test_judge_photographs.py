from pathlib import Path

import numpy as np
import pytest

from biostyle.artifacts import BuildOptions
from biostyle.data.prepared import load_prepared
from biostyle.stages.judge_photographs import judge_photographs, read_judged
from biostyle.stages.stylize_photographs import stylize_photographs, unseen
from tests.fundus import FundusRun


def judge(run: FundusRun, prepared: Path, out: Path, translated: Path | None = None) -> Path:
    return judge_photographs(
        prepared, run.clean, out, translated=translated, quality=run.quality, grader=run.grader,
        segmenter=run.segmenter, device="cpu", options=BuildOptions(),
    )  # fmt: skip


def test_every_photograph_has_its_row(fundus_run: FundusRun, tmp_path: Path) -> None:
    table, features = read_judged(judge(fundus_run, fundus_run.mixed, tmp_path / "out"))
    frames = unseen(load_prepared(fundus_run.mixed))
    assert list(table["frame_id"]) == [frame.frame_id for frame in frames]
    assert features.shape == (len(frames), 192)
    probs = table[["p_good", "p_usable", "p_reject"]].to_numpy()
    np.testing.assert_allclose(probs.sum(axis=1), 1, atol=1e-6)
    np.testing.assert_array_equal(probs.argmax(axis=1), table["quality"])
    assert set(table["true_quality"]) == {1, 2}
    traced = table["frame_id"].str.startswith("drive")
    np.testing.assert_array_equal(table["tp"].notna(), traced)
    np.testing.assert_array_equal(table["true_grade"].notna(), ~traced)
    assert table["vessels_kept"].to_numpy() == pytest.approx(1)
    assert (table["psnr_db"] < 60).all()


def test_an_original_is_like_itself(fundus_run: FundusRun, tmp_path: Path) -> None:
    table, _ = read_judged(judge(fundus_run, fundus_run.clean, tmp_path / "out"))
    assert (table["psnr_db"] == 100).all()
    assert table["ssim"].to_numpy() == pytest.approx(1)
    assert table["true_quality"].isna().all()


def test_an_identical_translation_changes_nothing(fundus_run: FundusRun, tmp_path: Path) -> None:
    same = stylize_photographs(fundus_run.mixed, (), tmp_path / "same", device="cpu", options=BuildOptions())
    before = judge(fundus_run, fundus_run.mixed, tmp_path / "before")
    after = judge(fundus_run, fundus_run.mixed, tmp_path / "after", same)
    assert (before / "judged.csv").read_bytes() == (after / "judged.csv").read_bytes()
    assert (before / "features.npy").read_bytes() == (after / "features.npy").read_bytes()


def test_a_translation_is_judged_in_place_of_the_photograph(fundus_run: FundusRun, tmp_path: Path) -> None:
    out = stylize_photographs(
        fundus_run.mixed, (fundus_run.stylizer,), tmp_path / "gan", device="cpu", options=BuildOptions()
    )
    before, _ = read_judged(judge(fundus_run, fundus_run.mixed, tmp_path / "before"))
    after, _ = read_judged(judge(fundus_run, fundus_run.mixed, tmp_path / "after", out))
    assert list(before["frame_id"]) == list(after["frame_id"])
    assert (after["vessels_kept"] < 1).any()
    assert (before["psnr_db"] != after["psnr_db"]).any()
