"""Files, folders, patterns and challenge folders become a list without collisions."""

from __future__ import annotations

from pathlib import Path

import pytest

from biostyle.errors import ImageError, OutputError
from biostyle.io.inputs import find_inputs


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A folder as people have them."""
    for name in (
        "t10.tif",
        "t2.tif",
        "day1/a.ome.tif",
        "day1/b.PNG",
        "day2/a.ome.tif",
        "day2/photo.jpg",
        "day2/notes.txt",
        ".hidden.tif",
        ".cache/x.tif",
        "z.zarr/zarr.json",
        "z.zarr/0/c.tif",
    ):
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    return tmp_path / "in"


def outputs(*inputs: str | Path, **options: object) -> list[str]:
    return [str(file.output) for file in find_inputs(inputs, **options)]  # type: ignore[arg-type]


def test_a_folder_keeps_its_structure_and_numbers_count(tree: Path) -> None:
    assert outputs(tree) == [
        "day1/a.ome.tif",
        "day1/b.PNG",
        "day2/a.ome.tif",
        "day2/photo.png",
        "t2.tif",
        "t10.tif",
        "z.zarr",
    ]


def test_files_patterns_and_suffix(tree: Path) -> None:
    assert outputs(tree / "t2.tif", suffix="_styled") == ["t2_styled.tif"]
    assert outputs(tree / "day*" / "*.ome.tif", suffix="_s") == ["day1/a_s.ome.tif", "day2/a_s.ome.tif"]
    assert outputs(f"{tree}/**/t?.tif", tree / "t2.tif", tree / "t10.tif") == ["t2.tif", "t10.tif"]
    assert outputs(tree / "z.zarr", suffix="_s") == ["z_s.zarr"]


def test_a_name_that_looks_like_a_pattern(tmp_path: Path) -> None:
    (tmp_path / "a[1].tif").write_bytes(b"")
    assert outputs(tmp_path / "a[1].tif") == ["a[1].tif"]


def test_two_inputs_for_one_output(tree: Path) -> None:
    with pytest.raises(OutputError, match=r"got a\.ome\.tif for .*day1.* and .*day2"):
        find_inputs([tree / "day1", tree / "day2"])
    (tree / "day2" / "PHOTO.png").write_bytes(b"")
    with pytest.raises(OutputError, match=r"(?i)got photo\.png for"):
        find_inputs([tree / "day2"])


@pytest.fixture
def challenge(tmp_path: Path) -> Path:
    """A folder of the Cell Tracking Challenge."""
    for name in (
        "01/t000.tif",
        "01/t010.tif",
        "02/t000.tif",
        "01_GT/SEG/man_seg000.tif",
        "01_ST/SEG/man_seg000.tif",
    ):
        path = tmp_path / "SIM" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    return tmp_path / "SIM"


def test_challenge_folders_give_their_frames(challenge: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert outputs(challenge) == ["01/t000.tif", "01/t010.tif", "02/t000.tif"]
    assert outputs(challenge / "02", challenge / "01") == ["02/t000.tif", "01/t000.tif", "01/t010.tif"]
    assert outputs(challenge, challenge_names=True)[1:] == ["01_RES/mask010.tif", "02_RES/mask000.tif"]
    monkeypatch.chdir(challenge / "01")
    assert outputs(".", challenge_names=True) == ["01_RES/mask000.tif", "01_RES/mask010.tif"]


def test_linked_folders_are_searched_and_circles_end(tree: Path, tmp_path: Path) -> None:
    (tmp_path / "links").mkdir()
    (tmp_path / "links" / "day1").symlink_to(tree / "day1")
    (tmp_path / "links" / "day1 again").symlink_to(tree / "day1")
    (tmp_path / "links" / "up").symlink_to(tmp_path / "links")
    expected = [f"day1/{name}" for name in outputs(tree / "day1")]
    assert expected
    assert outputs(tmp_path / "links") == expected
    (tmp_path / "links" / "day2").symlink_to(tree / "day2")
    assert len(outputs(tmp_path / "links")) > len(expected)
    assert outputs(tmp_path / "links", out=tree / "day2") == expected


def test_other_images_in_a_challenge_folder_are_not_dropped(challenge: Path) -> None:
    for name in ("overview.tif", "01/dark_01.tif", "02_more/a.tif"):
        (challenge / name).parent.mkdir(exist_ok=True)
        (challenge / name).write_bytes(b"")
    frames = ["01/t000.tif", "01/t010.tif", "02/t000.tif"]
    assert outputs(challenge) == ["01/dark_01.tif", *frames, "overview.tif"]
    assert outputs(challenge / "01") == ["01/dark_01.tif", *frames[:2]]
    assert outputs(challenge, challenge_names=True)[1:] == ["01_RES/mask010.tif", "02_RES/mask000.tif"]


def test_what_is_refused(tree: Path) -> None:
    with pytest.raises(ImageError, match=r"exists, got .*absent\.tif"):
        find_inputs([tree / "absent.tif"])
    with pytest.raises(ImageError, match=r"exists, got .*\*\.gif"):
        find_inputs([tree / "*.gif"])
    (tree / "empty").mkdir()
    with pytest.raises(ImageError, match=r"got none \(.*empty\)"):
        find_inputs([tree / "empty"])
    with pytest.raises(ImageError, match="got none"):
        find_inputs([])
    with pytest.raises(ImageError, match=r"NN/tTTT\.tif .*got .*t2\.tif"):
        find_inputs([tree / "t2.tif"], challenge_names=True)
    with pytest.raises(OutputError, match=r"input folder .*in, got .*out"):
        find_inputs([tree], out=tree / "out")
    with pytest.raises(OutputError, match=r"got '\.\./x'"):
        find_inputs([tree], suffix="../x")
