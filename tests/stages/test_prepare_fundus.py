from pathlib import Path

import pytest

from biostyle.artifacts import BuildOptions, read_record
from biostyle.data.prepared import load_prepared
from biostyle.errors import ArtifactMismatchError, ImageError
from biostyle.stages.prepare_fundus import degrade_fundus, prepare_fundus
from tests.fundus import SETTINGS, SPLIT, FundusRun


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


def test_what_a_dry_run_would_fetch_is_not_looked_for(tmp_path: Path) -> None:
    options = BuildOptions(dry_run=True)
    options.pending |= {tmp_path / "idrid", tmp_path / "drive"}
    out = prepare_fundus(tmp_path, tmp_path / "out", SETTINGS, SPLIT, options=options)
    assert out in options.pending
    assert list(tmp_path.iterdir()) == []
