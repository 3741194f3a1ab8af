"""Manifests: those that come along are true to the schema, and every mistake is named with its file and key."""

from __future__ import annotations

from pathlib import Path

import pytest

from biostyle.data.manifest import Manifest, built_in_names, load_manifest
from biostyle.errors import ManifestError

GOOD = """
name = "Cells"
title = "Cells"
modality = "simulated"
licence = "CC0"
terms = "none"
access = "open"
homepage = "https://example.org"
citation = "Nobody, 2026"
reader = "cell_tracking"
expects = ["01/t*.tif"]
unpacked_bytes = 1000

[[files]]
name = "Cells.zip"
url = "https://example.org/Cells.zip"
size_bytes = 100
sha256 = "{sha256}"
""".format(sha256="0" * 64)


CELLS = ["DIC-C2DH-HeLa", "Fluo-N2DH-GOWT1", "Fluo-N2DL-HeLa", "PhC-C2DH-U373"]
ISIC = ["ISIC-2016-task1", "ISIC-2017-task1", "ISIC-2018-task1"]
BY_HAND = [
    "CHASE_DB1",
    "DRIVE",
    "Dermofit",
    "EyePACS",
    "EyeQ",
    "FIVES",
    "IDRiD",
    "PH2",
    "SMARTSKINS",
]


def test_built_in_manifests() -> None:
    assert {*CELLS, *ISIC, *BY_HAND, "HRF-healthy", "Waterloo-skin"} <= set(built_in_names())
    for name in built_in_names():
        assert load_manifest(name).name == name


@pytest.mark.parametrize("name", CELLS)
def test_cell_tracking_manifests(name: str) -> None:
    manifest = load_manifest(name)
    assert manifest.access == "open"
    assert manifest.pixel_size_um is not None
    assert manifest.doi == "10.1038/s41592-023-01879-y"
    (file,) = manifest.files
    assert file.url == f"https://data.celltrackingchallenge.net/training-datasets/{name}.zip"
    assert file.sha256 is not None
    assert file.top_folder == name


@pytest.mark.parametrize("name", ISIC)
def test_isic_manifests(name: str) -> None:
    manifest = load_manifest(name)
    assert (manifest.access, manifest.reader, manifest.modality) == ("open", "isic", "dermoscopy")
    for file in manifest.files:
        assert (
            file.url == f"https://isic-archive.s3.amazonaws.com/challenges/{name.split('-')[1]}/{file.name}"
        )
        assert (file.sha256 is not None) == (name == "ISIC-2018-task1")


def test_waterloo_manifest() -> None:
    manifest = load_manifest("Waterloo-skin")
    assert [file.name for file in manifest.files] == [f"skin_image_data_set-{n}.zip" for n in (1, 2)]
    assert all(
        file.url is not None and file.url.endswith(file.name) and file.sha256 for file in manifest.files
    )


@pytest.mark.parametrize("name", BY_HAND)
def test_what_is_obtained_by_hand_says_how(name: str) -> None:
    manifest = load_manifest(name)
    assert (manifest.access, manifest.files) == ("registration", [])
    assert f"biostyle data import {name} --from FOLDER" in manifest.terms


def test_approximate_size_is_believed_up_to_twice() -> None:
    assert load_manifest("Fluo-N2DL-HeLa").files[0].max_bytes == 364_000_000
    assert load_manifest("PhC-C2DH-U373").files[0].max_bytes == 43_454_399


def read(tmp_path: Path, text: str) -> Manifest:
    path = tmp_path / "own.toml"
    path.write_text(text, encoding="utf-8")
    return load_manifest(path)


def test_own_manifest(tmp_path: Path) -> None:
    manifest = read(tmp_path, GOOD)
    assert (manifest.name, manifest.doi, manifest.files[0].extracts_to) == ("Cells", None, ".")
    assert load_manifest(str(tmp_path / "own.toml")) == manifest


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("licence =", "license =", "license must be a known key, got 'CC0' (FILE). Did you mean 'licence'?"),
        ("sha256 =", "SHA256 =", "files.0.SHA256 must be a known key, got '00"),
        ("sha256 =", "SHA256 =", "Did you mean 'sha256'?"),
        ("sha256 =", "x9 =", "0' (FILE). data_manifests/README.md explains every key."),
        ("0" * 64, "b1", "files.0.sha256 must be 64 lowercase hexadecimal digits, got 'b1' (FILE)"),
        (
            "size_bytes = 100",
            "size_bytes = -1",
            "files.0.size_bytes must be a positive whole number of bytes, got -1",
        ),
        (
            "https://example.org/C",
            "file:///C",
            "files.0.url must be an http or https address, got 'file:///Cells",
        ),
        ('"Cells.zip"', '"Cells.rar"', "files.0.name must be a plain file name ending in one of .zip"),
        ('"Cells.zip"', '"../Cells.zip"', "got '../Cells.zip' (FILE)"),
        ('name = "Cells"', 'name = "../Cells"', "name must be a plain folder name of letters"),
        (
            'name = "Cells"',
            "",
            "name must be a plain folder name of letters, digits, '.', '_' and '-', got nothing",
        ),
        ('"open"', '"free"', "access must be 'open' or 'registration', got 'free' (FILE)"),
        ('"cell_tracking"', '"tiff"', "reader must be one of 'cell_tracking', 'isic', 'ph2', "),
        ('"cell_tracking"', '"tiff"', ", got 'tiff' (FILE)"),
        (
            '["01/t*.tif"]',
            "[]",
            "expects must be a list of file patterns inside the data set's folder, got []",
        ),
        (
            '["01/t*.tif"]',
            '["../t.tif"]',
            "expects.0 must be a list of file patterns inside the data set's folder",
        ),
        ('["01/t*.tif"]', "3", "expects must be a list of file patterns inside the data set's folder, got 3"),
        (
            'url = "https://example.org/Cells.zip"',
            "",
            "files must each have a url where access is 'open' (FILE)",
        ),
        (
            "unpacked_bytes = 1000",
            "unpacked_bytes = ",
            "manifest must be TOML, got Invalid value (at line 12",
        ),
    ],
)
def test_mistakes_are_named(tmp_path: Path, old: str, new: str, message: str) -> None:
    with pytest.raises(ManifestError) as caught:
        read(tmp_path, GOOD.replace(old, new))
    assert message.replace("FILE", str(tmp_path / "own.toml")) in str(caught.value)
    assert str(tmp_path / "own.toml") in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("value", "match"),
    [
        ("[3]", r"files\.0 must be a table, got 3 "),
        ("3", r"files must be a list of \[\[files\]\] tables, got 3 "),
    ],
)
def test_files_of_another_shape(tmp_path: Path, value: str, match: str) -> None:
    with pytest.raises(ManifestError, match=match):
        read(tmp_path, GOOD.partition("[[files]]")[0] + f"files = {value}")


def test_registration_needs_no_address(tmp_path: Path) -> None:
    text = GOOD.partition("[[files]]")[0].replace('"open"', '"registration"') + "files = []"
    assert read(tmp_path, text).files == []


def test_unknown_data_set() -> None:
    with pytest.raises(ManifestError, match=r"got 'phc-c2dh-u37'\. Did you mean 'PhC-C2DH-U373'\?"):
        load_manifest("phc-c2dh-u37")


def test_missing_manifest_file(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r"got No such file or directory \(.*absent\.toml\)"):
        load_manifest(tmp_path / "absent.toml")


def test_manifest_that_is_not_text(tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(ManifestError, match=r"manifest must be TOML, got 'utf-8' codec .* \(.*own\.toml\)"):
        load_manifest(tmp_path / "own.toml")
