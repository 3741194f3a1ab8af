"""Tests of biostyle.stages.import_segmenter."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import torch

from biostyle.artifacts import BuildOptions, read_record
from biostyle.checkpoints import load_model, save_model
from biostyle.data.preprocessing import Preprocessing
from biostyle.errors import CheckpointError, DataError
from biostyle.models.resnet_generator import ResnetGenerator
from biostyle.models.unet import UNet
from biostyle.stages.import_segmenter import import_segmenter
from tests.foreign_segmenters import ENTRY, write_torchscript

HALF = Preprocessing(working_scale=0.5)


def run(source: str | Path, out: Path, **settings: object) -> dict[str, object]:
    """Import a segmenter and return its card."""
    options = BuildOptions(replace=True)
    assert import_segmenter(str(source), out, HALF, options=options, **settings) == out
    read_record(out)
    model, card = load_model(out)
    assert model(torch.rand(1, 1, 20, 24)).shape == (1, 2, 20, 24)
    return card


def test_a_file_becomes_a_model_directory(tmp_path: Path) -> None:
    card = run(write_torchscript(tmp_path / "smooth.pt"), tmp_path / "out", multiple=4)
    assert card["preprocessing"] == HALF.model_dump()
    assert card["training_data"] == {"frames": []}
    assert card["arguments"] == {"multiple": 4}
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {"artifact.json", "model.json", "model.pt", "model.safetensors"}


def test_what_is_there_is_made_again_only_when_it_must_be(tmp_path: Path) -> None:
    file = write_torchscript(tmp_path / "smooth.pt")
    run(file, tmp_path / "out")
    made = (tmp_path / "out" / "model.json").stat().st_mtime_ns
    run(file, tmp_path / "out")
    assert (tmp_path / "out" / "model.json").stat().st_mtime_ns == made
    run(file, tmp_path / "out", multiple=2)
    assert (tmp_path / "out" / "model.json").stat().st_mtime_ns != made


def test_an_entry_is_imported_again_when_its_code_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(ENTRY, tmp_path / "threshold")["differentiable"] is False
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    code = tmp_path / "my_entry.py"
    code.write_text("from tests.foreign_segmenters import Smooth as make\n")
    assert run("my_entry:make", tmp_path / "out")["differentiable"] is True
    request = json.loads((tmp_path / "out" / "artifact.json").read_text())["request"]
    code.write_text("from tests.foreign_segmenters import Smooth\nmake = Smooth\n")
    run("my_entry:make", tmp_path / "out")
    again = json.loads((tmp_path / "out" / "artifact.json").read_text())["request"]
    assert again["settings"] == request["settings"]
    assert again["inputs"] != request["inputs"]


def test_a_model_directory_keeps_what_it_knows(tmp_path: Path) -> None:
    own = {
        "preprocessing": {"working_scale": 2.0},
        "training_data": {"frames": ["A/01_t000"], "prepared_a": "ab"},
    }
    save_model(tmp_path / "own", UNet(n_filters=2, depth=1), **own)
    card = run(tmp_path / "own", tmp_path / "out")
    assert {key: card[key] for key in own} == own
    assert (tmp_path / "out/model.safetensors").read_bytes() == (
        tmp_path / "own/model.safetensors"
    ).read_bytes()


def test_what_is_no_segmenter_is_refused(tmp_path: Path) -> None:
    save_model(
        tmp_path / "generator",
        ResnetGenerator(n_filters=2, n_blocks=1),
        preprocessing={},
        training_data={"frames": []},
    )
    with pytest.raises(CheckpointError, match=r"at least 2 classes, got 1 \(.*generator\)"):
        run(tmp_path / "generator", tmp_path / "out")
    (tmp_path / "empty").mkdir()
    with pytest.raises(CheckpointError, match=r"got no model\.json \(.*empty\)"):
        run(tmp_path / "empty", tmp_path / "out")
    with pytest.raises(DataError, match=r"must exist, got nothing there \(.*nothing\.pt\)"):
        run(tmp_path / "nothing.pt", tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("entry", "reason"),
    [("no_such_module:make", "no module no_such_module"), ("no_such.module:make", "ModuleNotFoundError")],
)
def test_an_entry_that_is_not_there_is_named(entry: str, reason: str, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=rf"must be importable, got {reason}.*\({entry}\)"):
        run(entry, tmp_path / "out")


def test_a_dry_run_makes_nothing(tmp_path: Path) -> None:
    options = BuildOptions(dry_run=True)
    import_segmenter(str(write_torchscript(tmp_path / "a.pt")), tmp_path / "out", HALF, options=options)
    assert options.pending == {tmp_path / "out"}
    assert not (tmp_path / "out").exists()
