"""Tests of biostyle.pipelines.adapt: the whole way on simulated folders, at tiny settings."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch

from biostyle.adapted_model import load_adapted
from biostyle.artifacts import BuildOptions
from biostyle.config import AdaptConfig, load_config
from biostyle.errors import BiostyleError, ImageError, PairingError, SplitError
from biostyle.inference import segment_frame
from biostyle.io.frames import read_frame
from biostyle.io.labels import read_labels, write_labels
from biostyle.pipelines.adapt import Given, run
from biostyle.stages.select import read_choice
from tests.folders import write_adapt_config, write_folders
from tests.foreign_segmenters import ENTRY, write_torchscript
from tests.simulated import stat_tree


@pytest.fixture(scope="module")
def folders(tiny_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Plain folders of images and masks with names of their own; only to be read."""
    return write_folders(tmp_path_factory.mktemp("folders"), tiny_data)


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> AdaptConfig:
    """Everything, in seconds."""
    path = write_adapt_config(tmp_path_factory.mktemp("config") / "tiny.toml")
    return load_config(path, None, AdaptConfig)


def adapt(config: AdaptConfig, folders: Path, out: Path, **given: object) -> dict[str, object]:
    """Run, and return the summary of B."""
    wanted = {"images_a": folders / "old/images", "images_b": folders / "new/images", **given}
    report = run(config, Given(**wanted), out, command="adapt", options=BuildOptions(replace=True))
    assert report == out / "report"
    return json.loads((report / "summary.json").read_text())["domains"]["b"]


@pytest.mark.slow
def test_without_a_segmenter_one_is_trained_and_everything_races(
    config: AdaptConfig, folders: Path, tmp_path: Path
) -> None:
    masks = {"masks_a": folders / "old/masks", "masks_b": folders / "new/masks"}
    found = adapt(config, folders, tmp_path / "run", **masks)
    assert list(found["candidates"]) == ["before", *config.candidates]
    assert found["candidates"]["matching"]["f_score"] is not None
    assert found["n_scored"] == 8

    moved = (tmp_path / "run/model").rename(tmp_path / "moved")
    adapted = load_adapted(moved)
    image = read_frame(folders / "new/images/dish 3.tif")
    mask = segment_frame(adapted.segmenter, image, adapted.preprocessing, torch.device("cpu"))
    predicted = read_labels(tmp_path / "run/predictions" / found["chosen"] / "01_RES/mask003.tif")
    assert ((predicted > 0) == mask).all()
    assert json.loads((moved / "adapted.json").read_text())["chosen"] == found["chosen"]
    moved.rename(tmp_path / "run/model")

    before = stat_tree(tmp_path / "run")
    adapt(config, folders, tmp_path / "run", **masks)
    assert stat_tree(tmp_path / "run") == before


@pytest.mark.slow
def test_masks_of_b_change_nothing_but_the_report(config: AdaptConfig, folders: Path, tmp_path: Path) -> None:
    segmenter = str(write_torchscript(tmp_path / "smooth.pt"))
    found = adapt(config, folders, tmp_path / "run", segmenter=segmenter)
    assert set(found["candidates"]) == {"before", "matching", "cyclegan"}
    assert found["left_out"].keys() == {"adabn", "cyclegan_sa", "retrain", "retrain_rare"}
    assert "no batch normalisation" in found["left_out"]["adabn"]
    assert "no masks of A" in found["left_out"]["retrain"]
    assert found["n_scored"] == 0
    assert (tmp_path / "run/predictions" / found["chosen"] / "01_RES/mask007.tif").is_file()
    before = stat_tree(tmp_path / "run")
    scored = adapt(config, folders, tmp_path / "run", segmenter=segmenter, masks_b=folders / "new/masks")
    assert scored["n_scored"] == 8
    after = stat_tree(tmp_path / "run")
    for part in ("model/", "candidates/", "segmenter/", "prepared/a/", "prepared/b/"):
        kept = {name: time for name, time in before.items() if name.startswith(part)}
        assert kept
        assert kept.items() <= after.items()


@pytest.mark.slow
def test_candidates_that_need_gradients_are_left_out(
    config: AdaptConfig, folders: Path, tmp_path: Path
) -> None:
    found = adapt(config, folders, tmp_path / "run", segmenter=ENTRY, masks_a=folders / "old/masks")
    assert "no gradient" in found["left_out"]["cyclegan_sa"]
    assert "no gradient" in found["left_out"]["retrain"]
    assert "no gradient" in (tmp_path / "run/report/report.md").read_text()
    assert read_choice(tmp_path / "run/model")["left_out"] == found["left_out"]


@pytest.mark.parametrize(
    ("given", "error", "said"),
    [
        ({"images_b": "nothing"}, PairingError, "exists, got .*nothing"),
        ({"images_b": "."}, PairingError, "each id once, got"),
        ({"masks_a": "few"}, PairingError, "got 1 without: stray"),
        ({"images_b": "skin"}, ImageError, "a colour image"),
        (
            {"images_b": "old/images", "masks_a": "old/masks", "masks_b": "old/masks"},
            SplitError,
            "got 8 in both",
        ),
    ],
    ids=["missing", "twice", "stray mask", "colour", "annotated"],
)
def test_bad_folders_are_named(
    config: AdaptConfig,
    folders: Path,
    tmp_path: Path,
    given: dict[str, str],
    error: type[BiostyleError],
    said: str,
) -> None:
    copied = Path(shutil.copytree(folders, tmp_path / "copied"))
    write_labels(copied / "few" / "stray.tif", read_labels(copied / "old/masks/dish 0.tif"))
    write_colour(copied / "skin" / "a.tif")
    only = config.model_copy(update={"candidates": ("matching",)})
    with pytest.raises(error, match=said):
        adapt(
            only,
            copied,
            tmp_path / "run",
            segmenter=ENTRY,
            **{name: copied / path for name, path in given.items()},
        )


def write_colour(path: Path) -> None:
    """A colour image."""
    path.parent.mkdir()
    tifffile.imwrite(path, np.zeros((8, 9, 3), np.uint8), photometric="rgb")


def test_a_dry_run_makes_nothing(config: AdaptConfig, folders: Path, tmp_path: Path) -> None:
    options = BuildOptions(dry_run=True)
    given = Given(folders / "old/images", folders / "new/images", folders / "old/masks")
    run(config, given, tmp_path / "run", command="adapt", options=options)
    assert {tmp_path / "run" / name for name in ("segmenter", "model", "report")} <= options.pending
    assert not (tmp_path / "run").exists()
