from pathlib import Path

import pytest

from biostyle.artifacts import BuildOptions, read_record
from biostyle.data.prepare import DomainSettings
from biostyle.data.prepared import load_prepared
from biostyle.errors import ArtifactMismatchError, ImageError
from biostyle.stages.prepare import prepare
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
