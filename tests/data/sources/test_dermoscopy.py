"""Every collection of skin photographs in its publisher's layout, and what is refused."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from biostyle.data.sources.dermoscopy import Photograph, PhotographReader, list_photographs
from biostyle.errors import ImageError, PairingError


def touch(root: Path, *names: str) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return root


def listed(root: Path, reader: PhotographReader) -> list[tuple[str, str, str, str | None]]:
    found = list_photographs(root, reader, needs_masks=False)
    return [
        (
            photograph.frame_id,
            photograph.group,
            str(photograph.image.relative_to(root)),
            str(photograph.mask.relative_to(root)) if photograph.mask else None,
        )
        for photograph in found
    ]


@pytest.mark.parametrize(
    ("images", "masks"),
    [
        (
            "ISBI2016_ISIC_Part1_Training_Data/ISIC_{}.jpg",
            "ISBI2016_ISIC_Part1_Training_GroundTruth/ISIC_{}_Segmentation.png",
        ),
        (
            "ISIC-2017_Training_Data/ISIC_{}.jpg",
            "ISIC-2017_Training_Part1_GroundTruth/ISIC_{}_segmentation.png",
        ),
        (
            "ISIC2018_Task1-2_Training_Input/ISIC_{}.jpg",
            "ISIC2018_Task1_Training_GroundTruth/ISIC_{}_segmentation.png",
        ),
        ("images/isic_{}.JPG", "masks/Isic_{}_SEGMENTATION.PNG"),
        ("ISIC_{}.jpg", "ISIC_{}_segmentation.png"),
    ],
    ids=["2016", "2017", "2018", "other case", "one folder"],
)
def test_isic(tmp_path: Path, images: str, masks: str) -> None:
    numbers = ("0000010", "0000002")
    touch(tmp_path, *(pattern.format(number) for pattern in (images, masks) for number in numbers))
    touch(tmp_path, "ISIC-2017_Training_Data/ISIC-2017_Training_Data_metadata.csv", "LICENSE.txt")
    touch(tmp_path, "ISIC-2017_Training_Data/ISIC_0000002_superpixels.png", "a/.DS_Store")
    touch(tmp_path, "task2/ISIC_0000002_attribute_pigment_network.png", "__MACOSX/images/._ISIC_0000002.jpg")
    found = listed(tmp_path, "isic")
    assert [row[0].upper() for row in found] == ["ISIC_ISIC_0000002", "ISIC_ISIC_0000010"]
    assert [row[2:] for row in found] == [
        (images.format(number), masks.format(number)) for number in reversed(numbers)
    ]
    assert all(row[0] == row[1] for row in found)


def test_ph2_as_delivered(tmp_path: Path) -> None:
    folder = "PH2Dataset/PH2 Dataset images/IMD003"
    image = f"{folder}/IMD003_Dermoscopic_Image/IMD003.bmp"
    mask = f"{folder}/IMD003_lesion/IMD003_lesion.bmp"
    touch(tmp_path, image, mask, f"{folder}/IMD003_roi/IMD003_R1_Label3.bmp", "PH2Dataset/PH2_dataset.xlsx")
    assert listed(tmp_path, "ph2") == [("ph2_IMD003", "ph2_IMD003", image, mask)]


def test_ph2_in_two_folders(tmp_path: Path) -> None:
    touch(tmp_path, "images/IMD003.jpg", "masks/IMD003_lesion.png")
    assert listed(tmp_path, "ph2") == [
        ("ph2_IMD003", "ph2_IMD003", "images/IMD003.jpg", "masks/IMD003_lesion.png")
    ]


@pytest.mark.parametrize("root", ["Skin Image Data Set-1/skin_data/", ""])
def test_waterloo(tmp_path: Path, root: str) -> None:
    stems = [
        f"{root}melanoma/dermIS/SSM2",
        f"{root}melanoma/dermquest/SSM2",
        f"{root}melanoma/dermquest/SSM2_2",
        f"{root}notmelanoma/dermis/2",
        f"{root}notmelanoma/dermis/10",
        f"{root}notmelanoma/dermquest/D10_1",
    ]
    touch(tmp_path, *(f"{stem}_{kind}" for stem in stems for kind in ("orig.jpg", "contour.png")))
    found = listed(tmp_path, "waterloo")
    assert [row[2] for row in found] == [f"{stem}_orig.jpg" for stem in stems]
    assert [row[:2] for row in found] == [
        ("waterloo_melanoma_dermis_SSM2", "waterloo_melanoma_dermis_SSM2"),
        ("waterloo_melanoma_dermquest_SSM2", "waterloo_melanoma_dermquest_SSM2"),
        ("waterloo_melanoma_dermquest_SSM2_2", "waterloo_melanoma_dermquest_SSM2"),
        ("waterloo_notmelanoma_dermis_2", "waterloo_notmelanoma_dermis_2"),
        ("waterloo_notmelanoma_dermis_10", "waterloo_notmelanoma_dermis_10"),
        ("waterloo_notmelanoma_dermquest_D10_1", "waterloo_notmelanoma_dermquest_D10"),
    ]


def test_dermofit(tmp_path: Path) -> None:
    touch(tmp_path, "AK/B12/B12.png", "AK/B12/B12mask.png", "lesionlist.txt")
    assert listed(tmp_path, "dermofit") == [
        ("dermofit_B12", "dermofit_B12", "AK/B12/B12.png", "AK/B12/B12mask.png")
    ]


@pytest.mark.parametrize("reader", ["smartskins", "folder"])
@pytest.mark.parametrize("ending", ["mask", "Segmentation", "GT"])
def test_any_names(tmp_path: Path, reader: PhotographReader, ending: str) -> None:
    touch(tmp_path, "Left arm (1).jpg", f"masks/left ARM (1)_{ending}.png", "b.jpeg")
    assert listed(tmp_path, reader) == [
        (
            f"{reader}_Left-arm-1-",
            f"{reader}_Left-arm-1-",
            "Left arm (1).jpg",
            f"masks/left ARM (1)_{ending}.png",
        ),
        (f"{reader}_b", f"{reader}_b", "b.jpeg", None),
    ]


def test_a_photograph_without_a_mask_is_refused_where_one_is_needed(tmp_path: Path) -> None:
    touch(tmp_path, *(f"IMD00{number}.jpg" for number in range(7)), "IMD003_lesion.png")
    assert len(list_photographs(tmp_path, "ph2", needs_masks=False)) == 7
    said = (
        "every photograph must have a mask, got 6 that break this: IMD000.jpg, IMD001.jpg, IMD002.jpg, IMD004.jpg, "
        f"IMD005.jpg, … ({tmp_path})"
    )
    with pytest.raises(PairingError, match=re.escape(said)):
        list_photographs(tmp_path, "ph2", needs_masks=True)


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (
            ["IMD1.jpg", "IMD2_lesion.png"],
            "mask must have a photograph, got 1 that break this: IMD2_lesion.png",
        ),
        (["IMD1.jpg", "portrait.jpg"], "named as in the collection ph2, got 1 that break this: portrait.jpg"),
        (["a/IMD1.jpg", "b/imd1.JPG"], "must be there once, got .*IMD1.jpg and .*imd1.JPG"),
        (["IMD1_lesion.bmp", "IMD1.bmp", "IMD1_lesion.png"], "got .*IMD1_lesion.bmp and .*IMD1_lesion.png"),
    ],
)
def test_leftovers_are_named(tmp_path: Path, names: list[str], said: str) -> None:
    with pytest.raises(PairingError, match=said):
        list_photographs(touch(tmp_path, *names), "ph2", needs_masks=False)


def test_nothing_to_read_is_said(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"photographs must exist, got nothing \(.*absent\)"):
        list_photographs(tmp_path / "absent", "ph2", needs_masks=False)
    touch(tmp_path, "file")
    with pytest.raises(ImageError, match=r"photographs must exist, got a file \(.*file\)"):
        list_photographs(tmp_path / "file", "ph2", needs_masks=False)
    with pytest.raises(ImageError, match=r"of the collection ph2, got 0 masks and no photograph"):
        list_photographs(tmp_path, "ph2", needs_masks=False)


@pytest.mark.real
@pytest.mark.parametrize(
    ("reader", "folder"),
    [("ph2", "dermoscopy/ph2"), ("isic", "dermoscopy/isic"), ("waterloo", "macroscopic/waterloo")],
)
def test_real_collections(real_data: Path, reader: PhotographReader, folder: str) -> None:
    found = list_photographs(real_data / folder, reader, needs_masks=True)
    assert len(found) == len(list((real_data / folder).rglob("*.jpg")))
    assert all(isinstance(photograph, Photograph) and photograph.mask for photograph in found)
