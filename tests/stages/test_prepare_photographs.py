from pathlib import Path

import pytest

from biostyle.artifacts import BuildOptions, read_record
from biostyle.data.group_split import GroupSplitSettings
from biostyle.data.prepare_photographs import PhotographDomainSettings
from biostyle.data.prepared import load_prepared
from biostyle.data.sources.simulated_skin import simulate_skin_pair
from biostyle.errors import ArtifactMismatchError, ImageError
from biostyle.stages.prepare_photographs import prepare_photographs
from tests.simulated import read_tree

SPLIT = GroupSplitSettings(test_fraction=0.4, validation_fraction=0.2, seed=1)


def domain(reader: str, folder: str) -> PhotographDomainSettings:
    return PhotographDomainSettings.model_validate(
        {"folders": [{"reader": reader, "folder": folder}], "title": folder}
    )


SIM_A, SIM_B = domain("isic", "SIM-ISIC"), domain("waterloo", "SIM-WATERLOO")


@pytest.fixture(scope="module")
def skin_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("skin")
    simulate_skin_pair(root, seed=0, n_images=12, shape=(48, 64))
    return root


def test_makes_a_finished_directory_and_leaves_the_data_alone(skin_data: Path, tmp_path: Path) -> None:
    before = read_tree(skin_data)
    options = BuildOptions()
    a = prepare_photographs(skin_data, tmp_path / "a", SIM_A, SPLIT, annotated=True, options=options)
    b = prepare_photographs(
        skin_data, tmp_path / "b", SIM_B, SPLIT, annotated=False, beside=a, options=options
    )
    assert read_record(a)["request"]["stage"] == "prepare-photographs"
    assert sorted(read_record(b)["request"]["inputs"]) == ["beside", "folder_0"]
    assert [len(load_prepared(out).rows) for out in (a, b)] == [12, 12]
    assert read_tree(skin_data) == before


def test_the_request_holds_the_pixels_and_the_split(skin_data: Path, tmp_path: Path) -> None:
    options = BuildOptions()
    out = prepare_photographs(skin_data, tmp_path / "a", SIM_A, SPLIT, annotated=True, options=options)
    other = SPLIT.model_copy(update={"seed": 2})
    with pytest.raises(ArtifactMismatchError, match=r"differ in \['split\.seed'\]"):
        prepare_photographs(skin_data, out, SIM_A, other, annotated=True, options=options)
    with pytest.raises(ArtifactMismatchError, match=r"'inputs\.folder_0'"):
        prepare_photographs(skin_data, out, SIM_B, SPLIT, annotated=True, options=options)


def test_a_missing_folder_is_named_before_anything_is_made(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"got nothing \(.*SIM-ISIC\)"):
        prepare_photographs(tmp_path, tmp_path / "a", SIM_A, SPLIT, annotated=True, options=BuildOptions())
    assert list(tmp_path.iterdir()) == []
