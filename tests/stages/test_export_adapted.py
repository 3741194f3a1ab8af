"""Tests of biostyle.stages.export_adapted."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from biostyle.adapted_model import load_adapted
from biostyle.artifacts import BuildOptions, read_record
from biostyle.checkpoints import save_model
from biostyle.matching.chain import MatchingChain
from biostyle.models.unet import UNet
from biostyle.stages.export_adapted import export_adapted
from biostyle.stages.select import read_choice


@pytest.fixture
def parts(tmp_path: Path) -> dict[str, Path]:
    """A segmenter and a candidate that inverts."""
    plain = {"preprocessing": {}, "training_data": {"frames": []}}
    save_model(tmp_path / "segmenter", UNet(n_filters=2, depth=1), **plain)
    chain = MatchingChain([{"kind": "polarity"}])
    save_model(tmp_path / "matching" / "chain", chain, preprocessing={}, training_data={"frames": ["B/t000"]})
    return {name: tmp_path / name for name in ("segmenter", "matching")}


def choose(directory: Path, name: str) -> Path:
    """A choice as select writes it."""
    directory.mkdir(exist_ok=True)
    decided = {
        "chosen": name,
        "verdict": "adopt" if name == "matching" else "don't adapt",
        "reason": "Because.",
        "n_frames": 1,
        "left_out": {"cyclegan_sa": "It rang."},
        "candidates": {"before": {"label_free": 0.5}, "matching": {"label_free": 0.9}},
    }
    (directory / "choice.json").write_text(json.dumps(decided))
    return directory


@pytest.mark.parametrize("chosen", ["matching", "before"])
def test_what_was_chosen_is_kept_with_its_segmenter(
    parts: dict[str, Path], tmp_path: Path, chosen: str
) -> None:
    choice, options = choose(tmp_path / "choice", chosen), BuildOptions(replace=True)
    candidates = {"matching": parts["matching"]}
    out = export_adapted(
        parts["segmenter"],
        candidates,
        choice,
        tmp_path / "model",
        left_out={"retrain": "no masks."},
        options=options,
    )
    read_record(out)
    images = torch.rand(1, 1, 32, 32)
    wanted = load_adapted(parts["matching"] if chosen == "matching" else None, parts["segmenter"]).segmenter(
        images
    )
    moved = out.rename(tmp_path / "elsewhere")
    assert torch.equal(load_adapted(moved).segmenter(images), wanted)
    card = json.loads((moved / "adapted.json").read_text())
    assert card["chosen"] == chosen
    assert card["verdict"] == ("adopt" if chosen == "matching" else "don't adapt")
    kept = read_choice(moved)
    assert kept["candidates"] == {"before": {"label_free": 0.5}, "matching": {"label_free": 0.9}}
    assert kept["left_out"] == {"retrain": "no masks.", "cyclegan_sa": "It rang."}
    assert (moved / "chain").is_dir() == (chosen == "matching")


def test_another_choice_is_exported_again(parts: dict[str, Path], tmp_path: Path) -> None:
    for chosen in ("matching", "before"):
        choice, options = choose(tmp_path / "choice", chosen), BuildOptions(replace=True)
        out = export_adapted(parts["segmenter"], {"matching": parts["matching"]}, choice, tmp_path / "model",
                             left_out={}, options=options)  # fmt: skip
        assert json.loads((out / "adapted.json").read_text())["chosen"] == chosen
