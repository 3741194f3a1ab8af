"""The recipes up to the call of the other program: it finds the files that ``stylize`` wrote, and reads them as images."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import numpy as np
import pytest
import tifffile

from tests.adapted_models import write_adapted
from tests.conftest import Invoke

PAGE = Path(__file__).parents[2] / "docs" / "recipes.md"
SHAPE = (40, 52)


@pytest.fixture(scope="module")
def stylized(tmp_path_factory: pytest.TempPathFactory, biostyle: Invoke) -> Path:
    """The first command of both recipes."""
    root = tmp_path_factory.mktemp("recipe")
    model, out = write_adapted(root / "model"), root / "stylized"
    (root / "images").mkdir()
    for number in range(2):
        frame = np.random.default_rng(number).integers(100, 4000, SHAPE, dtype=np.uint16)
        tifffile.imwrite(root / "images" / f"t{number:03}.tif", frame)
    result = biostyle("stylize", root / "images", "-o", out, "--model", model, "--device", "cpu")
    assert result.exit_code == 0, result.output
    return out


def command(program: str) -> list[str]:
    """Words of the recipe's call of another program, after its name."""
    (line,) = re.findall(rf"^{re.escape(program)} (.*)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    return shlex.split(line)


def test_the_files_are_single_planes_that_any_reader_takes(stylized: Path) -> None:
    files = sorted(stylized.glob("*.tif"))
    assert [path.name for path in files] == ["t000.tif", "t001.tif"]
    for path in files:
        image = tifffile.imread(path)
        assert (image.shape, image.dtype) == (SHAPE, np.uint16)
        assert np.ptp(image) > 0


def test_cellpose_finds_and_reads_them(stylized: Path) -> None:
    io = pytest.importorskip("cellpose.io")
    from cellpose.cli import get_arg_parser

    arguments = get_arg_parser().parse_args(command("python -m cellpose"))
    assert (arguments.save_tif, arguments.no_npy) == (True, True)
    found = io.get_image_files(str(stylized), "_masks")
    assert [Path(name).name for name in found] == ["t000.tif", "t001.tif"]
    assert io.imread(found[0]).shape == SHAPE


def test_stardist_reads_them(stylized: Path) -> None:
    imageio = pytest.importorskip("imageio.v2")  # what stardist-predict2d reads with
    assert command("stardist-predict2d")[:4] == ["-i", "stylized/*.tif", "-m", "2D_versatile_fluo"]
    for path in stylized.glob("*.tif"):
        image = imageio.imread(path)
        assert (image.shape, image.dtype) == (SHAPE, np.uint16)


def test_stardist_normalises_them(stylized: Path) -> None:
    utils = pytest.importorskip("csbdeep.utils")
    image = utils.normalize(tifffile.imread(stylized / "t000.tif"), 1, 99.8)
    assert image.shape == SHAPE
    assert np.isfinite(image).all()
