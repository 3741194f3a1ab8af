"""The stage on simulated challenge folders and on flat ones."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch

from biostyle.artifacts import BuildOptions
from biostyle.checkpoints import save_model
from biostyle.data.sources.simulated import simulate_pair
from biostyle.errors import ArtifactMismatchError, CheckpointError, PairingError
from biostyle.matching.plan import PlanOverrides
from biostyle.models.unet import UNet
from biostyle.stages.inspect import (
    INSPECTION,
    ImageSource,
    find_masks,
    inspect,
    inspect_domains,
    read_inspection,
)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Both simulated microscopes, 4 frames each."""
    return simulate_pair(tmp_path_factory.mktemp("data"), 0, 4, (256, 256))


def test_two_microscopes_are_told_apart(folders: tuple[Path, Path]) -> None:
    folder_a, folder_b = folders
    found = inspect_domains(ImageSource(folder_a, folder_a), ImageSource(folder_b, folder_b), PlanOverrides())
    assert found.a.dtypes == ("uint8",)
    assert found.b.dtypes == ("uint16",)
    assert found.b.pedestal == pytest.approx(0.5, abs=0.05)
    assert found.a.object_diameter_px is not None
    assert found.b.object_diameter_px is not None
    expected = found.a.object_diameter_px / found.b.object_diameter_px
    assert found.plan.working_scale_factor == pytest.approx(expected, rel=0.3)


def test_masks_of_b_are_not_looked_at_unless_given(folders: tuple[Path, Path]) -> None:
    folder_a, folder_b = folders
    assert find_masks(folder_a) == folder_a
    found = inspect_domains(ImageSource(folder_a, folder_a), ImageSource(folder_b), PlanOverrides())
    assert found.a.foreground_source == "masks"
    assert found.b.foreground_source is None
    assert found.b.object_diameter_px is None


def test_flat_folders_and_their_masks(folders: tuple[Path, Path], tmp_path: Path) -> None:
    folder_a, folder_b = folders
    for number in range(3):
        for source, target in (
            (folder_a / f"01/t{number:03d}.tif", tmp_path / f"images/cell_{number}.tif"),
            (folder_a / f"01_ST/SEG/man_seg{number:03d}.tif", tmp_path / f"masks/cell_{number}.tif"),
        ):
            target.parent.mkdir(exist_ok=True)
            shutil.copy(source, target)
    assert find_masks(tmp_path / "images") is None
    found = inspect_domains(
        ImageSource(tmp_path / "images", tmp_path / "masks"),
        ImageSource(folder_b),
        PlanOverrides(),
        n_frames=2,
    )
    assert found.a.n_frames == 2
    assert found.a.foreground_source == "masks"


def test_a_segmenter_stands_in_for_masks(folders: tuple[Path, Path], tmp_path: Path) -> None:
    folder_a, folder_b = folders
    unet = UNet(n_filters=2, depth=1)
    with torch.no_grad():
        for parameter in unet.parameters():
            parameter.zero_()  # equal logits: everything is background
    save_model(
        tmp_path / "segmenter", unet, preprocessing={"working_scale": 0.5}, training_data={"frames": []}
    )
    found = inspect_domains(
        ImageSource(folder_a, folder_a),
        ImageSource(folder_b),
        PlanOverrides(tone="background", object_diameter_a_px=40, object_diameter_b_px=20),
        segmenter=tmp_path / "segmenter",
        device="cpu",
    )
    assert found.a.foreground_source == "masks"
    assert (found.b.foreground_fraction, found.b.foreground_source) == (0.0, "segmenter")
    width = 1.5 * 20 * 0.5 * found.plan.working_scale_factor
    assert found.plan.steps[0].model_dump()["sigma_px"] == pytest.approx(width)


def test_it_is_kept_and_not_made_twice(folders: tuple[Path, Path], tmp_path: Path) -> None:
    source_a, source_b = (ImageSource(folder) for folder in folders)
    arguments = {"overrides": PlanOverrides(), "n_frames": 2, "options": BuildOptions()}
    out = inspect(source_a, source_b, tmp_path / "inspection", **arguments)
    stamp = (out / INSPECTION).stat().st_mtime_ns
    assert inspect(source_a, source_b, out, **arguments) == out
    assert (out / INSPECTION).stat().st_mtime_ns == stamp
    assert json.loads((out / INSPECTION).read_text())["schema"] == 1
    assert read_inspection(out) == inspect_domains(source_a, source_b, PlanOverrides(), n_frames=2)
    with pytest.raises(ArtifactMismatchError, match=r"overrides\.polarity"):
        inspect(source_a, source_b, out, **arguments | {"overrides": PlanOverrides(polarity="inverted")})


def test_what_is_missing_is_named(folders: tuple[Path, Path], tmp_path: Path) -> None:
    folder_a, folder_b = folders
    with pytest.raises(PairingError, match="nowhere"):
        inspect(
            ImageSource(folder_a), ImageSource(tmp_path / "nowhere"), tmp_path / "out",
            overrides=PlanOverrides(), options=BuildOptions(),
        )  # fmt: skip
    with pytest.raises(CheckpointError, match="nothing"):
        inspect_domains(
            ImageSource(folder_a), ImageSource(folder_b), PlanOverrides(), segmenter=tmp_path / "nothing"
        )
