"""Photographs from their archives to a prepared domain, and everything that can be wrong with them."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError

from biostyle.data.fetch import fetch, import_dataset
from biostyle.data.group_split import GroupSplitSettings
from biostyle.data.manifest import Manifest, load_manifest
from biostyle.data.prepare_photographs import (
    PhotographDomainSettings,
    collect_photographs,
    prepare_photographs,
)
from biostyle.data.prepared import PreparedDomain, load_prepared
from biostyle.data.sources.dermoscopy import PhotographReader
from biostyle.data.sources.simulated_skin import simulate_skin_pair
from biostyle.errors import ImageError, MaskError, PairingError, SplitError, TermsError
from tests.data.conftest import ArchiveServer
from tests.simulated import read_tree

SPLIT = GroupSplitSettings(test_fraction=0.4, validation_fraction=0.2, seed=1)
RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 256, (8, 10, 3), np.uint8)
MASK = np.zeros((8, 10), np.uint8)
MASK[2:5, 3:9] = 255


def settings(*folders: tuple[str, str]) -> PhotographDomainSettings:
    return PhotographDomainSettings.model_validate(
        {"folders": [{"reader": reader, "folder": folder} for reader, folder in folders], "title": "Skin"}
    )


SIM_A, SIM_B = settings(("isic", "SIM-ISIC")), settings(("waterloo", "SIM-WATERLOO"))
PLAIN = settings(("folder", "plain"))


def encoded(pixels: np.ndarray, kind: str) -> bytes:
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, kind)
    return out.getvalue()


def put(folder: Path, name: str, pixels: np.ndarray) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(folder / name)
    return folder / name


@pytest.fixture(scope="module")
def delivered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("delivered")
    simulate_skin_pair(root, seed=0, n_images=12, shape=(48, 64))
    return root


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    """Ten photographs with masks, different in one pixel, in a folder that a test may damage."""
    folder = tmp_path / "data" / "plain"
    for number in range(10):
        pixels = PIXELS.copy()
        pixels[0, 0] = number
        put(folder, f"{number}.png", pixels)
        put(folder, f"{number}_mask.png", MASK)
    return folder


def prepared(
    root: Path,
    domain: PhotographDomainSettings,
    out: Path,
    *,
    split: GroupSplitSettings = SPLIT,
    masks: bool = True,
    beside: PreparedDomain | None = None,
) -> PreparedDomain:
    prepare_photographs(root, domain, split, out, needs_masks=masks, beside=beside)
    return load_prepared(out)


def parts(domain: PreparedDomain) -> dict[str, str]:
    return {row.frame_id: row.split for row in domain.rows}


def summary(domain: PreparedDomain) -> dict[str, Any]:
    return json.loads((domain.directory / "domain.json").read_text())


def test_pixels_and_masks_are_kept(plain: Path, tmp_path: Path) -> None:
    before = read_tree(plain)
    domain = prepared(plain.parent, PLAIN, tmp_path / "out")
    assert read_tree(plain) == before
    assert (domain.colour, domain.split_mode, domain.folder, len(domain.rows)) == (
        True,
        "group",
        "photographs",
        10,
    )
    for number, row in enumerate(domain.rows):
        assert (row.frame_id, row.sequence, row.number) == (f"folder_{number}", f"folder_{number}", 0)
        expected = np.asarray(Image.open(plain / f"{number}.png"))
        np.testing.assert_array_equal(domain.read_image(row), expected)
        mask, reference = domain.read_truth(row)
        assert reference == "gold"
        np.testing.assert_array_equal(mask, MASK > 0)
        assert (row.height, row.width, row.dtype) == (8, 10, "uint8")


def test_the_table_is_the_one_of_every_domain(plain: Path, tmp_path: Path) -> None:
    domain = prepared(plain.parent, PLAIN, tmp_path / "out")
    with (domain.directory / "frames.csv").open(newline="") as file:
        first = next(csv.DictReader(file))
    assert list(first) == [
        "frame_id", "sequence", "number", "split", "image", "gold", "silver", "height", "width", "dtype",
    ]  # fmt: skip
    assert first["image"] == "images/folder_0.tif"
    assert first["gold"] == "gold/folder_0.tif"
    found = summary(domain)
    assert (found["n_frames"], found["n_groups"], found["n_gold"]) == (10, 10, 10)
    assert found["n_train"] + found["n_validation"] + found["n_test"] == 10
    assert (found["duplicates"], found["also_beside"]) == ([], {})


def test_lesions_stay_on_one_side(delivered: Path, tmp_path: Path) -> None:
    domain = prepared(delivered, SIM_B, tmp_path / "out", masks=False)
    by_lesion: dict[str, set[str]] = {}
    for row in domain.rows:
        by_lesion.setdefault(row.sequence, set()).add(row.split)
    assert len(by_lesion) == 9
    assert all(len(found) == 1 for found in by_lesion.values())
    assert all(domain.frames(part) for part in ("train", "validation", "test"))
    second = [row for row in domain.rows if row.frame_id.endswith("_2")]
    assert {(row.number, row.sequence + "_2" == row.frame_id) for row in second} == {(1, True)}


def test_collections_are_joined(delivered: Path, tmp_path: Path) -> None:
    both = settings(("isic", "SIM-ISIC"), ("waterloo", "SIM-WATERLOO"))
    domain = prepared(delivered, both, tmp_path / "out")
    assert [row.frame_id.split("_")[0] for row in domain.rows] == ["isic"] * 12 + ["waterloo"] * 12
    alone = parts(prepared(delivered, SIM_A, tmp_path / "alone"))
    assert alone.items() <= parts(domain).items()


def test_an_added_image_moves_no_other(plain: Path, tmp_path: Path) -> None:
    before = parts(prepared(plain.parent, PLAIN, tmp_path / "before"))
    put(plain, "11.png", np.rot90(PIXELS, 2))
    put(plain, "11_mask.png", MASK)
    after = parts(prepared(plain.parent, PLAIN, tmp_path / "after"))
    assert before.items() <= after.items()
    assert len(after) == 11


def test_preparing_twice_gives_the_same_bytes(delivered: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        prepared(delivered, SIM_A, tmp_path / name)
    assert read_tree(tmp_path / "one") == read_tree(tmp_path / "two")


def test_duplicates_are_one_lesion(plain: Path, tmp_path: Path) -> None:
    before = parts(prepared(plain.parent, PLAIN, tmp_path / "before"))
    first = next(name for name, part in before.items() if part == "train").removeprefix("folder_")
    other = next(name for name, part in before.items() if part == "test").removeprefix("folder_")
    Image.open(plain / f"{first}.png").save(
        plain / f"{other}.png", compress_level=0
    )  # other bytes, same pixels
    split = GroupSplitSettings(test_fraction=0.3, validation_fraction=0)
    domain = prepared(plain.parent, PLAIN, tmp_path / "out", split=split)
    pair = sorted([f"folder_{first}", f"folder_{other}"])
    assert summary(domain)["duplicates"] == [pair]
    assert len({parts(domain)[name] for name in pair}) == 1
    assert {row.sequence for row in domain.rows if row.frame_id in pair} == {pair[0]}
    assert [row.number for row in domain.rows if row.frame_id in pair] == [0, 1]


def test_what_is_in_both_domains_is_on_the_same_side(plain: Path, tmp_path: Path) -> None:
    domain_a = prepared(plain.parent, PLAIN, tmp_path / "a")
    other = tmp_path / "data" / "other"
    for number in range(10):  # the photographs of A under other names, and as many new ones
        put(other, f"x{number}.png", np.asarray(Image.open(plain / f"{number}.png")))
        put(other, f"y{number}.png", 255 - np.asarray(Image.open(plain / f"{number}.png")))
    domain_b = prepared(
        plain.parent, settings(("folder", "other")), tmp_path / "b", masks=False, beside=domain_a
    )
    for number in range(10):
        assert parts(domain_b)[f"folder_x{number}"] == parts(domain_a)[f"folder_{number}"]
    assert summary(domain_b)["also_beside"] == {f"folder_x{n}": [f"folder_{n}"] for n in range(10)}


def test_a_lesion_that_is_on_both_sides_of_the_other_domain_is_not_used(plain: Path, tmp_path: Path) -> None:
    domain_a = prepared(plain.parent, PLAIN, tmp_path / "a")
    train, test = (domain_a.frames(part)[0] for part in ("train", "test"))
    other = tmp_path / "data" / "other" / "melanoma" / "dermis"
    put(other, "SSM1_orig.png", domain_a.read_image(train))
    put(other, "SSM1_2_orig.png", domain_a.read_image(test))
    for number in range(2, 14):
        put(other, f"SSM{number}_orig.png", np.roll(PIXELS, number))
    domain_b = prepared(
        plain.parent, settings(("waterloo", "other")), tmp_path / "b", masks=False, beside=domain_a
    )
    unused = [row.frame_id for row in domain_b.frames("unused")]
    assert unused == ["waterloo_melanoma_dermis_SSM1", "waterloo_melanoma_dermis_SSM1_2"]


def test_photographs_without_masks_are_listed(plain: Path, tmp_path: Path) -> None:
    for number in range(10):
        (plain / f"{number}_mask.png").unlink()
    with pytest.raises(PairingError, match=r"must have a mask, got 10 that break this: 0\.png"):
        prepared(plain.parent, PLAIN, tmp_path / "required")
    domain = prepared(plain.parent, PLAIN, tmp_path / "out", masks=False)
    assert summary(domain)["without_mask"] == [row.frame_id for row in domain.frames("train")]
    assert domain.with_truth("test") == []


@pytest.fixture
def twice(plain: Path) -> PhotographDomainSettings:
    """The ten photographs again: 0 to 2 as they are, 3 with another mask, 4 without one; 5 to 9 are others."""
    again = plain.parent / "years" / "2017 again"
    for number in range(10):
        pixels = np.asarray(Image.open(plain / f"{number}.png"))
        put(again, f"{number}.PNG", pixels if number < 5 else 255 - pixels)
        if number != 4:
            put(again, f"{number}_mask.png", 255 - MASK if number == 3 else MASK)
    return settings(("folder", "plain"), ("folder", "years/2017 again"))


def test_an_id_that_is_taken_gets_its_folder_and_keeps_the_lesion(
    plain: Path, twice: PhotographDomainSettings
) -> None:
    found = collect_photographs(plain.parent, twice, needs_masks=False)
    assert found[:10] == collect_photographs(plain.parent, PLAIN, needs_masks=True)
    assert [photograph.frame_id for photograph in found[10:12]] == [
        "folder_years-2017-again_0", "folder_years-2017-again_1"
    ]  # fmt: skip
    assert [photograph.namesake for photograph in found[10:]] == [f"folder_{number}" for number in range(10)]
    assert [photograph.group for photograph in found[10:]] == [photograph.group for photograph in found[:10]]


def test_ids_that_nobody_has_taken_do_not_change(plain: Path) -> None:
    put(plain.parent / "more", "3.png", PIXELS)
    put(plain.parent / "more", "x.png", PIXELS)
    found = collect_photographs(
        plain.parent, settings(("folder", "plain"), ("folder", "more")), needs_masks=False
    )
    assert [photograph.frame_id for photograph in found[10:]] == ["folder_more_3", "folder_x"]


def test_what_is_delivered_twice_is_taken_once(
    plain: Path, twice: PhotographDomainSettings, tmp_path: Path
) -> None:
    alone = prepared(plain.parent, PLAIN, tmp_path / "alone")
    both = prepared(plain.parent, twice, tmp_path / "both", masks=False)
    again = "folder_years-2017-again_{}".format
    assert summary(both)["repeats"] == {again(number): f"folder_{number}" for number in (0, 1, 2, 4)}
    assert "repeats" not in summary(alone)
    assert [row.frame_id for row in both.rows[10:]] == [again(number) for number in (3, 5, 6, 7, 8, 9)]
    assert summary(both)["duplicates"] == [["folder_3", again(3)]]  # one photograph, two annotations
    assert sorted(path.stem for path in (tmp_path / "both" / "gold").iterdir()) == sorted(
        row.frame_id for row in both.rows
    )
    assert sorted(path.stem for path in (tmp_path / "both" / "images").iterdir()) == sorted(
        row.frame_id for row in both.rows
    )
    for row, same in zip(both.rows, alone.rows, strict=False):  # the first collection is where it was
        assert (row.frame_id, row.sequence, row.split) == (same.frame_id, same.sequence, same.split)
    for row in both.rows[10:]:
        assert row.split == parts(alone)[f"folder_{row.frame_id[-1]}"]
        assert row.number == 1


def test_photographs_of_two_years_of_one_archive_can_be_put_together(tmp_path: Path) -> None:
    for year in (2016, 2017):
        for name, content in _contents("isic").items():
            path = tmp_path / f"ISIC-{year}-task1" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
    archive = settings(("isic", "ISIC-2016-task1"), ("isic", "ISIC-2017-task1"))
    domain = prepared(tmp_path, archive, tmp_path / "out")
    assert [row.frame_id for row in domain.rows] == [f"isic_ISIC_000000{n}" for n in range(1, 10)]
    assert summary(domain)["repeats"]["isic_ISIC-2017-task1_ISIC_0000001"] == "isic_ISIC_0000001"


@pytest.mark.parametrize("folders", [("plain", "plain"), (".", "plain")])
def test_a_file_that_is_read_twice_is_refused(plain: Path, folders: tuple[str, ...]) -> None:
    overlapping = settings(*(("folder", folder) for folder in folders))
    with pytest.raises(PairingError, match=r"once, got folder_0 from (.*0\.png) and \1\. Leave out one"):
        collect_photographs(plain.parent, overlapping, needs_masks=False)


def test_an_empty_part_is_refused(plain: Path, tmp_path: Path) -> None:
    split = GroupSplitSettings(test_fraction=0.001, validation_fraction=0)
    prepared(plain.parent, PLAIN, tmp_path / "ten", split=split)
    for path in plain.glob("[1-9]*"):
        path.unlink()
    with pytest.raises(SplitError, match=r"got 1 train, 0 test of 1 \(Skin\)"):
        prepared(plain.parent, PLAIN, tmp_path / "one", split=split)


@pytest.mark.parametrize(
    ("name", "content", "error", "said"),
    [
        (
            "4.png",
            encoded(np.dstack([PIXELS, np.full((8, 10), 9, np.uint8)]), "PNG"),
            ImageError,
            "80 transparent",
        ),
        ("4.png", encoded(PIXELS, "JPEG")[:-20], ImageError, "decode completely, got OSError"),
        ("4.png", b"<html>", ImageError, "starting with b'<html>'"),
        ("4_mask.png", encoded(MASK, "JPEG"), MaskError, "stored without loss, got a JPEG file"),
        ("4_mask.png", encoded(MASK.T, "PNG"), MaskError, "got (10, 8)"),
        ("4_mask.png", encoded(MASK // 2, "PNG"), MaskError, "2 values 0, 127"),
        ("44_mask.png", encoded(MASK, "PNG"), PairingError, "44_mask.png"),
    ],
    ids=["rgba", "truncated", "no image", "jpeg mask", "mask size", "mask values", "leftover"],
)
def test_bad_files_are_named(
    plain: Path, tmp_path: Path, name: str, content: bytes, error: type[Exception], said: str
) -> None:
    (plain / name).write_bytes(content)
    with pytest.raises(error, match=re.escape(said)) as caught:
        prepared(plain.parent, PLAIN, tmp_path / "out")
    assert name in str(caught.value)


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"got nothing \(.*plain\)"):
        collect_photographs(tmp_path, PLAIN, needs_masks=False)


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"folders": [], "title": "A"}, "at least 1"),
        ({"folders": [{"reader": "isic2", "folder": "x"}], "title": "A"}, "'isic', 'ph2', 'waterloo'"),
        ({"folders": [{"reader": "isic", "folder": "x"}], "title": "A", "seed": 1}, "Extra inputs"),
    ],
)
def test_settings_are_checked(table: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        PhotographDomainSettings.model_validate(table)


# Each publisher's archives: what is in them, for photographs 1 to 9.
LAYOUTS: dict[PhotographReader, tuple[str, str, list[str]]] = {
    "isic": (
        "Data/ISIC_000000{}.jpg",
        "Truth/ISIC_000000{}_segmentation.png",
        ["Data/ISIC_0000001_superpixels.png", "Data/metadata.csv"],
    ),
    "ph2": (
        "PH2 Dataset images/IMD00{0}/IMD00{0}_Dermoscopic_Image/IMD00{0}.bmp",
        "PH2 Dataset images/IMD00{0}/IMD00{0}_lesion/IMD00{0}_lesion.bmp",
        ["PH2_dataset.xlsx", "PH2 Dataset images/IMD001/IMD001_roi/IMD001_R1_Label3.bmp"],
    ),
    "waterloo": (
        "skin_data/melanoma/dermquest/SSM{}_orig.jpg",
        "skin_data/melanoma/dermquest/SSM{}_contour.png",
        [],
    ),
    "dermofit": ("AK/B{0}/B{0}.png", "AK/B{0}/B{0}mask.png", ["lesionlist.txt"]),
    "smartskins": ("session{0}/image {0}.jpg", "masks/image {0}_mask.png", ["annotations.xls"]),
}
NAMES = {"isic": "ISIC-2017-task1", "ph2": "PH2", "waterloo": "Waterloo-skin"}
NAMES |= {"dermofit": "Dermofit", "smartskins": "SMARTSKINS"}


def _contents(reader: PhotographReader) -> dict[str, bytes]:
    """The files of a collection as its publisher lays them out."""
    image, mask, others = LAYOUTS[reader]
    found = {name: encoded(MASK, "PNG") for name in others}
    for number in range(1, 10):
        for pattern, pixels in ((image, np.roll(PIXELS, number)), (mask, MASK)):
            kind = {"jpg": "JPEG", "png": "PNG", "bmp": "BMP"}[pattern[-3:]]
            found[pattern.format(number)] = encoded(pixels, kind)
    return found


def _check_prepared(folder: Path, reader: PhotographReader, out: Path) -> None:
    """Every photograph of a fetched collection has its mask."""
    domain = prepared(folder.parent, settings((reader, folder.name)), out)
    assert len(domain.rows) == 9
    for row in domain.rows:
        assert domain.read_image(row).shape == (8, 10, 3)
        np.testing.assert_array_equal(domain.read_truth(row)[0], MASK > 0)


@pytest.mark.parametrize("reader", ["isic", "waterloo"])
def test_archives_are_fetched_and_prepared(
    reader: PhotographReader,
    server: ArchiveServer,
    make_manifest: Callable[..., Manifest],
    tmp_path: Path,
) -> None:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as opened:
        for name, content in _contents(reader).items():
            opened.writestr(name, content)
        opened.writestr("__MACOSX/Data/._ISIC_0000001.jpg", b"litter")
    server.files["photographs.zip"] = archive.getvalue()
    built_in = load_manifest(NAMES[reader])
    manifest = make_manifest(
        {"name": "Photographs", "reader": built_in.reader, "expects": built_in.expects},
        url=server.url("photographs.zip"),
        size_bytes=len(archive.getvalue()) - 9,
        size_is_approximate=True,
        sha256=hashlib.sha256(archive.getvalue()).hexdigest(),
        top_folder=".",
    )
    folder = fetch(manifest, tmp_path / "cache", accept_terms=True)
    _check_prepared(folder, reader, tmp_path / "out")


@pytest.mark.parametrize("reader", ["ph2", "dermofit", "smartskins"])
def test_what_is_obtained_by_hand_is_imported_and_prepared(reader: PhotographReader, tmp_path: Path) -> None:
    for name, content in _contents(reader).items():
        path = tmp_path / "unpacked" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    with pytest.raises(TermsError, match=f"biostyle data import {NAMES[reader]} --from PATH"):
        fetch(NAMES[reader], tmp_path / "cache")
    folder = import_dataset(NAMES[reader], tmp_path / "unpacked", tmp_path / "cache")
    assert load_manifest(NAMES[reader]).reader == reader
    _check_prepared(folder, reader, tmp_path / "out")


@pytest.mark.real
@pytest.mark.slow
def test_real_collections(real_data: Path, tmp_path: Path) -> None:
    dermoscopic = settings(("ph2", "dermoscopy/ph2"), ("isic", "dermoscopy/isic"))
    domain_a = prepared(real_data, dermoscopic, tmp_path / "a")
    domain_b = prepared(
        real_data, settings(("waterloo", "macroscopic/waterloo")), tmp_path / "b", beside=domain_a
    )
    for domain in (domain_a, domain_b):
        assert all(0.001 < domain.read_truth(row)[0].mean() <= 1 for row in domain.rows)
