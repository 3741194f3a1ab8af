from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from biostyle.data.prepare import DomainSettings, prepare_domain, prepare_folder
from biostyle.data.prepared import check_unseen, load_prepared, spread
from biostyle.data.sources.simulated import simulate_pair
from biostyle.data.splits import SplitSettings
from biostyle.errors import ImageError, MaskError, SplitError


@pytest.fixture
def data_root(tmp_path: Path) -> Path:
    simulate_pair(tmp_path / "data", seed=1, n_frames=6, shape=(64, 72))
    return tmp_path / "data"


def _prepare(data_root: Path, out: Path) -> None:
    split = SplitSettings(mode="block", test_fraction=0.3, gap_frames=1)
    prepare_domain(data_root, DomainSettings(folder="SIM-A", title="A"), split, out, require_train_masks=True)


def test_auto_takes_one_reference_for_a_whole_part(data_root: Path, tmp_path: Path) -> None:
    silver, gold = data_root / "SIM-A/01_ST/SEG", data_root / "SIM-A/01_GT/SEG"
    shutil.copytree(silver, gold)
    for number in (0, 1, 2, 5):
        (silver / f"man_seg{number:03d}.tif").unlink()
    _prepare(data_root, tmp_path / "out")
    domain = load_prepared(tmp_path / "out")
    assert (domain.reference("auto", "train"), domain.reference("auto")) == ("gold", "silver")
    assert [row.number for row in domain.with_truth("test")] == [4]
    assert [row.number for row in domain.with_truth("test", "gold")] == [4, 5]
    assert domain.read_truth(domain.rows[5], "gold")[1] == "gold"
    with pytest.raises(MaskError, match="auto, gold or silver, got 'bronze'"):
        domain.reference("bronze")


@pytest.mark.parametrize("name", ["domain.json", "frames.csv"])
def test_a_directory_that_is_not_prepared_is_named(data_root: Path, tmp_path: Path, name: str) -> None:
    _prepare(data_root, tmp_path / "out")
    (tmp_path / "out" / name).write_text("{}")
    if name == "frames.csv":
        (tmp_path / "out" / name).write_text("frame_id,split\n01_t000,train\n")
    with pytest.raises(ImageError, match=re.escape(f"({tmp_path / 'out'})")):
        load_prepared(tmp_path / "out")
    (tmp_path / "out" / name).unlink()
    with pytest.raises(ImageError, match=rf"FileNotFoundError.*{re.escape(str(tmp_path / 'out'))}"):
        load_prepared(tmp_path / "out")


def test_frames_are_spread_evenly_over_time(data_root: Path, tmp_path: Path) -> None:
    _prepare(data_root, tmp_path / "out")
    rows = list(load_prepared(tmp_path / "out").rows)
    for n, expected in (
        (1, [3]),
        (2, [1, 4]),
        (3, [1, 3, 5]),
        (6, [0, 1, 2, 3, 4, 5]),
        (99, [0, 1, 2, 3, 4, 5]),
    ):
        assert [row.number for row in spread(rows, n)] == expected
    assert spread([], 3) == []


def test_a_frame_that_was_annotated_is_known_by_its_pixels(data_root: Path, tmp_path: Path) -> None:
    folder = data_root / "SIM-A"
    _prepare(data_root, tmp_path / "a")
    copied = tmp_path / "copied"
    copied.mkdir()
    shutil.copy(folder / "01/t002.tif", copied / "another name.tif")
    prepare_folder(copied, None, tmp_path / "copy", name="B", part="test")
    prepare_folder(data_root / "SIM-B/01", None, tmp_path / "b", name="B", part="test")
    a, copy, b = (load_prepared(tmp_path / name) for name in ("a", "copy", "b"))
    check_unseen(b, a)
    check_unseen(a, copy)  # nothing is annotated there
    with pytest.raises(SplitError, match=r"got 1 in both: another name \(.*copied, A\)"):
        check_unseen(copy, a)
