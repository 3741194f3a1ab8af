"""S_A with batch statistics of B as a candidate: what it is made of, and that it asks for no mask."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch

from biostyle.adaptation import foreground
from biostyle.adapted_model import is_usable, load_adapted
from biostyle.artifacts import BuildOptions
from biostyle.checkpoints import load_model
from biostyle.data.datasets import read_images
from biostyle.data.prepared import PreparedDomain, load_prepared, spread
from biostyle.data.preprocessing import Preprocessing
from biostyle.stages.adapt_statistics import adapt_statistics
from biostyle.stages.import_segmenter import import_segmenter
from biostyle.stages.select import left_out_reason
from biostyle.training.batch_statistics import BatchStatisticsSettings, adapt_batch_statistics
from tests.foreign_segmenters import write_torchscript

SETTINGS = BatchStatisticsSettings(n_frames=2, share_b=0.75)


def make(run: Path, out: Path, segmenter: Path | None = None) -> Path:
    """Adapt the run's segmenter behind its chain."""
    return adapt_statistics(
        run / "prepared" / "nikon",
        run / "prepared" / "zeiss",
        segmenter or run / "segmenter",
        run / "candidates" / "zeiss" / "matching",
        out,
        SETTINGS,
        device="cpu",
        options=BuildOptions(),
    )


def test_s_a_stands_behind_the_chain_with_statistics_of_what_the_chain_makes_of_b(
    tiny_run: Path, tmp_path: Path
) -> None:
    out = make(tiny_run, tmp_path / "adabn")
    assert {path.name for path in out.iterdir()} == {"artifact.json", "chain", "segmenter"}
    expected, card = load_model(tiny_run / "segmenter")
    chain, _ = load_model(out / "chain")
    preprocessing = Preprocessing.model_validate(card["preprocessing"])
    a, b = (load_prepared(tiny_run / "prepared" / name) for name in ("nikon", "zeiss"))
    rows = {domain: spread(domain.frames("train"), 2) for domain in (a, b)}
    with torch.no_grad():
        shares = [
            foreground(expected, image[None]).mean().item()
            for image in read_images(a, rows[a], preprocessing)
        ]
        frames = [chain(image[None]) for image in read_images(b, rows[b], load_adapted(out).preprocessing)]
    adapt_batch_statistics(expected, frames, sum(shares) / 2, 0.75)
    made, card = load_model(out / "segmenter")
    assert all(torch.equal(made.state_dict()[name], value) for name, value in expected.state_dict().items())
    assert set(card["training_data"]["frames"]) >= {*a.global_ids(rows[a]), *b.global_ids(rows[b])}


def test_no_mask_is_looked_at(tiny_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("a mask was looked at")

    monkeypatch.setattr(PreparedDomain, "read_truth", refuse)
    make(tiny_run, tmp_path / "adabn")


def test_one_object_is_kept_where_the_chain_keeps_one(run_copy: Path, tmp_path: Path) -> None:
    matching = run_copy / "candidates" / "zeiss" / "matching"
    shutil.copytree(run_copy / "segmenter", matching / "single_object")  # whatever it is
    (matching / "artifact.json").unlink()
    out = make(run_copy, tmp_path / "adabn")
    assert (out / "single_object").is_dir()


def test_without_batch_normalisation_there_is_a_reason_instead(tiny_run: Path, tmp_path: Path) -> None:
    _, card = load_model(tiny_run / "segmenter")
    foreign = import_segmenter(
        str(write_torchscript(tmp_path / "s.pt")),
        tmp_path / "segmenter",
        Preprocessing.model_validate(card["preprocessing"]),
        options=BuildOptions(),
    )
    out = make(tiny_run, tmp_path / "adabn", foreign)
    assert not is_usable(out)
    assert left_out_reason(out) == json.loads((out / "alarm.json").read_text())["reason"]
    assert "no batch normalisation" in left_out_reason(out)
