import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from biostyle.artifacts import BuildOptions, read_record
from biostyle.data.prepare_fundus import FundusFolder
from biostyle.data.prepared import load_prepared
from biostyle.data.sources.simulated_fundus import simulate_retina
from biostyle.errors import ArtifactMismatchError, ImageError
from biostyle.progress import SilentProgress
from biostyle.stages.prepare_fundus import LEFT_OUT, degrade_fundus, prepare_fundus, prepare_real
from tests.fundus import SETTINGS, SPLIT, FundusRun


class Notes(SilentProgress):
    """Keep what a stage remarks."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def note(self, text: str) -> None:
        self.texts.append(text)


def test_the_requests_hold_everything(fundus_run: FundusRun) -> None:
    request = read_record(fundus_run.clean)["request"]
    assert request["stage"] == "prepare-fundus"
    assert sorted(request["inputs"]) == ["folder_0", "folder_1"]
    assert request["settings"]["split"]["seed"] == 27
    request = read_record(fundus_run.mixed)["request"]
    assert request["settings"] == {
        "defects": ["illumination", "blur", "spots"],
        "seed": 0,
        "n_draws": 1,
    }
    assert len(load_prepared(fundus_run.mixed).rows) == 2 * len(load_prepared(fundus_run.clean).rows)


def test_other_settings_are_another_domain(fundus_run: FundusRun) -> None:
    other = SETTINGS.model_copy(update={"size_px": 96})
    with pytest.raises(ArtifactMismatchError, match=r"differ in \['fundus\.size_px'\]"):
        prepare_fundus(fundus_run.data, fundus_run.clean, other, SPLIT, options=BuildOptions())
    with pytest.raises(ArtifactMismatchError, match=r"differ in \['defects'\]"):
        degrade_fundus(fundus_run.clean, fundus_run.mixed, ["blur"], seed=0, options=BuildOptions())


def test_a_missing_folder_is_named_before_anything_is_made(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"got nothing \(.*idrid\)"):
        prepare_fundus(tmp_path, tmp_path / "out", SETTINGS, SPLIT, options=BuildOptions())
    assert list(tmp_path.iterdir()) == []


def test_a_real_photograph_without_fundus_is_left_out_and_named(
    fundus_run: FundusRun, tmp_path: Path
) -> None:
    (tmp_path / "camera").mkdir()
    for number in range(6):
        Image.fromarray(simulate_retina(number, shape=(80, 100)).photograph // 2).save(
            tmp_path / "camera" / f"{number}.png"
        )
    (tmp_path / "camera" / "6.png").write_text("no photograph")
    noise = np.random.default_rng(0).integers(0, 6, (80, 100, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "camera" / "7.png")
    folders, notes = [FundusFolder(reader="folder", folder="camera")], Notes()
    shutil.copytree(fundus_run.data, tmp_path, dirs_exist_ok=True)
    out = prepare_real(
        tmp_path,
        fundus_run.clean,
        tmp_path / "real",
        SETTINGS,
        folders,
        SPLIT,
        options=BuildOptions(progress=notes),
    )
    assert len(load_prepared(out).rows) == 6
    problems = json.loads((out / LEFT_OUT).read_text())
    assert list(problems) == ["camera_6", "camera_7"]
    assert [text.replace(f"{tmp_path}/", "") for text in notes.texts] == [
        f"left out: {problem}" for problem in problems.values()
    ]
    assert "(camera/7.png)" in problems["camera_7"]
    assert str(tmp_path) not in problems["camera_6"]


def test_what_a_dry_run_would_fetch_is_not_looked_for(tmp_path: Path) -> None:
    options = BuildOptions(dry_run=True)
    options.pending |= {tmp_path / "idrid", tmp_path / "drive"}
    out = prepare_fundus(tmp_path, tmp_path / "out", SETTINGS, SPLIT, options=options)
    assert out in options.pending
    assert list(tmp_path.iterdir()) == []
