import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from biostyle.data.degradation import DEFECTS, degrade, draw_degradation
from biostyle.data.enhancement import EnhancementSettings
from biostyle.data.field_of_view import find_field_of_view
from biostyle.data.sources.simulated_fundus import simulate_retina
from biostyle.errors import CheckpointError, OutputError
from biostyle.io.photographs import read_photograph
from biostyle.progress import SilentProgress
from biostyle.stages.enhance_files import TABLE, enhance_files
from tests.fundus import FundusRun

MATCHING = EnhancementSettings()


@pytest.fixture
def photographs(tmp_path: Path) -> Path:
    """Two retinas, one of them degraded."""
    folder = tmp_path / "photographs"
    folder.mkdir()
    for index, quality in enumerate(("good", "reject")):
        photograph = simulate_retina(index, shape=(80, 100)).photograph
        inside = find_field_of_view(photograph).inside()
        spoiled, _ = degrade(photograph / np.float32(255), inside, draw_degradation(quality, index, DEFECTS))  # type: ignore[arg-type]
        Image.fromarray(np.rint(spoiled * 255).astype(np.uint8)).save(folder / f"{index}.png")
    return folder


def run(photographs: Path, out: Path, made: FundusRun, **more: Any) -> pd.DataFrame:
    options: dict[str, Any] = {"device": "cpu", "progress": SilentProgress()} | more
    return enhance_files(photographs, out, options.pop("steps", (MATCHING,)), made.quality, **options)


def test_photographs_keep_their_size_and_what_is_dark(
    fundus_run: FundusRun, photographs: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    table = run(photographs, out, fundus_run, good_too=True)
    assert list(table["written"]) == ["0.tif", "1.tif"]
    for index in range(2):
        before, after = read_photograph(photographs / f"{index}.png"), read_photograph(out / f"{index}.tif")
        inside = find_field_of_view(before).inside()
        assert after.shape == before.shape
        np.testing.assert_array_equal(after[~inside], before[~inside])
        assert (after[inside] != before[inside]).any()
    pd.testing.assert_frame_equal(pd.read_csv(out / TABLE), table, check_dtype=False)


def test_good_photographs_are_copied(
    fundus_run: FundusRun, photographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def rate(classifier: Any, square: np.ndarray) -> np.ndarray:
        return np.array([1.0, 0, 0])

    monkeypatch.setattr("biostyle.inference.quality.QualityClassifier.rate", rate)
    table = run(photographs, tmp_path / "out", fundus_run)
    assert list(table["written"]) == ["0.png", "1.png"]
    for name in table["written"]:
        assert (tmp_path / "out" / name).read_bytes() == (photographs / name).read_bytes()


def test_a_generator_translates_as_well(fundus_run: FundusRun, photographs: Path, tmp_path: Path) -> None:
    table = run(photographs, tmp_path / "out", fundus_run, steps=(fundus_run.stylizer,), good_too=True)
    assert table["p_good_after"].notna().all()


def test_what_cannot_be_read_stops_nobody_else(
    fundus_run: FundusRun, photographs: Path, tmp_path: Path
) -> None:
    (photographs / "2.png").write_bytes(b"no image")
    table = run(photographs, tmp_path / "out", fundus_run)
    assert "2.png" in table["problem"][2]
    assert table["written"].notna().tolist() == [True, True, False]


@pytest.mark.parametrize("place", [".", "inside", ".."])
def test_results_go_elsewhere(fundus_run: FundusRun, photographs: Path, place: str) -> None:
    with pytest.raises(
        OutputError, match=re.escape(f"apart from the photographs, got {photographs / place}")
    ):
        run(photographs, photographs / place, fundus_run)


def test_older_results_are_kept(fundus_run: FundusRun, photographs: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "old.tif").touch()
    with pytest.raises(OutputError, match=r"empty or missing, got what is there \(.*out\)"):
        run(photographs, tmp_path / "out", fundus_run)


def test_a_candidate_must_hold_a_generator(fundus_run: FundusRun, photographs: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="gen_ba"):
        run(photographs, tmp_path / "out", fundus_run, steps=(fundus_run.quality,))
