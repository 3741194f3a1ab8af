"""A folder in the style of the Hugging Face Hub is an adapted model itself."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from biostyle.application import load
from biostyle.errors import CheckpointError, OutputError
from biostyle.exporting.huggingface import export_huggingface
from tests.adapted_models import spoil, write_adapted

FRAME = np.random.default_rng(1).integers(100, 4000, (45, 67), dtype=np.uint16)


def test_the_folder_works_and_says_what_it_is(tmp_path: Path) -> None:
    directory = write_adapted(tmp_path / "model")
    out = export_huggingface(directory, tmp_path / "hub", "cc-by-4.0")
    np.testing.assert_array_equal(load(out, "cpu").segment(FRAME), load(directory, "cpu").segment(FRAME))
    config = json.loads((out / "config.json").read_text())
    assert config["model_type"] == "biostyle"
    assert config["preprocessing"]["working_scale"] == 0.5
    assert config["parts"]["segmenter"]["architecture"] == "unet"
    page = (out / "README.md").read_text()
    assert page.startswith("---\nlicense: cc-by-4.0\nlibrary_name: biostyle\n")
    assert 'biostyle.load("hub")' in page
    kinds = {path.suffix for path in out.rglob("*") if path.is_file()}
    assert kinds == {".json", ".safetensors", ".md"}


def test_what_keeps_one_object_goes_along(tmp_path: Path) -> None:
    directory = write_adapted(tmp_path / "model", ("chain", "single_object"))
    out = export_huggingface(directory, tmp_path / "hub")
    found = load(out, "cpu").segment(FRAME, labels="components")
    assert found.max() == 1
    np.testing.assert_array_equal(found, load(directory, "cpu").segment(FRAME, labels="components"))


def test_a_pickle_is_refused_and_nothing_is_left(tmp_path: Path) -> None:
    directory = write_adapted(tmp_path / "model")
    spoil(directory, "a pickle with its hash")
    with pytest.raises(CheckpointError, match=r"model\.safetensors must hold the weights"):
        export_huggingface(directory, tmp_path / "hub")
    assert not (tmp_path / "hub").exists()


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    directory = write_adapted(tmp_path / "model")
    with pytest.raises(OutputError, match=r"must be new, got something that exists \(.*model\)"):
        export_huggingface(directory, directory)
