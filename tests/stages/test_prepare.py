from pathlib import Path

import pytest

from biostyle.artifacts import BuildOptions, read_record
from biostyle.data.prepare import DomainSettings
from biostyle.data.prepared import load_prepared
from biostyle.errors import ArtifactMismatchError, ImageError, PairingError, SplitError
from biostyle.stages.prepare import prepare, prepare_folder
from tests.simulated import TINY_SPLIT, read_tree

SIM_A = DomainSettings(folder="SIM-A", title="A")


def test_makes_a_finished_directory_and_leaves_the_data_alone(tiny_data: Path, tmp_path: Path) -> None:
    before = read_tree(tiny_data)
    out = prepare(tiny_data, tmp_path / "a", SIM_A, TINY_SPLIT, annotated=True, options=BuildOptions())
    assert read_record(out)["request"]["stage"] == "prepare"
    assert len(load_prepared(out).rows) == 8
    assert read_tree(tiny_data) == before


def test_the_request_holds_the_pixels_and_the_split(tiny_data: Path, tmp_path: Path) -> None:
    out = prepare(tiny_data, tmp_path / "a", SIM_A, TINY_SPLIT, annotated=True, options=BuildOptions())
    other = TINY_SPLIT.model_copy(update={"gap_frames": 0})
    with pytest.raises(ArtifactMismatchError, match=r"differ in \['split\.gap_frames'\]"):
        prepare(tiny_data, out, SIM_A, other, annotated=True, options=BuildOptions())
    sim_b = SIM_A.model_copy(update={"folder": "SIM-B"})
    with pytest.raises(ArtifactMismatchError, match=r"\['inputs\.folder', 'domain\.folder'\]"):
        prepare(tiny_data, out, sim_b, TINY_SPLIT, annotated=True, options=BuildOptions())


def test_a_missing_folder_is_named_before_anything_is_made(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"got nothing \(.*SIM-A\)"):
        prepare(tmp_path, tmp_path / "a", SIM_A, TINY_SPLIT, annotated=True, options=BuildOptions())
    assert list(tmp_path.iterdir()) == []


def test_a_plain_folder_is_prepared_without_looking_at_other_masks(tiny_data: Path, tmp_path: Path) -> None:
    images, masks = tiny_data / "SIM-B/01", tiny_data / "SIM-B/01_ST/SEG"
    settings = {"name": "B", "part": "train", "options": BuildOptions()}
    out = prepare_folder(images, None, tmp_path / "b", **settings)
    record = read_record(out)
    assert record["request"]["stage"] == "prepare-folder"
    assert list(record["request"]["inputs"]) == ["images"]
    assert not any(name.startswith(("gold/", "silver/")) for name in record["files"])
    with pytest.raises(ArtifactMismatchError, match=r"differ in \['inputs\.masks'\]"):
        prepare_folder(images, masks, out, **settings)
    with pytest.raises(PairingError, match=r"exists, got .*nothing"):
        prepare_folder(tmp_path / "nothing", None, tmp_path / "c", **settings)


def test_frames_that_were_annotated_cannot_be_scored(tiny_data: Path, tmp_path: Path) -> None:
    images, masks = tiny_data / "SIM-B/01", tiny_data / "SIM-B/01_ST/SEG"
    options = BuildOptions()
    a = prepare_folder(images, masks, tmp_path / "a", name="A", part="train", options=options)
    with pytest.raises(SplitError, match="got 8 in both: 01_t000, 01_t001"):
        prepare_folder(images, masks, tmp_path / "b", name="B", part="test", unlike=a, options=options)
