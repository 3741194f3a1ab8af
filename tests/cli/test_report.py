from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from biostyle.cli.report import report
from biostyle.errors import ImageError, MaskError, OutputError, PairingError
from biostyle.io.frames import write_frame
from biostyle.io.labels import write_labels


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    """Five frames of a moving square: found before, missed by two columns after; labels of 255 in the truth."""
    for name in ("before", "after", "truth", "images", "stylized"):
        (tmp_path / name).mkdir()
    noise = np.random.default_rng(0).integers(0, 50, (24, 32))
    for i in range(5):
        truth = np.zeros((24, 32), np.uint8)
        truth[6:16, 4 + i : 14 + i] = 255
        write_labels(tmp_path / "truth" / f"man_seg{i:03d}.tif", truth)
        write_labels(tmp_path / "before" / f"mask{i:03d}.tif", np.roll(truth, 1, axis=1))
        write_labels(tmp_path / "after" / f"mask{i:03d}.tif", np.roll(truth, 2 + i, axis=1))
        write_frame(tmp_path / "images" / f"t{i:03d}.tif", (noise + truth).astype(np.uint16))
        write_frame(tmp_path / "stylized" / f"t{i:03d}.tif", (noise + truth).astype(np.uint8) // 2)
    return tmp_path


def invoke(folder: Path, *arguments: str, out: str = "report") -> Result:
    paths = [str(folder / name) for name in ("before", "after", "truth")]
    return CliRunner().invoke(report, [*paths, "-o", str(folder / out), *arguments])


def fails(folder: Path, kind: type[Exception], match: str, *arguments: str, out: str = "report") -> None:
    result = invoke(folder, *arguments, out=out)
    assert isinstance(result.exception, kind), result.exception
    assert re.search(match, str(result.exception)), result.exception


def test_folders_in_report_out(folders: Path) -> None:
    images = ("--images", str(folders / "images"), "--stylized", str(folders / "stylized"))
    result = invoke(folders, *images, "--name", "mine", "--title", "My masks", "--n-panels", "2")
    assert result.exit_code == 0, result.output
    assert str(folders / "report" / "index.html") in result.output
    assert "Worse after adaptation. mine: mean F 0.900 before, 0.600 after" in result.output.replace(
        "\n", " "
    )
    summary = json.loads((folders / "report" / "summary.json").read_text(encoding="utf-8"))
    mine = summary["domains"]["mine"]
    assert mine["before"]["f_score"] == pytest.approx(0.9)
    assert (mine["n_scored"], mine["n_frames"]) == (5, 5)
    assert set(mine["baselines"]) == {"all_foreground", "all_background", "otsu"}
    page = (folders / "report" / "index.html").read_text(encoding="utf-8")
    assert "My masks" in page
    assert page.count('<figure class="panel">') == 2
    assert "Stylized" in page
    assert not (folders / "report.partial").exists()


def test_without_images_there_are_neither_panels_nor_otsu(folders: Path) -> None:
    assert invoke(folders).exit_code == 0
    summary = json.loads((folders / "report" / "summary.json").read_text(encoding="utf-8"))
    assert set(summary["domains"]["images"]["baselines"]) == {"all_foreground", "all_background"}
    assert "no images were given" in (folders / "report" / "report.md").read_text(encoding="utf-8")


def test_single_files_need_no_common_name(folders: Path) -> None:
    paths = ("before/mask000.tif", "after/mask001.tif", "truth/man_seg000.tif")
    arguments = [str(folders / path) for path in paths]
    result = CliRunner().invoke(report, [*arguments, "-o", str(folders / "report")])
    assert result.exit_code == 0, result.output
    assert "Cannot be judged" in result.output


def test_sparse_truth_scores_what_is_annotated(folders: Path) -> None:
    (folders / "truth" / "man_seg003.tif").unlink()
    fails(folders, PairingError, "t003")
    assert invoke(folders, "--sparse").exit_code == 0
    summary = json.loads((folders / "report" / "summary.json").read_text(encoding="utf-8"))
    assert summary["domains"]["images"]["n_scored"] == 4
    assert summary["domains"]["images"]["n_frames"] == 5
    page = (folders / "report" / "index.html").read_text(encoding="utf-8")
    assert "1 of 5 frames have no truth and were not scored." in page


def test_missing_predictions_are_scored_around_only_on_request(folders: Path) -> None:
    for name in ("before", "after"):
        (folders / name / "mask002.tif").unlink()
    fails(folders, PairingError, r"got 1 without: t002 .*or score the others with --allow-missing\.")
    (folders / "truth" / "man_seg004.tif").unlink()
    images = ("--images", str(folders / "images"))
    assert invoke(folders, "--allow-missing", "--sparse", *images).exit_code == 0
    mine = json.loads((folders / "report" / "summary.json").read_text(encoding="utf-8"))["domains"]["images"]
    assert (mine["n_scored"], mine["n_frames"]) == (3, 5)
    page = (folders / "report" / "index.html").read_text(encoding="utf-8")
    assert "1 of 5 frames have no truth and were not scored." in page
    assert "1 of 5 frames have a truth but no prediction, and were not scored." in page


def test_predictions_made_only_once_are_refused(folders: Path) -> None:
    (folders / "after" / "mask002.tif").unlink()
    fails(folders, PairingError, "got 1 in only one of them: t002", "--sparse")
    assert not (folders / "report").exists()


def test_mask_of_another_size_is_refused(folders: Path) -> None:
    path = folders / "after" / "mask002.tif"
    write_labels(path, np.zeros((5, 5), np.uint8))
    fails(folders, MaskError, re.escape(str(path)))


def test_damaged_frame_is_refused(folders: Path) -> None:
    path = folders / "images" / "t001.tif"
    path.write_bytes(path.read_bytes()[:100])
    fails(folders, ImageError, re.escape(str(path)), "--images", str(folders / "images"))


def test_an_earlier_report_is_replaced(folders: Path) -> None:
    assert invoke(folders, "--title", "First").exit_code == 0
    assert invoke(folders, "--title", "Second").exit_code == 0
    assert "Second" in (folders / "report" / "index.html").read_text(encoding="utf-8")


def test_a_directory_that_holds_anything_else_is_refused(folders: Path) -> None:
    fails(folders, OutputError, r"got 5 other files such as mask000\.tif", out="before")
    assert len(list((folders / "before").iterdir())) == 5


def test_a_file_in_the_way_is_refused(folders: Path) -> None:
    (folders / "report").write_text("mine")
    fails(folders, OutputError, re.escape(str(folders / "report")))
    assert (folders / "report").read_text() == "mine"


def test_a_report_that_cannot_be_moved_into_place_is_kept(
    folders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: Path, target: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "rename", refuse)
    fails(folders, OutputError, rf"Permission denied .*{re.escape(str(folders / 'report.partial'))}")
    assert (folders / "report.partial" / "index.html").is_file()


def test_the_current_folder_is_refused_like_any_other(folders: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folders / "before")
    result = CliRunner().invoke(report, ["x", "y", "z", "-o", "."])
    assert isinstance(result.exception, OutputError)
    assert f"got 5 other files such as mask000.tif ({folders / 'before'})" in str(result.exception)
