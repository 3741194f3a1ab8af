import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from biostyle.artifacts import BuildOptions
from biostyle.data.sources.simulated_fundus import simulate_retina
from biostyle.errors import CheckpointError, ImageError, PairingError
from biostyle.progress import SilentProgress
from biostyle.stages.quality_files import compare_folders, rate_files
from tests.fundus import FundusRun


@pytest.fixture
def photographs(tmp_path: Path) -> Path:
    folder = tmp_path / "photographs"
    folder.mkdir()
    for index in range(3):
        Image.fromarray(simulate_retina(index, shape=(80, 100)).photograph).save(folder / f"{index}.png")
    return folder


def test_every_photograph_is_rated(fundus_run: FundusRun, photographs: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 6, (80, 100, 3), dtype=np.uint8)
    Image.fromarray(noise).save(photographs / "3.png")
    (photographs / "4.png").write_bytes(b"no image")
    table = rate_files(photographs, fundus_run.quality, device="cpu", progress=SilentProgress())
    assert list(table["image"]) == [f"{index}.png" for index in range(5)]
    assert table[["p_good", "p_usable", "p_reject"]][:3].sum(axis=1).to_numpy() == pytest.approx(1)
    assert table["problem"][:3].isna().all()
    assert list(table["quality"][3:]) == ["reject", "reject"]
    assert "fundus in a lit disc" in table["problem"][3]
    assert "4.png" in table["problem"][4]
    one = rate_files(photographs / "1.png", fundus_run.quality, device="cpu", progress=SilentProgress())
    assert one["p_good"][0] == pytest.approx(table["p_good"][1], abs=1e-5)


def test_folders_are_compared_by_name(fundus_run: FundusRun, photographs: Path, tmp_path: Path) -> None:
    after = tmp_path / "after"
    after.mkdir()
    for path in photographs.iterdir():
        Image.open(path).save(after / f"{path.stem}.bmp")
    out = compare_folders(
        photographs, after, fundus_run.quality, tmp_path / "report", device="cpu", command="c",
        options=BuildOptions(),
    )  # fmt: skip
    summary = json.loads((out / "summary.json").read_text())
    shift = np.array(summary["domains"]["photographs"]["candidates"]["after"]["quality"]["shift"])
    assert shift.sum() == np.trace(shift) == 3
    assert summary["quality"]["net_shift_to_good"]["noise_floor"] == summary["classifier"]["noise_floor"]


def test_a_photograph_without_partner_is_named(
    fundus_run: FundusRun, photographs: Path, tmp_path: Path
) -> None:
    (tmp_path / "after").mkdir()
    (tmp_path / "after" / "0.png").write_bytes((photographs / "0.png").read_bytes())
    with pytest.raises(PairingError, match=r"got 2 in one, first 1 \(.*photographs, .*after\)"):
        compare_folders(
            photographs, tmp_path / "after", fundus_run.quality, tmp_path / "out", device="cpu", command="c",
            options=BuildOptions(),
        )  # fmt: skip


@pytest.mark.parametrize("name", ["grader", "segmenter"])
def test_other_models_are_refused(fundus_run: FundusRun, photographs: Path, name: str) -> None:
    model = getattr(fundus_run, name)
    with pytest.raises(CheckpointError, match=rf"classifier of quality, got .* \({re.escape(str(model))}\)"):
        rate_files(photographs, model, device="cpu", progress=SilentProgress())


def test_an_empty_folder_is_refused(fundus_run: FundusRun, tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=rf"got none \({re.escape(str(tmp_path))}\)"):
        rate_files(tmp_path, fundus_run.quality, device="cpu", progress=SilentProgress())
